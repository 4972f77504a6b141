import CKernels
import Glibc

/// y[N, F] = act(gate) · up of x[N, gate | up], rows of 2 F (Shazeer 2020).
public enum GatedActivation: Sendable {
  case silu
  /// GELU in its tanh form.
  case geluTanh

  public func forward(_ x: Floats, _ y: MutableFloats, rows: Int, width: Int, _ compute: Compute) {
    let timing = compute.time(.activationForward)
    defer { timing?.end() }
    nonisolated(unsafe) let (x, y) = (x, y)
    compute.overRanges(rows, grain: max(1, (1 << 14) / width)) { range in
      let (from, to) = (x + range.lowerBound * 2 * width, y + range.lowerBound * width)
      switch (compute.engine, self) {
      case (.auto, .silu): sft_silu_gate_forward(from, to, range.count, width)
      case (.auto, .geluTanh): sft_gelu_gate_forward(from, to, range.count, width)
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

  /// act(x) = x · σ(u(x)), with u(x) = x for SiLU.
  private func inner(_ x: Double) -> (u: Double, slope: Double) {
    switch self {
    case .silu: return (x, 1)
    case .geluTanh:
      let k = 2 * (2 / Double.pi).squareRoot()
      return (k * (x + 0.044715 * x * x * x), k * (1 + 3 * 0.044715 * x * x))
    }
  }

  private func value(_ x: Double) -> Double { x / (1 + exp(-inner(x).u)) }

  private func slope(_ x: Double) -> Double {
    let (u, slope) = inner(x)
    let s = 1 / (1 + exp(-u))
    return s + x * s * (1 - s) * slope
  }
}
