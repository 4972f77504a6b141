import Kernels
import Quantizing
import Weights

extension Decoder {
  /// A linear's weight with an adapter's product added, in float32 and in the orientation that the model's files have: W +
  /// s · Aᵀ · Bᵀ for [in, out], W + s · B · A for [out, in]. The base stays as it is; of a quantised base it is the decoded
  /// weight.
  public func mergedWeight(of linear: Int, with adapter: Adapter, threads: Int) -> FloatTensor {
    let linear = blocks.flatMap(\.linears)[linear]
    let weight = linear.floats(Compute(threads: threads))
    switch linear.orientation {
    case .inputsByOutputs: return mergedInputMajor(weight, linear, adapter, threads: threads)
    case .outputsByInputs: return mergedOutputMajor(weight, linear, adapter, threads: threads)
    }
  }

  /// A tensor of the embedding, the head or the final norm with what an adapter has in the place of the base's; nil where that
  /// is nothing. `name` is the model's.
  public func replacedTensor(_ name: String, with adapter: Adapter) -> FloatTensor? {
    guard let end = adapter.ends.first(where: { $0.name == name }) else { return nil }
    guard let tokens = end.tokens else { return end.tensor.view(of: adapter.parameters) }
    let (width, rows) = (configuration.width, end.tensor.view(of: adapter.parameters))
    let whole = TrainedEnd(
      end: end.end, tokens: nil,
      tensor: ParameterTensor(name: name, shape: [configuration.vocabularySize, width], offset: 0), name: name)
    return FloatTensor(shape: whole.tensor.shape) { values in
      guard let values = values.baseAddress else { return }
      ends(with: nil).copy(whole, into: values)
      for (row, token) in tokens.enumerated() {
        (values + Int(token) * width).update(from: rows.pointer + row * width, count: width)
      }
    }
  }

  /// Whether an adapter gives a head that is tied to the embedding a matrix of its own.
  public func unties(with adapter: Adapter) -> Bool {
    configuration.tiedHead && adapter.ends.contains { $0.tokens == nil && $0.end != .finalNorm }
  }

  /// The head's weight, [V, C], in float32, with what an adapter has in the place of the base's.
  public func head(with adapter: Adapter) -> FloatTensor {
    let shape = configuration.embedding.shape
    let head = TrainedEnd(
      end: .head, tokens: nil, tensor: ParameterTensor(name: "", shape: shape, offset: 0), name: configuration.headName)
    return FloatTensor(shape: shape) {
      if let values = $0.baseAddress { ends(with: adapter).copy(head, into: values) }
    }
  }

  /// What an adapter adds to a linear's weight: s · B · A [out, in], however the weight is stored; zeros where the adapter
  /// leaves the linear alone.
  public func delta(of linear: Int, with adapter: Adapter, threads: Int) -> FloatTensor {
    let linear = blocks.flatMap(\.linears)[linear]
    return FloatTensor(shape: [linear.outputWidth, linear.inputWidth]) { values in
      values.initialize(repeating: 0)
      if let product = Product(linear, adapter), let delta = values.baseAddress {
        product.add(to: delta, threads: threads)
      }
    }
  }

  /// What is left of an adapter's change to a linear's weight where the weight is quantised with the adapter merged in, against
  /// the weight quantised without it.
  ///
  /// Throws `badData`, naming the tensor, where a weight or a merged weight is not finite.
  public func deltaSurvival(
    of index: Int, with adapter: Adapter, _ settings: QuantizationSettings, threads: Int
  ) throws -> DeltaSurvival {
    let linear = blocks.flatMap(\.linears)[index]
    let compute = Compute(threads: threads)
    let weight = linear.floats(compute)
    let layout: FourBit.Layout = linear.orientation == .inputsByOutputs ? .inputsByOutputs : .outputsByInputs
    func quantize(_ weight: FloatTensor) throws -> QuantizedMatrix {
      try QuantizedMatrix(weight, layout: layout, name: linear.name + ".weight", settings: settings, compute)
    }
    return DeltaSurvival(
      of: delta(of: index, with: adapter, threads: threads), base: try quantize(weight),
      changed: try quantize(mergedWeight(of: index, with: adapter, threads: threads)), compute)
  }

