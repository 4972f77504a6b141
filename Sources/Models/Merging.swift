import Kernels
import Weights

extension Decoder {
  /// A linear's weight with an adapter's product added: W + s · Aᵀ · Bᵀ for [in, out], W + s · B · A for [out, in]. The
  /// base stays as it is.
  public func mergedWeight(of linear: Int, with adapter: Adapter) -> FloatTensor {
    let linear = blocks.flatMap(\.linears)[linear]
    return FloatTensor(shape: linear.weight.shape) { values in
      guard let merged = values.baseAddress else { return }
      merged.update(from: linear.weight.pointer, count: values.count)
      guard let pair = adapter.pair(of: linear) else { return }
      let (rank, scale) = (adapter.configuration.rank, adapter.configuration.scale)
      let (a, b) = (adapter.parameters.pointer + pair.aOffset, adapter.parameters.pointer + pair.bOffset)
      switch linear.layout {
      case .inputMajor:
        LinearAlgebra.multiply(
          m: linear.inputWidth, n: linear.outputWidth, k: rank, alpha: scale, a: a, lda: linear.inputWidth,
          transposeA: true, b: b, ldb: rank, transposeB: true, beta: 1, c: merged, ldc: linear.outputWidth)
      case .outputMajor:
        LinearAlgebra.multiply(
          m: linear.outputWidth, n: linear.inputWidth, k: rank, alpha: scale, a: b, lda: rank, b: a,
          ldb: linear.inputWidth, beta: 1, c: merged, ldc: linear.inputWidth)
      }
    }
  }
}
