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
  /// Checksum of the manifest of the weights after `bestStep`.
  var bestWeights: Digest?
  var validationsSinceBest = 0
  /// Validation said to stop.
  var stoppedEarly = false
}

/// `checkpoints/step-N/`: an adapter folder or a model folder, the optimiser's moments, the state, and a manifest.
///
/// It is one with `checkpoints/best-M/`, where its state names a best update M: everything else in a run's folder can be
/// made from the two.
struct Checkpoint {
  static let stateFile = "state.json"
  static let momentsFile = "optimizer.safetensors"

  let folder: String
  let manifest: FolderManifest
  let state: TrainingState

  /// Reads the manifest and the state. Throws `badData` or `notFound` where they are damaged, or a file is missing or cut.
  init(_ folder: String) throws {
    self.folder = folder
    manifest = try FolderManifest.read(folder)
    try manifest.checkSizes(folder)
    let path = folder + "/" + Self.stateFile
    let text = try readFile(path, limit: 1 << 20)
    guard let entry = manifest.files.first(where: { $0.name == Self.stateFile }),
      text.withUnsafeBytes({ Digest(of: $0) }) == entry.sha256,
      let state = try? JSONDecoder().decode(TrainingState.self, from: Data(text)), state.step == manifest.step
    else { throw SFTError(.badData, "is damaged: its content is not what was written", file: path) }
    self.state = state
  }

  /// Writes a whole checkpoint under a temporary name and renames it.
  static func write(
    _ state: TrainingState, _ trained: TrainedParameters, _ optimizer: OptimizerState, decoder: Decoder,
    identity: RunIdentity, to folder: String
  ) throws -> Checkpoint {
    try writeDirectoryAtomically(folder) { temporary in
      try identity.write(trained, decoder, to: temporary)
      try optimizer.write(to: temporary + "/" + momentsFile)
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      try writeAtomically(Array(try encoder.encode(state)), to: temporary + "/" + stateFile)
      _ = try FolderManifest.seal(temporary, step: state.step)
    }
    return try Checkpoint(folder)
  }

  /// Takes its values up into `trained` and `optimizer`. Throws where a file is missing or differs from its checksum, or is
  /// not this run's; nothing is changed then.
  func read(into trained: TrainedParameters, _ optimizer: OptimizerState, decoder: Decoder) throws {
    switch trained {
    case .adapter(let adapter):
      try check(has: [AdapterFolder.weightsFile, AdapterFolder.configurationFile])
      let stored = try AdapterFolder.read(folder, for: decoder)
      guard stored.pairs == adapter.pairs, stored.ends == adapter.ends else {
        throw SFTError(.badData, "the checkpoint's adapter is not the run's", file: folder)
      }
      try optimizer.read(folder + "/" + Self.momentsFile)
      adapter.parameters.pointer.update(from: stored.parameters.pointer, count: adapter.count)
    case .weights(let weights):
      try check(has: [TrainableWeights.weightsFile, TrainableWeights.configurationFile])
      try weights.check(folder: folder)
      try optimizer.read(folder + "/" + Self.momentsFile)
      try weights.read(folder: folder)
    }
  }

  /// Throws `badData` unless every file is as it was written.
  private func check(has weights: [String]) throws {
    guard Set(manifest.files.map(\.name)).isSuperset(of: [Self.stateFile, Self.momentsFile] + weights) else {
      throw SFTError(.badData, "is not a checkpoint of this kind of run", file: folder)
    }
    try manifest.check(folder)
  }
}
