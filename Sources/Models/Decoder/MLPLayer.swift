import Core
import Kernels

/// output(act(input(x))), or output(act(gate(x)) · up(x)). N rows, F between the products.
struct MLPLayer: Sendable {
  /// One linear, C → F; or gate and up side by side, C → 2 F, as two linears or one.
  var input: LinearGroup
  var output: Linear
  /// nil for a plain MLP, whose activation is GELU in its tanh form.
  var gate: GatedActivation?

  var linears: [Linear] { input.linears + [output] }

  /// [N, F] after the activation, from [N, F] or [N, 2 F] before it.
  func activate(_ inner: Floats, rows: Int, into buffer: FloatBuffer, _ compute: Compute) -> MutableFloats {
    let width = output.inputWidth
    let activated = buffer.ensure(rows * width)
    if let gate {
      gate.forward(inner, activated, rows: rows, width: width, compute)
    } else {
      GELU.forward(inner, activated, count: rows * width, compute)
    }
    return activated
  }

  /// The gradient before the activation, from that after it, which is in the scratch's `activated`.
  func activateBack(
    _ inner: Floats, _ gradient: MutableFloats, rows: Int, _ scratch: Block.Scratch, _ compute: Compute
  ) -> Floats {
    let width = output.inputWidth
    guard let gate else {
      GELU.backward(inner, dy: gradient, dx: gradient, count: rows * width, compute)
      return Floats(gradient)
    }
    let both = scratch.gatedGradient.ensure(rows * 2 * width)
    gate.backward(inner, dy: gradient, dx: both, rows: rows, width: width, compute)
    return Floats(both)
  }
}
