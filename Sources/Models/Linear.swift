import Core
import Kernels
import Weights

/// A linear layer of the frozen base: y[N, out] = x[N, in] · W + b.
///
/// It gets no gradient; only its input does.
struct Linear: Sendable {
  /// How the weight lies in memory.
  enum Layout: Sendable {
    /// [in, out], as GPT-2's `Conv1D` stores it.
    case inputMajor
    /// [out, in], as `torch.nn.Linear` stores it.
    case outputMajor
  }

  /// Module name, such as `transformer.h.0.attn.c_attn`.
  var name: String
  /// Its place among the decoder's linears, by which an adapter finds it.
  var index: Int
  var inputWidth: Int
  var outputWidth: Int
  var layout: Layout
  var weight: FloatTensor
  var bias: FloatTensor?

  /// y = x · W + b, or y += x · W + b. `y` has rows of `stride` floats.
  func forward(_ x: Floats, _ y: MutableFloats, rows: Int, accumulate: Bool = false, _ compute: Compute) {
    LinearAlgebra.multiply(
      m: rows, n: outputWidth, k: inputWidth, a: x, lda: inputWidth, b: weight.pointer,
      ldb: layout == .inputMajor ? outputWidth : inputWidth, transposeB: layout == .outputMajor,
      beta: accumulate ? 1 : 0, c: y, ldc: outputWidth)
    if let bias { Elementwise.addBias(bias.pointer, to: y, rows: rows, width: outputWidth, compute) }
  }

  /// dx = dy · Wᵀ.
  func backwardInput(_ dy: Floats, _ dx: MutableFloats, rows: Int, _ compute: Compute) {
    LinearAlgebra.multiply(
      m: rows, n: inputWidth, k: outputWidth, a: dy, lda: outputWidth, b: weight.pointer,
      ldb: layout == .inputMajor ? outputWidth : inputWidth, transposeB: layout == .inputMajor, c: dx, ldc: inputWidth)
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
