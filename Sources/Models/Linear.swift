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
  /// [out, in] in 4 bits; decoded a panel at a time, so that it never exists as a whole in float32.
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

  /// x[N, in] · W, as a term of a sum of products; its rows are contiguous.
  func forwardTerm(_ x: Floats) -> ProductTerm {
    let factor: ProductFactor =
      switch weight {
      case .inputMajor(let weight): .stored(weight.pointer, stride: outputWidth)
      case .outputMajor(let weight): .transposed(weight.pointer, stride: inputWidth)
      case .quantized(let weight): .fourBitTransposed(weight.matrix)
      }
    return ProductTerm(x, rowStride: inputWidth, k: inputWidth, factor)
  }

  /// dy[N, out] · Wᵀ, as a term of a sum of products.
  func backwardTerm(_ dy: Floats) -> ProductTerm {
    let factor: ProductFactor =
      switch weight {
      case .inputMajor(let weight): .transposed(weight.pointer, stride: outputWidth)
      case .outputMajor(let weight): .stored(weight.pointer, stride: inputWidth)
      case .quantized(let weight): .fourBit(weight.matrix)
      }
    return ProductTerm(dy, rowStride: outputWidth, k: outputWidth, factor)
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
