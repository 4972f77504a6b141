import Core
import Models
import ONNX
import Weights

/// Where the values of a graph's weights come from: a model's files, with an adapter merged in where one is given.
struct ONNXWeights {
  let checkpoint: ModelCheckpoint
  let decoder: Decoder
  let adapter: Adapter?
  let threads: Int

  /// Whether the adapter gives a head that is tied to the embedding a matrix of its own.
  var untiesHead: Bool { adapter.map { decoder.unties(with: $0) } ?? false }

  /// In the order of the computation, each under the model's own name and as its files have it turned.
  var values: [WeightValues] {
    let configuration = checkpoint.configuration
    let linears = Dictionary(uniqueKeysWithValues: decoder.linears.enumerated().map { ($1.weightName, $0) })
    var values = configuration.expectedTensors.map { tensor in
      weight(tensor.name, tensor.shape) { try self.tensor(tensor, linear: linears[tensor.name]) }
    }
    if untiesHead, let adapter {
      values.append(
        weight(configuration.headName, configuration.embedding.shape) { decoder.head(with: adapter) })
    }
    return values
  }

  private func tensor(_ tensor: TensorSpecification, linear: Int?) throws -> FloatTensor {
    guard let adapter else { return try checkpoint.tensor(tensor.name, shape: tensor.shape) }
    if let replaced = decoder.replacedTensor(tensor.name, with: adapter) { return replaced }
    guard let linear else { return try checkpoint.tensor(tensor.name, shape: tensor.shape) }
    return decoder.mergedWeight(of: linear, with: adapter, threads: threads)
  }

  private func weight(_ name: String, _ shape: [Int], _ tensor: @escaping () throws -> FloatTensor) -> WeightValues {
    WeightValues(name, shape) { sink in
      let tensor = try tensor()
      guard tensor.shape == shape else {
        throw SFTError(
          .internalError, "the weight \(quoted(name)) has shape \(tensor.shape), expected \(shape)",
          file: checkpoint.folder)
      }
      try tensor.withValues { try sink(UnsafeRawBufferPointer($0)) }
      tensor.releasePages()
    }
  }
}
