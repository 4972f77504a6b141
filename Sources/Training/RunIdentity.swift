import Core
import Files
import Models

/// What the weights written by a run say of where they are from.
public struct RunIdentity: Sendable {
  /// Folder or name, as `base_model_name_or_path`.
  public var baseModel: String
  public var baseDigest: Digest
  /// How the base is quantised, in words.
  public var quantization: String?
  /// The folder whose `config.json` a trained model takes, and the tokenizer's files that it gets.
  public var modelFolder: String?
  public var tokenizerFiles: [String]

  public init(
    baseModel: String, baseDigest: Digest, quantization: String? = nil, modelFolder: String? = nil,
    tokenizerFiles: [String] = []
  ) {
    self.baseModel = baseModel
    self.baseDigest = baseDigest
    self.quantization = quantization
    self.modelFolder = modelFolder
    self.tokenizerFiles = tokenizerFiles
  }

  /// Writes an adapter folder, or a model folder; `folder` must exist.
  func write(_ trained: TrainedParameters, _ decoder: Decoder, to folder: String) throws {
    switch trained {
    case .adapter(let adapter):
      try AdapterFolder.write(
        adapter, for: decoder, to: folder, baseModel: baseModel, baseDigest: baseDigest, quantization: quantization)
    case .weights(let weights):
      try weights.write(to: folder, like: modelFolder ?? baseModel, companions: tokenizerFiles)
    }
  }
}
