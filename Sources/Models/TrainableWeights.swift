import Core
import Files
import Kernels
import Weights

/// All weights of a decoder in one flat float32 memory, to be trained.
public final class TrainableWeights {
  public let configuration: ModelConfiguration
  /// By canonical name, in the order of the computation.
  public let tensors: [ParameterTensor]
  /// How many parameters there are.
  public let count: Int
  public let parameters: FloatBuffer

  /// Zeros.
  public init(_ configuration: ModelConfiguration) {
    self.configuration = configuration
    tensors = Self.tensors(of: configuration)
    count = tensors.reduce(0) { $0 + $1.count }
    parameters = FloatBuffer(count)
    parameters.useLargePages()
  }

  /// Where each tensor of a model lies in the memory.
  public static func tensors(of configuration: ModelConfiguration) -> [ParameterTensor] {
    var offset = 0
    return configuration.expectedTensors.map { tensor in
      defer { offset += tensor.shape.reduce(1, *) }
      return ParameterTensor(name: tensor.name, shape: tensor.shape, offset: offset)
    }
  }

  /// A model's weights as they are stored, in float32. Throws as `ModelCheckpoint.tensor` does.
  public convenience init(_ checkpoint: ModelCheckpoint) throws {
    self.init(checkpoint.configuration)
    try read(checkpoint)
  }

  public func values(_ tensor: ParameterTensor) -> UnsafeMutableBufferPointer<Float> {
    UnsafeMutableBufferPointer(start: parameters.pointer + tensor.offset, count: tensor.count)
  }

  /// The decoder that computes with these weights: what is written to them, its next pass uses.
  public func decoder() throws -> Decoder {
    let offsets = Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0.offset) })
    return try Decoder(
      WeightSource(configuration) { [parameters] name, shape in
        guard let offset = offsets[name] else { throw SFTError(.internalError, "there is no tensor \(name)") }
        return FloatTensor(viewing: parameters.pointer + offset, shape: shape, keptBy: parameters)
      })
  }

  // MARK: - In a folder

  public static let weightsFile = "model.safetensors"
  public static let configurationFile = "config.json"

  /// Writes a model folder, in transformers' names; `folder` must exist. Everything but the weights is `model`'s: its
  /// `config.json` with the dtype of what is written, and `companions`, which are files of the tokenizer.
  public func write(to folder: String, like model: String, companions: [String]) throws {
    let outputs = tensors.map { tensor in
      TensorOutput(tensor.name, .f32, tensor.shape) { sink in try sink(UnsafeRawBufferPointer(self.values(tensor))) }
    }
    try writeSafetensors(outputs, to: folder + "/" + Self.weightsFile)
    try writeConfiguration(
      from: model + "/" + Self.configurationFile, to: folder + "/" + Self.configurationFile)
    try copyCompanions(of: model, companions, to: folder)
  }

  /// Takes up a model folder's weights. Throws as `check`; nothing is changed then.
  public func read(folder: String) throws { try read(check(folder: folder)) }

  /// Throws `badData`, naming the tensor, where a model folder's weights are not of this configuration or hold a value that
  /// is not finite.
  @discardableResult
  public func check(folder: String) throws -> ModelCheckpoint {
    let checkpoint = try ModelCheckpoint(folder: folder)
    guard checkpoint.configuration.expectedTensors == configuration.expectedTensors else {
      throw SFTError(.badData, "the weights are not of this model", file: folder)
    }
    for tensor in tensors {
      let stored = try checkpoint.tensor(tensor.name, shape: tensor.shape)
      guard stored.withValues({ $0.allSatisfy(\.isFinite) }) else {
        throw SFTError(.badData, "tensor '\(tensor.name)' holds an infinity or NaN", file: folder)
      }
    }
    return checkpoint
  }

  private func read(_ checkpoint: ModelCheckpoint) throws {
    for tensor in tensors {
      let stored = try checkpoint.tensor(tensor.name, shape: tensor.shape)
      stored.withValues { source in
        _ = values(tensor).update(fromContentsOf: source)
      }
      // The file's pages are not needed beside the copy.
      stored.releasePages()
    }
  }
}
