import Core
import Kernels

/// output(act(input(x))), or output(act(gate(x)) · up(x)). N rows, F between the products.
struct MLPLayer: Sendable {
  /// One linear, C → F; or gate and up side by side, C → 2 F, as two linears or one.
  var input: LinearGroup
  var output: Linear
  var activation: Activation

  enum Activation: Sendable {
    /// Of a plain MLP.
    case plain(GELU)
    case gated(GatedActivation)
  }

  var isGated: Bool { if case .gated = activation { true } else { false } }

  var linears: [Linear] { input.linears + [output] }

  /// [N, F] after the activation, from [N, F] or [N, 2 F] before it.
  func activate(_ inner: Floats, rows: Int, into buffer: FloatBuffer, _ compute: Compute) -> MutableFloats {
    let width = output.inputWidth
    let activated = buffer.ensure(rows * width)
    switch activation {
    case .plain(let function): function.forward(inner, activated, count: rows * width, compute)
    case .gated(let gate): gate.forward(inner, activated, rows: rows, width: width, compute)
    }
    return activated
  }

  /// The gradient before the activation, from that after it, which is in the scratch's `activated`.
  func activateBack(
    _ inner: Floats, _ gradient: MutableFloats, rows: Int, _ scratch: Block.Scratch, _ compute: Compute
  ) -> Floats {
    let width = output.inputWidth
    switch activation {
    case .plain(let function):
      function.backward(inner, dy: gradient, dx: gradient, count: rows * width, compute)
      return Floats(gradient)
    case .gated(let gate):
      let both = scratch.gatedGradient.ensure(rows * 2 * width)
      gate.backward(inner, dy: gradient, dx: both, rows: rows, width: width, compute)
      return Floats(both)
    }
  }
}
