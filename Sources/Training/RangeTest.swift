import Glibc

/// The learning rates of a range test: exponentially from one to the other.
public struct RateRange: Sendable, Equatable, Codable {
  /// What is tested where nobody says otherwise.
  public static let standard = RateRange()

  /// Above 0.
  public var lowest: Double
  /// Above `lowest`.
  public var highest: Double
  /// Updates in all: 2 or more.
  public var steps: Int

  public init(lowest: Double = 1e-6, highest: Double = 1, steps: Int = 100) {
    (self.lowest, self.highest, self.steps) = (lowest, highest, steps)
  }

  /// The learning rate of the 0-based update `step`; the first and the last are `lowest` and `highest`, to the bit.
  public func rate(at step: Int) -> Double {
    if step == 0 || step == steps - 1 { return step == 0 ? lowest : highest }
    return lowest * pow(highest / lowest, Double(step) / Double(steps - 1))
  }
}

/// An update of a range test.
public struct RangePoint: Sendable, Equatable, Codable {
  /// From 1.
  public var step: Int
  public var lr: Double
  /// Before the update with that rate: a mean over the supervised tokens of its records, in nats. Finite.
  public var loss: Double
  /// Exponential mean of the losses up to here, bias-corrected as Adam's moments are: what the test stops by.
  public var runningLoss: Double

  public init(step: Int, lr: Double, loss: Double, runningLoss: Double) {
    (self.step, self.lr, self.loss, self.runningLoss) = (step, lr, loss, runningLoss)
  }
}

/// Why a range test came to its end.
public enum RangeEnd: String, Sendable, Codable {
  /// It reached the highest rate.
  case finished
  /// The running loss is more than four times its minimum.
  case diverged
  /// Loss or gradient is not a finite number.
  case notFinite = "not_finite"
}

/// A learning-rate range test (L. N. Smith, "Cyclical Learning Rates for Training Neural Networks", 2017): one short
/// training in which the rate rises exponentially, and the loss of each update beside it.
///
/// The updates are those that a training makes, but for their rates.
public struct RangeTest: Sendable, Equatable {
  public private(set) var points: [RangePoint] = []
  public private(set) var end = RangeEnd.finished
  /// The update at which loss or gradient was not finite.
  public private(set) var failure: Failure?

  public struct Failure: Sendable, Equatable, Codable {
    /// From 1.
    public var step: Int
    public var lr: Double
  }

  /// Share of what was that the running loss keeps at each update.
  static let kept = 0.9
  /// The test stops where the running loss is more than so many times its minimum.
  static let limit = 4.0

  /// Goes through `range`; the parameters of `parts` are changed. `settings.steps` must be the range's, its schedule has no
  /// part in it. `progress` gets each point.
  public init(
    _ parts: TrainingParts, settings: TrainingSettings, range: RateRange, progress: (RangePoint) -> Void = { _ in }
  ) throws {
    precondition(settings.steps == range.steps && range.steps >= 2)
    let update = Updater(parts, settings: settings)
    for step in 0..<range.steps {
      let result = try update(step, rate: range.rate(at: step))
      if add(result.metric, isFinite: result.isFinite) { progress(points[points.count - 1]) }
      if end != .finished { return }
    }
  }

  /// A test that went through these losses, which need not be finite: for what is known of a curve beforehand.
  package init(losses: [Double], range: RateRange) {
    for (step, loss) in losses.enumerated() where end == .finished {
      let metric = TrainMetric(
        step: step + 1, loss: loss, accuracy: 0, lr: range.rate(at: step), grad_norm: 1, tokens: 0,
        supervised_tokens: 0, seconds: 0, elapsed: 0, tokens_per_second: 0)
      _ = add(metric, isFinite: loss.isFinite)
    }
  }

  /// Returns whether there is a point more.
  private mutating func add(_ metric: TrainMetric, isFinite: Bool) -> Bool {
    if !isFinite {
      end = .notFinite
      failure = Failure(step: metric.step, lr: metric.lr)
    }
    guard metric.loss.isFinite else { return false }
    // The mean without its correction is that much less after so many updates.
    let correction = { (updates: Int) in 1 - pow(Self.kept, Double(updates)) }
    let sum = (points.last?.runningLoss ?? 0) * correction(points.count) * Self.kept + (1 - Self.kept) * metric.loss
    points.append(
      RangePoint(
        step: metric.step, lr: metric.lr, loss: metric.loss, runningLoss: sum / correction(points.count + 1)))
    let lowest = points.reduce(.infinity) { min($0, $1.runningLoss) }
    if end == .finished, points[points.count - 1].runningLoss > Self.limit * lowest { end = .diverged }
    return true
  }
}
