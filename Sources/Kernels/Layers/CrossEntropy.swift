import CKernels
import Core
import Glibc

/// Softmax cross-entropy over rows of V logits, forward and backward in one go.
///
/// A row may have several targets, each with a weight: loss = Σ weight · (logΣexp − logit[target]).
public enum CrossEntropy {
  /// Sums over the targets of some rows.
  public struct Totals: Sendable, Equatable {
    /// Σ weight · negative log-likelihood, in nats.
    public var loss = 0.0
    /// Σ weight of targets that are their row's most likely token.
    public var correct = 0.0
    public var weight = 0.0

    public init() {}

    public static func += (left: inout Totals, right: Totals) {
      left.loss += right.loss
      left.correct += right.correct
      left.weight += right.weight
    }
  }

  /// `logits` [rows, V] become gradientScale · ∂loss/∂logits where `gradientScale` is given, else they are kept.
  /// `targets` are those of rows `firstRow ..< firstRow + rows`, sorted by row.
  public static func rows(
    _ logits: MutableFloats, rows: Int, classes: Int, firstRow: Int, targets: ArraySlice<Batch.Target>,
    gradientScale: Float?, _ compute: Compute
  ) -> Totals {
    let timing = compute.time(.crossEntropy)
    defer { timing?.end() }
    var starts = [Int](repeating: targets.startIndex, count: rows + 1)
    var cursor = targets.startIndex
    for row in 0..<rows {
      starts[row] = cursor
      while cursor < targets.endIndex, targets[cursor].row == firstRow + row { cursor += 1 }
    }
    starts[rows] = cursor
    precondition(cursor == targets.endIndex, "targets outside the rows, or not sorted")
    var results = [Totals](repeating: Totals(), count: rows)
    results.withUnsafeMutableBufferPointer { buffer in
      nonisolated(unsafe) let (buffer, logits) = (buffer, logits)
      let starts = starts
      compute.overRanges(rows, grain: 1) { range in
        for row in range {
          buffer[row] = one(
            logits + row * classes, classes, targets[starts[row]..<starts[row + 1]], gradientScale, compute.engine)
        }
      }
    }
    return results.reduce(into: Totals()) { $0 += $1 }
  }

  private static func one(
    _ logits: MutableFloats, _ classes: Int, _ targets: ArraySlice<Batch.Target>, _ gradientScale: Float?,
    _ engine: Engine
  ) -> Totals {
    let (logSumExp, argmax) = engine == .auto ? fastLogSumExp(logits, classes) : plainLogSumExp(logits, classes)
    var totals = Totals()
    for target in targets {
      let weight = Double(target.weight)
      totals.loss += weight * Double(logSumExp - logits[Int(target.token)])
      totals.correct += argmax == Int(target.token) ? weight : 0
      totals.weight += weight
    }
    guard let gradientScale else { return totals }
    let rowScale = gradientScale * Float(totals.weight)
    switch engine {
    case .auto: sft_row_softmax_scaled(logits, classes, logSumExp, rowScale)
    case .plain: for i in 0..<classes { logits[i] = rowScale * expf(logits[i] - logSumExp) }
    }
    for target in targets { logits[Int(target.token)] -= gradientScale * target.weight }
    return totals
  }

  private static func fastLogSumExp(_ logits: Floats, _ classes: Int) -> (Float, Int) {
    var logSumExp: Float = 0
    var argmax = 0
    sft_row_log_sum_exp(logits, classes, &logSumExp, &argmax)
    return (logSumExp, argmax)
  }

  private static func plainLogSumExp(_ logits: Floats, _ classes: Int) -> (Float, Int) {
    var best = 0
    for i in 0..<classes where logits[i] > logits[best] { best = i }
    var sum = 0.0
    for i in 0..<classes { sum += exp(Double(logits[i] - logits[best])) }
    return (logits[best] + Float(log(sum)), best)
  }
}
