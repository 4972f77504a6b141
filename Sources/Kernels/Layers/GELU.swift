import CKernels
import Glibc

/// GELU (Hendrycks & Gimpel 2016).
public enum GELU: Sendable {
  /// transformers' `gelu_new`.
  case tanh
  /// x · Φ(x), transformers' `gelu`.
  case erf

  private static let rootTwoOverPi: Float = 0.797_884_560_8
  private static let cubic: Float = 0.044_715

  /// y = gelu(x), `count` elements.
  public func forward(_ x: Floats, _ y: MutableFloats, count: Int, _ compute: Compute) {
    let timing = compute.time(.activationForward)
    defer { timing?.end() }
    nonisolated(unsafe) let (x, y) = (x, y)
    compute.overRanges(count, grain: 1 << 14) { range in
      switch (compute.engine, self) {
      case (.auto, .tanh): sft_gelu_forward(x + range.lowerBound, y + range.lowerBound, range.count)
      case (.auto, .erf): sft_gelu_erf_forward(x + range.lowerBound, y + range.lowerBound, range.count)
      case (.plain, .tanh): for i in range { y[i] = 0.5 * x[i] * (1 + tanhf(Self.inner(x[i]))) }
      case (.plain, .erf): for i in range { y[i] = Float(Double(x[i]) * normalDistribution(Double(x[i]))) }
      }
    }
  }

  /// dx = dy · gelu'(x); dx may be dy.
  public func backward(_ x: Floats, dy: Floats, dx: MutableFloats, count: Int, _ compute: Compute) {
    let timing = compute.time(.activationBackward)
    defer { timing?.end() }
    nonisolated(unsafe) let (x, dy, dx) = (x, dy, dx)
    compute.overRanges(count, grain: 1 << 14) { range in
      let first = range.lowerBound
      switch (compute.engine, self) {
      case (.auto, .tanh): sft_gelu_backward(x + first, dy + first, dx + first, range.count)
      case (.auto, .erf): sft_gelu_erf_backward(x + first, dy + first, dx + first, range.count)
      case (.plain, .tanh):
        for i in range {
          let v = x[i]
          let t = tanhf(Self.inner(v))
          let slope = Self.rootTwoOverPi * (1 + 3 * Self.cubic * v * v)
          dx[i] = dy[i] * (0.5 * (1 + t) + 0.5 * v * (1 - t * t) * slope)
        }
      case (.plain, .erf):
        for i in range {
          let v = Double(x[i])
          dx[i] = Float(Double(dy[i]) * (normalDistribution(v) + v * normalDensity(v)))
        }
      }
    }
  }

  private static func inner(_ x: Float) -> Float { rootTwoOverPi * (x + cubic * x * x * x) }
}

/// Φ(x).
func normalDistribution(_ x: Double) -> Double { 0.5 * erfc(-x / 2.0.squareRoot()) }

/// Φ'(x).
func normalDensity(_ x: Double) -> Double { exp(-0.5 * x * x) / (2 * Double.pi).squareRoot() }
