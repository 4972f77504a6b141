import Core
import Kernels
import Quantizing
import Weights

/// The frozen weight of a linear.
enum FrozenWeight: Sendable {
  /// [in, out], as GPT-2's `Conv1D` stores it.
  case inputMajor(FloatTensor)
  /// [out, in], as `torch.nn.Linear` stores it.
  case outputMajor(FloatTensor)
  /// [out, in] in 4 bits; decoded a panel of rows at a time, so that it never exists as a whole in float32.
  case quantized(QuantizedMatrix)
}

/// A linear layer of the frozen base: y[N, out] = x[N, in] · W + b.
///
/// It gets no gradient; only its input does.
struct Linear: Sendable {
  /// Module name, such as `transformer.h.0.attn.c_attn`.
  var name: String
  /// Its place among the decoder's linears, by which an adapter finds it.
  var index: Int
  var inputWidth: Int
  var outputWidth: Int
  var weight: FrozenWeight
  var bias: FloatTensor?

  /// Floats of a decoded panel: small enough to stay in the second-level cache beside what it is multiplied with.
  private static let panelFloats = 1 << 17

  /// y = x · W + b, or y += x · W + b. `panel` is scratch.
  func forward(
    _ x: Floats, _ y: MutableFloats, rows: Int, accumulate: Bool = false, panel: FloatBuffer, _ compute: Compute
  ) {
    let beta: Float = accumulate ? 1 : 0
    switch weight {
    case .inputMajor(let weight):
      LinearAlgebra.multiply(
        m: rows, n: outputWidth, k: inputWidth, a: x, lda: inputWidth, b: weight.pointer, ldb: outputWidth,
        beta: beta, c: y, ldc: outputWidth)
    case .outputMajor(let weight):
      LinearAlgebra.multiply(
        m: rows, n: outputWidth, k: inputWidth, a: x, lda: inputWidth, b: weight.pointer, ldb: inputWidth,
        transposeB: true, beta: beta, c: y, ldc: outputWidth)
    case .quantized(let weight) where rows == 1:
      weight.multiply(x, into: y, accumulate: accumulate, compute)
    case .quantized(let weight):
      overPanels(weight, panel, compute) { outputs, panel in
        LinearAlgebra.multiply(
          m: rows, n: outputs.count, k: inputWidth, a: x, lda: inputWidth, b: panel, ldb: inputWidth,
          transposeB: true, beta: beta, c: y + outputs.lowerBound, ldc: outputWidth)
      }
    }
    if let bias { Elementwise.addBias(bias.pointer, to: y, rows: rows, width: outputWidth, compute) }
  }

  /// dx = dy · Wᵀ.
  func backwardInput(_ dy: Floats, _ dx: MutableFloats, rows: Int, panel: FloatBuffer, _ compute: Compute) {
    switch weight {
    case .inputMajor(let weight):
      LinearAlgebra.multiply(
        m: rows, n: inputWidth, k: outputWidth, a: dy, lda: outputWidth, b: weight.pointer, ldb: outputWidth,
        transposeB: true, c: dx, ldc: inputWidth)
    case .outputMajor(let weight):
      LinearAlgebra.multiply(
        m: rows, n: inputWidth, k: outputWidth, a: dy, lda: outputWidth, b: weight.pointer, ldb: inputWidth, c: dx,
        ldc: inputWidth)
    case .quantized(let weight):
      overPanels(weight, panel, compute) { outputs, panel in
        LinearAlgebra.multiply(
          m: rows, n: inputWidth, k: outputs.count, a: dy + outputs.lowerBound, lda: outputWidth, b: panel,
          ldb: inputWidth, beta: outputs.lowerBound == 0 ? 0 : 1, c: dx, ldc: inputWidth)
      }
    }
  }

  /// Decodes some rows of the weight after the others, and hands each panel [rows, in] to `body`.
  private func overPanels(
    _ weight: QuantizedMatrix, _ panel: FloatBuffer, _ compute: Compute, _ body: (Range<Int>, Floats) -> Void
  ) {
    let step = min(outputWidth, max(64, Self.panelFloats / inputWidth / 64 * 64))
    let decoded = panel.ensure(step * inputWidth)
    for first in stride(from: 0, to: outputWidth, by: step) {
      let outputs = first..<min(first + step, outputWidth)
      weight.decode(rows: outputs, into: decoded, compute)
      body(outputs, Floats(decoded))
    }
  }
}

/// A normalisation of the residual stream, [N, C] → [N, C].
struct Norm: Sendable {
  var weight: FloatTensor
  var bias: FloatTensor
  var epsilon: Float

  func forward(
    _ x: Floats, _ y: MutableFloats, mean: MutableFloats, rstd: MutableFloats, rows: Int, _ compute: Compute
  ) {
    LayerNorm.forward(
      x, weight: weight.pointer, bias: bias.pointer, epsilon: epsilon, y: y, mean: mean, rstd: rstd, rows: rows,
      width: weight.count, compute)
  }

  /// dx += the gradient.
  func backward(
    _ x: Floats, mean: Floats, rstd: Floats, dy: Floats, dx: MutableFloats, rows: Int, _ compute: Compute
  ) {
    LayerNorm.backward(
      x, weight: weight.pointer, mean: mean, rstd: rstd, dy: dy, dx: dx, rows: rows, width: weight.count, compute)
  }
}
