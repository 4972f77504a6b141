import Artifacts
import Core
import Files
import Kernels
import Models
import Quantizing
import Weights

/// How the base's linears are quantised.
public struct QuantizationOptions: Sendable, Equatable, Codable {
  public var settings: QuantizationSettings
  /// Linears left in full precision: module names or the ends of them at a dot, sorted.
  public var skip: [String]

  public init(settings: QuantizationSettings = QuantizationSettings(), skip: [String] = []) {
    self.settings = settings
    self.skip = skip.sorted()
  }

  /// In words, as it is recorded beside an adapter: "nf4, double quantisation, without c_proj".
  public var description: String {
    settings.kind.rawValue + (settings.doubleQuantization ? ", " + Self.doubleWords : "")
      + (skip.isEmpty ? "" : ", " + Self.skipWords + skip.joined(separator: " "))
  }

  private static let doubleWords = "double quantisation"
  private static let skipWords = "without "

  /// What a `description` says; nil for anything else.
  init?(description: String) {
    let parts = description.split(separator: ", ")
    guard let kind = parts.first.flatMap({ FourBitCode(rawValue: String($0)) }) else { return nil }
    let skip = parts.last.flatMap { $0.hasPrefix(Self.skipWords) ? $0.dropFirst(Self.skipWords.count) : nil }
    self.init(
      settings: QuantizationSettings(kind: kind, doubleQuantization: parts.contains { $0 == Self.doubleWords }),
      skip: skip?.split(separator: " ").map(String.init) ?? [])
    guard self.description == description else { return nil }
  }

  /// The linears to quantise, as tensor names. Throws `usage` for a name that is no linear's, and where none is left.
  func select(from linears: [LinearDescription]) throws -> [String] {
    for name in skip where !linears.contains(where: { $0.isNamed(name) }) {
      throw SFTError(.usage, "\(OptionName.quantSkip): no linear of the model is named '\(name)'")
    }
    let selected = linears.filter { linear in !skip.contains { linear.isNamed($0) } }
    guard !selected.isEmpty else { throw SFTError(.usage, "\(OptionName.quantSkip) leaves nothing to quantise") }
    return selected.map(\.weightName)
  }
}

/// The base's linears in 4 bits: made once from the checkpoint, then mapped. Embeddings, head, norms and biases stay as they
/// are, in the checkpoint.
enum QuantizedStage {
  static let name = "quantized"
  static let version = 2

  struct Summary: Codable, Sendable, Equatable {
    var linears: Int
    var weights: Int
    var bytes: Int
  }

  /// The artifact that is there, or one that is made; a model whose digest is not known yet is read once for both.
  static func run(
    _ workspace: Workspace, _ checkpoint: ModelCheckpoint, _ options: QuantizationOptions, _ compute: Compute
  ) throws -> Artifact<Summary> {
    let names = try options.select(from: checkpoint.configuration.linears)
    let store = workspace.store
    func key(_ digest: Digest) -> ArtifactKey { Self.key(digest, options, names) }
    /// Where other bases were quantised, one of them may be this one from before it was moved: that is asked first.
    func known() throws -> Digest? {
      try workspace.knownDigest(checkpoint) ?? (store.hasArtifacts(name) ? modelDigest(checkpoint, in: workspace) : nil)
    }
    if let digest = try known(), let found = try store.found(key(digest), Summary.self) { return found }
    let work = try store.unfinishedWork(
      name, key: QuantizedParts.key(checkpoint, names, options.settings))
    // Another process may have made it in the meantime.
    let digest = try known()
    if let digest, let found = try store.found(key(digest), Summary.self) {
      try work.remove()
      return found
    }
    let parts = QuantizedParts(
      checkpoint: checkpoint, names: names, settings: options.settings, hashes: digest == nil, compute: compute,
      work: work)
    let made = try parts.make(notice: workspace.notice, progress: workspace.progress)
    if let digest = made.digest { workspace.keepDigest(digest, checkpoint) }
    guard let digest = digest ?? made.digest else {
      throw SFTError(.internalError, "the base has no digest", file: checkpoint.folder)
    }
    let artifact = try store.artifact(key(digest)) { writer in
      let matrices = try open(made.files.map(\.path), checkpoint).values
      for (number, file) in made.files.enumerated() {
        try writer.adopt(file.path, as: QuantizedParts.fileName(number), sha256: file.sha256)
      }
      return Summary(
        linears: matrices.count, weights: matrices.reduce(0) { $0 + $1.count },
        bytes: matrices.reduce(0) { $0 + $1.bytes })
    }
    try work.remove()
    return artifact
  }

  private static func key(_ digest: Digest, _ options: QuantizationOptions, _ names: [String]) -> ArtifactKey {
    ArtifactKey(
      stage: name, version: version,
      settings: [
        Setting("kind", options.settings.kind.rawValue), Setting("double", options.settings.doubleQuantization),
        Setting("tensors", names.joined(separator: " ")),
      ], inputs: [digest])
  }

  /// What `run` made before, where that can be told without reading the weights.
  static func found(
    _ workspace: Workspace, _ checkpoint: ModelCheckpoint, _ options: QuantizationOptions
  ) throws -> Artifact<Summary>? {
    guard let digest = workspace.knownDigest(checkpoint) else { return nil }
    return try workspace.store.found(
      key(digest, options, options.select(from: checkpoint.configuration.linears)), Summary.self)
  }

  /// What `run` made, by tensor name; the codes stay in the mapped files.
  static func open(_ artifact: Artifact<Summary>, _ checkpoint: ModelCheckpoint) throws -> [String: QuantizedMatrix] {
    try open(artifact.files.map { try artifact.file($0.name) }, checkpoint)
  }

  /// The quantised linears that some files hold.
  static func open(_ paths: [String], _ checkpoint: ModelCheckpoint) throws -> [String: QuantizedMatrix] {
    let linears = checkpoint.configuration.linears
    var matrices: [String: QuantizedMatrix] = [:]
    for path in paths {
      let file = try SafetensorsFile(path)
      for linear in linears where QuantizedMatrix.isStored(linear.weightName, in: file) {
        matrices[linear.weightName] = try QuantizedMatrix(
          reading: linear.weightName, outputs: linear.outputWidth, inputs: linear.inputWidth, from: file)
      }
    }
    return matrices
  }

  /// The weights of a folder that is stored in 4 bits.
  static func open(_ checkpoint: ModelCheckpoint) throws -> [String: QuantizedMatrix] {
    var matrices: [String: QuantizedMatrix] = [:]
    for linear in checkpoint.configuration.linears where checkpoint.quantizedNames.contains(linear.weightName) {
      matrices[linear.weightName] = try QuantizedMatrix(
        reading: try checkpoint.storedName(linear.weightName), outputs: linear.outputWidth, inputs: linear.inputWidth,
        from: try checkpoint.weights)
    }
    return matrices
  }
}
