import CKernels
import Glibc

/// GELU in its tanh form (Hendrycks & Gimpel 2016), transformers' `gelu_new`.
public enum GELU {
  private static let rootTwoOverPi: Float = 0.797_884_560_8
  private static let cubic: Float = 0.044_715

  /// y = gelu(x), `count` elements.
  public static func forward(_ x: Floats, _ y: MutableFloats, count: Int, _ compute: Compute) {
    let timing = compute.time(.activationForward)
    defer { timing?.end() }
    nonisolated(unsafe) let (x, y) = (x, y)
    compute.overRanges(count, grain: 1 << 14) { range in
      switch compute.engine {
      case .auto: sft_gelu_forward(x + range.lowerBound, y + range.lowerBound, range.count)
      case .plain:
        for i in range { y[i] = 0.5 * x[i] * (1 + tanhf(rootTwoOverPi * (x[i] + cubic * x[i] * x[i] * x[i]))) }
      }
    }
  }

  /// dx = dy · gelu'(x); dx may be dy.
  public static func backward(_ x: Floats, dy: Floats, dx: MutableFloats, count: Int, _ compute: Compute) {
    let timing = compute.time(.activationBackward)
    defer { timing?.end() }
    nonisolated(unsafe) let (x, dy, dx) = (x, dy, dx)
    compute.overRanges(count, grain: 1 << 14) { range in
      switch compute.engine {
      case .auto:
        sft_gelu_backward(x + range.lowerBound, dy + range.lowerBound, dx + range.lowerBound, range.count)
      case .plain:
        for i in range {
          let v = x[i]
          let t = tanhf(rootTwoOverPi * (v + cubic * v * v * v))
          let slope = rootTwoOverPi * (1 + 3 * cubic * v * v)
          dx[i] = dy[i] * (0.5 * (1 + t) + 0.5 * v * (1 - t * t) * slope)
        }
      }
    }
  }
}
