import Core
import Glibc

/// What a range test says of the learning rate.
///
/// The losses are smoothed by a local line about each point: Gaussian weights over a twentieth of the points to either
/// side, so unlike a running mean the curve does not lag behind. A loss above the start counts no more than the fall below
/// it, so that what comes after the turn does not move the turn.
/// Only the first valley counts: the lowest loss before it rises by more than it varies from update to update. Beyond that a
/// loss may fall again, to where it answers all alike.
/// Two rates are read from the curve, as is usual: where it falls the fastest, per factor of the rate, and where it is
/// lowest. Halfway between them, by their logarithms, is suggested, but no more than a third of the second: a rate that is
/// too low costs some time, one that is too high costs the run.
public struct RateSuggestion: Sendable, Equatable {
  /// To two digits; nil where the curve gives no answer.
  public private(set) var rate: Double?
  /// Why there is none, and what to do: two sentences without the last full stop.
  public private(set) var reason: String?
  /// The rate at which the smoothed loss falls the fastest on its way to the minimum, and that at the minimum; nil where
  /// there is none.
  public private(set) var steepest: Double?
  public private(set) var lowest: Double?
  /// The smoothed loss at each point.
  public private(set) var smoothed: [Double] = []
  /// From the lowest loss to the highest, or to as far above the start as the lowest is below it: what is worth showing.
  public private(set) var shown: ClosedRange<Double>?

  /// The fewest points that are a curve.
  public static let fewest = 10

  public init(_ test: RangeTest) {
    let points = test.points
    guard points.count >= Self.fewest else {
      smoothed = points.map(\.runningLoss)
      reason = Self.tooFew(test)
      return
    }
    var start = mean(points.prefix(max(3, points.count / 10)).map(\.loss))
    let deepest = points.reduce(start) { min($0, $1.loss) }
    let ceiling = start + (start - deepest)
    let losses = points.map { min($0.loss, ceiling) }
    let curve = LocalLines(losses)
    smoothed = curve.values
    // What a loss differs from the curve by.
    let noise = max(deviation(zip(losses, curve.values).map { $0 - $1 }), 1e-3 * abs(start))
    // What the curve falls from; where it rises at once, its first value.
    start = min(start, curve.values[0])
    let minimum = firstValley(curve.values, from: start, noise: noise)
    shown = (losses.min() ?? start)...(losses.max() ?? start)
    let fall = start - curve.values[minimum]
    guard fall > 2 * noise else {
      let rose = test.end != .finished || (curve.values.last ?? start) - start > noise
      reason = rose ? Self.onlyRose : Self.neverFell
      return
    }
    lowest = points[minimum].lr
    let turn = curve.slopes[...minimum].indices.min { curve.slopes[$0] < curve.slopes[$1] } ?? 0
    steepest = points[turn].lr
    if test.end == .finished, minimum >= points.count - max(2, points.count / 20) {
      reason =
        "The loss is lowest at the end of the range, so it may fall further. Test higher rates with a larger \(OptionName.lrTo)"
      return
    }
    let suggested = min((points[turn].lr * points[minimum].lr).squareRoot(), points[minimum].lr / 3)
    guard turn > 0, suggested >= points[0].lr else {
      reason =
        "The loss falls at the lowest rates already, so better ones may lie below. Test lower rates with a smaller "
        + OptionName.lrFrom.description
      return
    }
    rate = twoDigits(suggested)
  }

  private static let neverFell =
    "The loss never fell by more than it varies from update to update. Test higher rates with a larger \(OptionName.lrTo), or make "
    + "it vary less with a larger \(OptionName.batchSize) or \(OptionName.gradAccum)"
  private static let onlyRose =
    "The loss never fell before it rose. Test lower rates with a smaller \(OptionName.lrFrom), or more \(OptionName.steps)"

  private static func tooFew(_ test: RangeTest) -> String {
    if let failure = test.failure, failure.step == 1 {
      return
        "Loss or gradient is not a finite number at the first update, so no rate is at fault. Look at the model and "
        + "the records"
    }
    let advice =
      test.end == .finished
      ? "Give more \(OptionName.steps)"
      : "Give more \(OptionName.steps), or test lower rates with a smaller \(OptionName.lrFrom) and \(OptionName.lrTo)"
    return "There are \(test.points.count) points, and a curve needs \(fewest). \(advice)"
  }
}

/// The line about each point of a curve: its value and slope there, the points being one apart. Nearer points weigh more,
/// by a Gaussian whose deviation is a twentieth of their number.
private struct LocalLines {
  var values: [Double] = []
  /// Change a point.
  var slopes: [Double] = []

  init(_ losses: [Double]) {
    let deviation = max(1, Double(losses.count) / 20)
    let reach = Int((4 * deviation).rounded(.up))
    for place in losses.indices {
      var (w, wx, wxx, wy, wxy) = (0.0, 0.0, 0.0, 0.0, 0.0)
      for other in max(0, place - reach)...min(losses.count - 1, place + reach) {
        let x = Double(other - place)
        let weight = exp(-0.5 * x * x / (deviation * deviation))
        w += weight
        wx += weight * x
        wxx += weight * x * x
        wy += weight * losses[other]
        wxy += weight * x * losses[other]
      }
      let determinant = w * wxx - wx * wx
      values.append((wxx * wy - wx * wxy) / determinant)
      slopes.append((w * wxy - wx * wy) / determinant)
    }
  }
}

/// The lowest place before the curve rises by more than `noise` again, having fallen by more than twice that.
private func firstValley(_ values: [Double], from start: Double, noise: Double) -> Int {
  var lowest = 0
  for (index, value) in values.enumerated() {
    if value < values[lowest] { lowest = index }
    if start - values[lowest] > 2 * noise, value - values[lowest] > noise { break }
  }
  return lowest
}

private func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(max(1, values.count)) }

/// Standard deviation about zero, as the median of the magnitudes tells it: what few outliers do not change.
private func deviation(_ values: [Double]) -> Double {
  let sorted = values.map(abs).sorted()
  return sorted.isEmpty ? 0 : 1.4826 * sorted[sorted.count / 2]
}

/// 0.0012345 → 0.0012, as the nearest number to the two digits.
private func twoDigits(_ value: Double) -> Double {
  let exponent = Int(floor(log10(value))) - 1
  let digits = (value / pow(10, Double(exponent))).rounded()
  return Double("\(Int(digits))e\(exponent)") ?? value
}
