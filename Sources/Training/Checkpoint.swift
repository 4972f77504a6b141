import Core
import Files
import FoundationEssentials
import Kernels
import Models

/// Where a run stands after an update, besides the weights and moments.
struct TrainingState: Sendable, Equatable, Codable {
  /// Updates done.
  var step = 0
  var bestLoss: Double?
  var bestStep: Int?
  var validationsSinceBest = 0
  /// Validation said to stop.
  var stoppedEarly = false
}

/// `checkpoints/step-N/`: an adapter folder or a model folder, the optimiser's moments, the state, and a manifest with checksums.
struct Checkpoint {
  static let stateFile = "state.json"
  static let momentsFile = "optimizer.safetensors"
  static let manifestFile = "manifest.json"

  private struct Manifest: Codable {
    struct Entry: Codable {
      var name: String
      var size: Int
      var sha256: Digest
    }
    var files: [Entry]
  }

  /// Writes a whole checkpoint under a temporary name and renames it.
  static func write(
    _ state: TrainingState, _ trained: TrainedParameters, _ optimizer: OptimizerState, decoder: Decoder,
    identity: RunIdentity, to folder: String
  ) throws {
    try writeDirectoryAtomically(folder) { temporary in
      try identity.write(trained, decoder, to: temporary)
      try optimizer.write(to: temporary + "/" + momentsFile)
      try writeAtomically(Array(try encoder().encode(state)), to: temporary + "/" + stateFile)
      let entries = try directoryEntries(temporary).map { name in
        let path = temporary + "/" + name
        return Manifest.Entry(name: name, size: try FileStatus(path)?.size ?? 0, sha256: try Digest(ofFile: path))
      }
      try writeAtomically(Array(try encoder().encode(Manifest(files: entries))), to: temporary + "/" + manifestFile)
    }
  }

  /// Reads a checkpoint into `trained` and `optimizer`. Throws where a file is missing or differs from its checksum, or is
  /// not this run's; nothing is changed then.
  static func read(
    _ folder: String, _ trained: TrainedParameters, _ optimizer: OptimizerState, decoder: Decoder
  ) throws -> TrainingState {
    switch trained {
    case .adapter(let adapter):
      try verify(folder, has: [AdapterFolder.weightsFile, AdapterFolder.configurationFile])
      let state = try readState(folder)
      let stored = try AdapterFolder.read(folder, for: decoder)
      guard stored.pairs == adapter.pairs else {
        throw SFTError(.badData, "the checkpoint's adapter is not the run's", file: folder)
      }
      try optimizer.read(folder + "/" + momentsFile)
      adapter.parameters.pointer.update(from: stored.parameters.pointer, count: adapter.count)
      return state
    case .weights(let weights):
      try verify(folder, has: [TrainableWeights.weightsFile, TrainableWeights.configurationFile])
      let state = try readState(folder)
      try weights.check(folder: folder)
      try optimizer.read(folder + "/" + momentsFile)
      try weights.read(folder: folder)
      return state
    }
  }

  private static func readState(_ folder: String) throws -> TrainingState {
    try JSONDecoder().decode(TrainingState.self, from: Data(try readFile(folder + "/" + stateFile)))
  }

  /// Throws `badData` unless every file is as it was written.
  private static func verify(_ folder: String, has weights: [String]) throws {
    let path = folder + "/" + manifestFile
    guard let manifest = try? JSONDecoder().decode(Manifest.self, from: Data(try readFile(path, limit: 1 << 20))),
      Set(manifest.files.map(\.name)).isSuperset(of: [stateFile, momentsFile] + weights)
    else { throw SFTError(.badData, "is not a checkpoint's manifest", file: path) }
    for entry in manifest.files {
      let file = folder + "/" + entry.name
      guard !entry.name.contains("/"), try FileStatus(file)?.size == entry.size,
        try Digest(ofFile: file) == entry.sha256
      else { throw SFTError(.badData, "is damaged: its content is not what was written", file: file) }
    }
  }

  private static func encoder() -> JSONEncoder {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return encoder
  }
}

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
