import Core

/// Whether a run's losses end above where they began.
public struct LossTrend {
  private let updates: [Double]
  private let validations: [(step: Int, loss: Double)]

  package init(updates: [Double], validations: [(step: Int, loss: Double)]) {
    (self.updates, self.validations) = (updates, validations)
  }

  public init(_ metrics: [Metric]) {
    self.init(
      updates: metrics.compactMap { if case .train(let metric) = $0 { metric.loss } else { nil } },
      validations: metrics.compactMap { if case .eval(let metric) = $0 { (metric.step, metric.loss) } else { nil } })
  }

  /// What is worth saying at the end of a run, each a sentence with its figures; none where the losses fell.
  public var remarks: [String] { [trainingRemark, validationRemark].compactMap { $0 } }

  /// Updates at either end whose mean counts.
  private static let most = 20
  /// Losses of single updates, each over other records, differ by some tenths without meaning anything; the mean of n of them
  /// by √n less.
  private static let scatter = 0.25

  private var trainingRemark: String? {
    let count = min(Self.most, max(1, updates.count / 10))
    guard updates.count > count else { return nil }
    let first = mean(updates.prefix(count)), last = mean(updates.suffix(count))
    guard last > first * (1 + Self.scatter / Double(count).squareRoot()) else { return nil }
    let words = count == 1 ? "update" : "\(count) updates"
    return
      "The training loss rose from \(fixed(first, 4)) in the first \(words) to \(fixed(last, 4)) in the last"
      + "\(count == 1 ? "" : " \(count)"): try a lower \(OptionName.lr), or a warm-up with \(OptionName.warmupSteps)."
  }

  /// A rise of the validation loss above its lowest that is worth a word.
  private static let rise = 0.01

  /// Validations are over the same records each time, so that any rise is one.
  private var validationRemark: String? {
    guard let first = validations.first, let last = validations.last,
      let best = validations.min(by: { $0.loss < $1.loss })
    else { return nil }
    guard last.loss > first.loss else {
      // It has learnt, and then learnt its records by heart.
      guard last.loss > best.loss * (1 + Self.rise) else { return nil }
      return
        "The validation loss was lowest at step \(best.step), \(fixed(best.loss, 4)), and has risen to "
        + "\(fixed(last.loss, 4)) at step \(last.step): fewer updates would do, or \(OptionName.earlyStopping); best/ has the "
        + "weights of the lowest."
    }
    return
      "The validation loss rose from \(fixed(first.loss, 4)) at step \(first.step) to \(fixed(last.loss, 4)) at step "
      + "\(last.step): try a lower \(OptionName.lr), or fewer updates; best/ has the weights of the lowest."
  }

  private func mean(_ losses: ArraySlice<Double>) -> Double { losses.reduce(0, +) / Double(losses.count) }
}
