import Kernels
import Weights

extension Decoder {
  /// A linear's weight with an adapter's product added: W + s · Aᵀ · Bᵀ for [in, out], W + s · B · A for [out, in]. The
  /// base stays as it is; of a quantised base it is the decoded weight, [out, in].
  public func mergedWeight(of linear: Int, with adapter: Adapter, threads: Int) -> FloatTensor {
    let linear = blocks.flatMap(\.linears)[linear]
    switch linear.weight {
    case .inputMajor(let weight):
      return merged(weight, linear, adapter) { a, b, rank, scale, merged in
        LinearAlgebra.multiply(
          m: linear.inputWidth, n: linear.outputWidth, k: rank, alpha: scale, a: a, lda: linear.inputWidth,
          transposeA: true, b: b, ldb: rank, transposeB: true, beta: 1, c: merged, ldc: linear.outputWidth)
      }
    case .outputMajor(let weight): return mergedOutputMajor(weight, linear, adapter)
    case .quantized(let weight): return mergedOutputMajor(weight.decoded(Compute(threads: threads)), linear, adapter)
    }
  }

  private func mergedOutputMajor(_ weight: FloatTensor, _ linear: Linear, _ adapter: Adapter) -> FloatTensor {
    merged(weight, linear, adapter) { a, b, rank, scale, merged in
      LinearAlgebra.multiply(
        m: linear.outputWidth, n: linear.inputWidth, k: rank, alpha: scale, a: b, lda: rank, b: a,
        ldb: linear.inputWidth, beta: 1, c: merged, ldc: linear.inputWidth)
    }
  }

  /// A copy of `weight` to which `add` adds the adapter's product, where the linear has one.
  private func merged(
    _ weight: FloatTensor, _ linear: Linear, _ adapter: Adapter,
    _ add: (_ a: Floats, _ b: Floats, _ rank: Int, _ scale: Float, _ merged: MutableFloats) -> Void
  ) -> FloatTensor {
    FloatTensor(shape: weight.shape) { values in
      guard let merged = values.baseAddress else { return }
      weight.withValues { if let source = $0.baseAddress { merged.update(from: source, count: values.count) } }
      guard let pair = adapter.pair(of: linear) else { return }
      let parameters = Floats(adapter.parameters.pointer)
      add(
        parameters + pair.aOffset, parameters + pair.bOffset, adapter.configuration.rank, adapter.configuration.scale,
        merged)
    }
  }
}
