import Kernels
import Weights

/// What is left of a change D of a weight W where both W and W + D are stored in 4 bits: the change C = Q(W + D) − Q(W), Q(·)
/// being what the 4 bits of a weight decode to. ⟨·,·⟩ and ‖·‖ are Frobenius'.
///
/// C is a share of D and something else, rounding noise, that is orthogonal to it: C = survived · D + N.
/// `relativeError`² = (1 − survived)² + ‖N‖²/‖D‖². At 0 the change is there whole. At 1 Q(W + D) is as far from Q(W) + D, the
/// quantised weight with the adapter beside it, as Q(W) alone is. Rounding mostly keeps a change on average, however small
/// (`survived` is near 1), and what a small one drowns in is N.
public struct DeltaSurvival: Sendable, Equatable {
  /// ⟨C, D⟩.
  public private(set) var product = 0.0
  /// ‖C − D‖².
  public private(set) var squaredError = 0.0
  /// ‖D‖².
  public private(set) var squaredNorm = 0.0

  /// Of no weight: the start of a sum over several.
  public init() {}

  /// Of one weight. `delta` is D [R, C], `base` Q(W) and `changed` Q(W + D). Decodes some rows at a time.
  public init(of delta: FloatTensor, base: QuantizedMatrix, changed: QuantizedMatrix, _ compute: Compute) {
    let (outputs, inputs) = (base.outputs, base.inputs)
    precondition(delta.shape == [outputs, inputs] && changed.outputs == outputs && changed.inputs == inputs)
    let step = max(1, min(outputs, (1 << 18) / max(1, inputs)))
    let (before, after) = (FloatBuffer(step * inputs), FloatBuffer(step * inputs))
    delta.withValues { delta in
      for first in stride(from: 0, to: outputs, by: step) {
        let rows = first..<min(first + step, outputs)
        base.decode(rows: rows, into: before.pointer, compute)
        changed.decode(rows: rows, into: after.pointer, compute)
        for i in 0..<rows.count * inputs {
          let d = Double(delta[first * inputs + i])
          let c = Double(after.pointer[i]) - Double(before.pointer[i])
          product += c * d
          squaredError += (c - d) * (c - d)
          squaredNorm += d * d
        }
      }
    }
  }

  /// ‖D‖.
  public var norm: Double { squaredNorm.squareRoot() }
  /// ⟨C, D⟩ / ⟨D, D⟩: the share of D that C holds. nil where D is zero.
  public var survived: Double? { squaredNorm > 0 ? product / squaredNorm : nil }
  /// ‖C − D‖ / ‖D‖. nil where D is zero.
  public var relativeError: Double? { squaredNorm > 0 ? (squaredError / squaredNorm).squareRoot() : nil }

  public static func += (sum: inout DeltaSurvival, other: DeltaSurvival) {
    sum.product += other.product
    sum.squaredError += other.squaredError
    sum.squaredNorm += other.squaredNorm
  }
}
