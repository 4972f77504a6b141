import Core
import GGUF
import Models
import Weights

/// The tensors of a GGUF file, each computed when its turn comes.
struct GGUFTensors {
  let checkpoint: ModelCheckpoint
  let decoder: Decoder
  let adapter: Adapter?
  let architecture: GGUFArchitecture
  let dtype: GGUFWeightType
  let threads: Int

  private var configuration: ModelConfiguration { checkpoint.configuration }

  /// In the order of the computation; what frequencies are divided by comes first.
  func outputs(factors: [(name: String, values: [Float])]) throws -> [GGUFTensorOutput] {
    let linears = Dictionary(
      uniqueKeysWithValues: decoder.linears.enumerated().map { ($1.weightName, $0) })
    let unties = adapter.map { decoder.unties(with: $0) } ?? false
    guard !unties || !architecture.mustTieHead else {
      throw GGUFArchitecture.refusal("a head of its own in \(configuration.architecture.rawValue)")
    }
    let holdsHead = unties || !configuration.tiedHead || architecture.mustHoldHead
    var outputs = factors.map { factors in
      GGUFTensorOutput(factors.name, [factors.values.count], .f32) { sink in
        try factors.values.withUnsafeBufferPointer(sink)
      }
    }
    for tensor in configuration.expectedTensors {
      outputs.append(
        output(tensor, isHead: tensor.role == .head || tensor.role == .tokenEmbedding && !holdsHead) {
          try values(tensor, linears[tensor.name])
        })
    }
    guard holdsHead, configuration.tiedHead else { return outputs }
    var head = configuration.embedding
    head.role = .head
    outputs.append(
      output(head, isHead: true) {
        if unties, let adapter { return decoder.head(with: adapter) }
        return try values(configuration.embedding, nil)
      })
    return outputs
  }

  /// A tensor as the model's files have it, or with what the adapter makes of it.
  private func values(_ tensor: TensorSpecification, _ linear: Int?) throws -> FloatTensor {
    if let adapter {
      if let replaced = decoder.replacedTensor(tensor.name, with: adapter) { return replaced }
      if let linear { return decoder.mergedWeight(of: linear, with: adapter, threads: threads) }
    }
    return try checkpoint.tensor(tensor.name, shape: tensor.shape)
  }

  private func output(
    _ tensor: TensorSpecification, isHead: Bool, _ values: @escaping () throws -> FloatTensor
  ) -> GGUFTensorOutput {
    let change = architecture.change(tensor, configuration)
    var shape = tensor.shape
    if case .transpose = change { shape.reverse() }
    let type = type(tensor, rowLength: shape.last ?? 1, isHead: isHead)
    return GGUFTensorOutput(tensor.nameInGGUF, shape, type) { sink in
      let values = try values()
      try GGUFRows.write(values, change, as: type, name: tensor.name, to: sink)
      values.releasePages()
    }
  }

  /// Only matrices that tokens or linears have are stored in fewer bits.
  private func type(_ tensor: TensorSpecification, rowLength: Int, isHead: Bool) -> GGUFType {
    switch tensor.role {
    case .tokenEmbedding, .head, .linear(_, .weight): dtype.type(rowLength: rowLength, isHead: isHead)
    case .positionEmbedding, .norm, .finalNorm, .linear(_, .bias): .f32
    }
  }
}
