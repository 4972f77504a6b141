import CKernels
import Glibc

/// y[N, F] = act(gate) · up of x[N, gate | up], rows of 2 F (Shazeer 2020).
public enum GatedActivation: Sendable {
  case silu
  /// GELU in its tanh form, and by its definition.
  case geluTanh, geluErf

  public func forward(_ x: Floats, _ y: MutableFloats, rows: Int, width: Int, _ compute: Compute) {
    let timing = compute.time(.activationForward)
    defer { timing?.end() }
    nonisolated(unsafe) let (x, y) = (x, y)
    compute.overRanges(rows, grain: max(1, (1 << 14) / width)) { range in
      let (from, to) = (x + range.lowerBound * 2 * width, y + range.lowerBound * width)
      switch (compute.engine, self) {
      case (.auto, .silu): sft_silu_gate_forward(from, to, range.count, width)
      case (.auto, .geluTanh): sft_gelu_gate_forward(from, to, range.count, width)
      case (.auto, .geluErf): sft_gelu_erf_gate_forward(from, to, range.count, width)
      case (.plain, _):
        for row in 0..<range.count {
          for i in 0..<width {
            let gate = Double(from[row * 2 * width + i])
            to[row * width + i] = Float(value(gate) * Double(from[row * 2 * width + width + i]))
          }
        }
      }
    }
  }

  /// dx[N, dgate | dup] from dy[N, F].
  public func backward(_ x: Floats, dy: Floats, dx: MutableFloats, rows: Int, width: Int, _ compute: Compute) {
    let timing = compute.time(.activationBackward)
    defer { timing?.end() }
    nonisolated(unsafe) let (x, dy, dx) = (x, dy, dx)
    compute.overRanges(rows, grain: max(1, (1 << 14) / width)) { range in
      let first = range.lowerBound
      let (from, upstream, to) = (x + first * 2 * width, dy + first * width, dx + first * 2 * width)
      switch (compute.engine, self) {
      case (.auto, .silu): sft_silu_gate_backward(from, upstream, to, range.count, width)
      case (.auto, .geluTanh): sft_gelu_gate_backward(from, upstream, to, range.count, width)
      case (.auto, .geluErf): sft_gelu_erf_gate_backward(from, upstream, to, range.count, width)
      case (.plain, _):
        for row in 0..<range.count {
          for i in 0..<width {
            let place = row * 2 * width + i
            let (gate, up, d) = (Double(from[place]), Double(from[place + width]), Double(upstream[row * width + i]))
            to[place] = Float(d * up * slope(gate))
            to[place + width] = Float(d * value(gate))
          }
        }
      }
    }
  }

  /// act(x) = x · share(x), and the share's slope: σ of x or of a polynomial of it, or Φ.
  private func share(_ x: Double) -> (value: Double, slope: Double) {
    func sigmoid(_ u: Double, slope: Double) -> (value: Double, slope: Double) {
      let s = 1 / (1 + exp(-u))
      return (s, s * (1 - s) * slope)
    }
    switch self {
    case .silu: return sigmoid(x, slope: 1)
    case .geluTanh:
      let k = 2 * (2 / Double.pi).squareRoot()
      return sigmoid(k * (x + 0.044715 * x * x * x), slope: k * (1 + 3 * 0.044715 * x * x))
    case .geluErf: return (normalDistribution(x), normalDensity(x))
    }
  }

  private func value(_ x: Double) -> Double { x * share(x).value }

  private func slope(_ x: Double) -> Double {
    let share = share(x)
    return share.value + x * share.slope
  }
}