  private func mergedInputMajor(
    _ weight: FloatTensor, _ linear: Linear, _ adapter: Adapter, threads: Int
  ) -> FloatTensor {
    merged(weight, linear, adapter) { product, merged in
      LinearAlgebra.multiply(
        m: linear.inputWidth, n: linear.outputWidth, k: product.rank, alpha: product.scale, a: product.a,
        lda: linear.inputWidth, transposeA: true, b: product.b, ldb: product.rank, transposeB: true, beta: 1,
        c: merged, ldc: linear.outputWidth, threads: threads)
    }
  }

  private func mergedOutputMajor(
    _ weight: FloatTensor, _ linear: Linear, _ adapter: Adapter, threads: Int
  ) -> FloatTensor {
    merged(weight, linear, adapter) { product, merged in product.add(to: merged, threads: threads) }
  }

  /// A copy of `weight` to which `add` adds the adapter's product, where the linear has one.
  private func merged(
    _ weight: FloatTensor, _ linear: Linear, _ adapter: Adapter, _ add: (Product, _ merged: MutableFloats) -> Void
  ) -> FloatTensor {
    FloatTensor(shape: weight.shape) { values in
      guard let merged = values.baseAddress else { return }
      weight.withValues { if let source = $0.baseAddress { merged.update(from: source, count: values.count) } }
      if let product = Product(linear, adapter) { add(product, merged) }
    }
  }
}

extension Linear {
  /// The weight in float32, in the orientation that the model's files have.
  fileprivate func floats(_ compute: Compute) -> FloatTensor {
    switch weight {
    case .inputMajor(let weight), .outputMajor(let weight): weight
    case .quantized(let matrix): oriented(matrix.decoded(compute), compute)
    case .blocks(let matrix):
      oriented(
        FloatTensor(shape: [outputWidth, inputWidth]) { values in
          if let target = values.baseAddress { matrix.decode(rows: 0..<outputWidth, into: target, compute) }
        }, compute)
    case .half(let matrix):
      oriented(
        FloatTensor(shape: [outputWidth, inputWidth]) { values in
          if let target = values.baseAddress { matrix.decode(row: 0, count: values.count, into: target) }
        }, compute)
    case .panels(let matrix): unpacked(matrix)
    }
  }

  /// What is [out, in], as the model's files have it.
  private func oriented(_ weight: FloatTensor, _ compute: Compute) -> FloatTensor {
    guard orientation == .inputsByOutputs else { return weight }
    return FloatTensor(shape: [inputWidth, outputWidth]) { values in
      guard let target = values.baseAddress else { return }
      LinearAlgebra.transpose(weight.pointer, rows: outputWidth, columns: inputWidth, into: target, compute)
    }
  }

  private func unpacked(_ matrix: PanelMatrix) -> FloatTensor {
    switch orientation {
    case .inputsByOutputs:
      FloatTensor(shape: [inputWidth, outputWidth]) { values in
        if let target = values.baseAddress { matrix.unpack(into: target) }
      }
    case .outputsByInputs:
      FloatTensor(shape: [outputWidth, inputWidth]) { values in
        if let target = values.baseAddress { matrix.unpackTransposed(into: target) }
      }
    }
  }
}

/// scale · B · A of one linear; the pointers are the adapter's.
private struct Product {
  /// [r, in].
  let a: Floats
  /// [out, r].
  let b: Floats
  let rank: Int
  let scale: Float
  let inputWidth: Int
  let outputWidth: Int

  /// nil where the adapter leaves the linear alone.
  init?(_ linear: Linear, _ adapter: Adapter) {
    guard let pair = adapter.pair(of: linear) else { return nil }
    a = Floats(adapter.parameters.pointer) + pair.aOffset
    b = Floats(adapter.parameters.pointer) + pair.bOffset
    (rank, scale) = (adapter.configuration.rank, adapter.configuration.scale)
    (inputWidth, outputWidth) = (pair.inputWidth, pair.outputWidth)
  }

  /// y[out, in] += it.
  func add(to y: MutableFloats, threads: Int) {
    LinearAlgebra.multiply(
      m: outputWidth, n: inputWidth, k: rank, alpha: scale, a: b, lda: rank, b: a, ldb: inputWidth, beta: 1, c: y,
      ldc: inputWidth, threads: threads)
  }
}
