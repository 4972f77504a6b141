import Core
import Kernels
import Quantizing
import Weights

/// How the weight of a linear is kept; how it is stored in the model's files is `Linear.orientation`.
enum LinearWeight: Sendable {
  /// [in, out] in float32.
  case inputMajor(FloatTensor)
  /// [out, in] in float32.
  case outputMajor(FloatTensor)
  /// [in, out], frozen, laid out once for the products in both directions, whichever way it is stored.
  case panels(PanelMatrix)
  /// [out, in] in 16-bit floats, frozen; decoded a panel at a time.
  case half(HalfMatrix)
  /// [out, in] in 4 bits, frozen; decoded a panel at a time, so that it never exists as a whole in float32.
  case quantized(QuantizedMatrix)
  /// [out, in] in ggml's blocks, frozen; decoded a panel at a time, or as its rows are multiplied.
  case blocks(BlockMatrix)
}

/// A linear layer of the decoder: y[N, out] = x[N, in] · W + b.
///
/// It gets gradients itself where all weights are trained; where they are frozen only its input does.
struct Linear: Sendable {
  /// Module name, such as `model.layers.0.self_attn.q_proj`.
  var name: String
  /// Index among the decoder's linears, by which an adapter finds it.
  var index: Int
  /// Index among the linears of its block.
  var slot: Int
  var inputWidth: Int
  var outputWidth: Int
  /// Of the stored tensor.
  var orientation: Orientation
  var weight: LinearWeight
  var bias: FloatTensor?

  /// x[N, in] · W, or some columns of it, as a term of a sum of products; x's rows are contiguous.
  func forwardTerm(_ x: Floats, firstColumn: Int = 0) -> ProductTerm {
    let factor: ProductFactor =
      switch weight {
      case .inputMajor(let weight): .stored(weight.pointer, stride: outputWidth)
      case .outputMajor(let weight): .transposed(weight.pointer, stride: inputWidth)
      case .panels(let weight): .panels(weight)
      case .half(let weight): .halfTransposed(weight)
      case .quantized(let weight): .fourBitTransposed(weight.matrix)
      case .blocks(let weight): .blocksTransposed(weight)
      }
    return ProductTerm(x, rowStride: inputWidth, k: inputWidth, factor, firstColumn: firstColumn)
  }

  /// dy[N, out] · Wᵀ, as a term of a sum of products; its rows are contiguous.
  func backwardTerm(_ dy: Floats) -> ProductTerm {
    backwardTerm(dy, columns: 0..<outputWidth, stride: outputWidth)
  }

  /// What some columns of dy, [N, columns] with rows of `stride`, add to dy · Wᵀ.
  func backwardTerm(_ dy: Floats, columns: Range<Int>, stride: Int) -> ProductTerm {
    let factor: ProductFactor =
      switch weight {
      case .inputMajor(let weight): .transposed(weight.pointer, stride: outputWidth)
      case .outputMajor(let weight): .stored(weight.pointer, stride: inputWidth)
      case .panels(let weight): .panelsTransposed(weight)
      case .half(let weight): .half(weight)
      case .quantized(let weight): .fourBit(weight.matrix)
      case .blocks(let weight): .blocks(weight)
      }
    return ProductTerm(dy, rowStride: stride, k: columns.count, factor, firstRow: columns.lowerBound)
  }

  /// dW += xᵀ · dy, or dyᵀ · x for [out, in], in what belongs to the part's outputs.
  func backwardWeight(_ part: OutputGradient, _ gradients: WeightGradients, _ context: PassContext) {
    let (first, width) = (part.columns.lowerBound, part.columns.count)
    func add(_ a: Floats, stride: Int, m: Int, _ b: ProductFactor, n: Int, to dw: MutableFloats, rowsOf dwStride: Int) {
      ProductSum(
        m: m, n: n, ProductTerm(a, rowStride: 1, step: stride, k: part.rows, b), addend: dw, addendStride: dwStride
      ).profiled(as: .weightGradients).compute(into: dw, stride: dwStride, scratch: context.panel, context.compute)
    }
    switch weight {
    case .inputMajor(let weight):
      add(
        part.x, stride: inputWidth, m: inputWidth, .stored(part.dy, stride: part.stride), n: width,
        to: gradients.of(weight) + first, rowsOf: outputWidth)
    case .outputMajor(let weight):
      add(
        part.dy, stride: part.stride, m: width, .stored(part.x, stride: inputWidth), n: inputWidth,
        to: gradients.of(weight) + first * inputWidth, rowsOf: inputWidth)
    case .panels, .half, .quantized, .blocks: preconditionFailure("a frozen weight cannot be trained")
    }
  }
}
