import Core
import Kernels
import Quantizing
import Weights

/// The weight of a linear.
enum LinearWeight: Sendable {
  /// [in, out], as GPT-2's `Conv1D` stores it.
  case inputMajor(FloatTensor)
  /// [out, in], as `torch.nn.Linear` stores it.
  case outputMajor(FloatTensor)
  /// [in, out], frozen, laid out once for the products in both directions, however it is stored.
  case packed(PackedMatrix)
  /// [out, in] in 4 bits, frozen; decoded a panel at a time, so that it never exists as a whole in float32.
  case quantized(QuantizedMatrix)
}

/// A linear layer of the decoder: y[N, out] = x[N, in] · W + b.
///
/// It gets gradients itself where all weights are trained; where they are frozen only its input does.
struct Linear: Sendable {
  /// Module name, such as `transformer.h.0.attn.c_attn`.
  var name: String
  /// Its place among the decoder's linears, by which an adapter finds it.
  var index: Int
  var inputWidth: Int
  var outputWidth: Int
  var weight: LinearWeight
  var bias: FloatTensor?

  /// x[N, in] · W, as a term of a sum of products; its rows are contiguous.
  func forwardTerm(_ x: Floats) -> ProductTerm {
    let factor: ProductFactor =
      switch weight {
      case .inputMajor(let weight): .stored(weight.pointer, stride: outputWidth)
      case .outputMajor(let weight): .transposed(weight.pointer, stride: inputWidth)
      case .packed(let weight): .packed(weight)
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
      case .packed(let weight): .packedTransposed(weight)
      case .quantized(let weight): .fourBit(weight.matrix)
      }
    return ProductTerm(dy, rowStride: outputWidth, k: outputWidth, factor)
  }

  /// dW += xᵀ · dy, or dyᵀ · x for [out, in], and db += Σ dy, where the weights are trained.
  func backwardWeights(_ x: Floats, dy: Floats, rows: Int, _ context: PassContext) {
    guard let gradients = context.weightGradients else { return }
    func add(_ a: Floats, _ m: Int, _ b: Floats, _ n: Int, to dw: MutableFloats) {
      ProductSum(
        m: m, n: n, ProductTerm(a, rowStride: 1, step: m, k: rows, .stored(b, stride: n)), addend: dw,
        addendStride: n
      ).profiled(as: .weightGradients).compute(into: dw, stride: n, scratch: context.panel, context.compute)
    }
    switch weight {
    case .inputMajor(let weight): add(x, inputWidth, dy, outputWidth, to: gradients.of(weight))
    case .outputMajor(let weight): add(dy, outputWidth, x, inputWidth, to: gradients.of(weight))
    case .packed, .quantized: preconditionFailure("a frozen weight cannot be trained")
    }
    if let bias {
      Elementwise.sumRows(dy, into: gradients.of(bias), rows: rows, width: outputWidth, context.compute)
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

  /// dx += the gradient; and where the weights are trained, they get theirs in `gradients`.
  func backward(
    _ x: Floats, mean: Floats, rstd: Floats, dy: Floats, dx: MutableFloats, rows: Int, gradients: WeightGradients?,
    _ compute: Compute
  ) {
    if let gradients {
      LayerNorm.backwardParameters(
        x, mean: mean, rstd: rstd, dy: dy, dweight: gradients.of(weight), dbias: gradients.of(bias), rows: rows,
        width: weight.count, compute)
    }
    LayerNorm.backward(
      x, weight: weight.pointer, mean: mean, rstd: rstd, dy: dy, dx: dx, rows: rows, width: weight.count, compute)
  }
}
