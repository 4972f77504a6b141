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
      throw SFTError(.usage, "--quant-skip: no linear of the model is named '\(name)'")
    }
    let selected = linears.filter { linear in !skip.contains { linear.isNamed($0) } }
    guard !selected.isEmpty else { throw SFTError(.usage, "--quant-skip leaves nothing to quantise") }
    return selected.map(\.weightName)
  }
}

/// The base's linears in 4 bits: made once from the checkpoint, then mapped. Embeddings, head, norms and biases stay as they
/// are, in the checkpoint.
enum QuantizedStage {
  static let name = "quantized"
  static let version = 1
  static let dataFile = "linears.safetensors"

  struct Summary: Codable, Sendable, Equatable {
    var linears: Int
    var weights: Int
    var bytes: Int
  }

  static func run(
    _ store: ArtifactStore, _ checkpoint: ModelCheckpoint, digest: Digest,
    _ options: QuantizationOptions, _ compute: Compute
  ) throws -> Artifact<Summary> {
    let names = try options.select(from: checkpoint.configuration.linears)
    let key = ArtifactKey(
      stage: name, version: version,
      settings: [
        Setting("kind", options.settings.kind.rawValue), Setting("double", options.settings.doubleQuantization),
        Setting("tensors", names.joined(separator: " ")),
      ], inputs: [digest])
    return try store.artifact(key) { writer in
      let matrices = try quantize(names, checkpoint, options.settings, compute)
      let tensors = zip(names, matrices).flatMap { name, matrix in matrix.tensors(name: name) }
      try writeSafetensors(tensors, to: writer.path(dataFile))
      return Summary(
        linears: names.count, weights: matrices.reduce(0) { $0 + $1.count },
        bytes: matrices.reduce(0) { $0 + $1.bytes })
    }
  }

  /// Tensor by tensor: besides the results one tensor at most is resident.
  static func quantize(
    _ names: [String], _ checkpoint: ModelCheckpoint, _ settings: QuantizationSettings, _ compute: Compute
  ) throws -> [QuantizedMatrix] {
    let expected = Dictionary(uniqueKeysWithValues: checkpoint.configuration.expectedTensors.map { ($0.name, $0) })
    return try names.map { name in
      guard let tensor = expected[name] else { throw SFTError(.internalError, "there is no tensor \(name)") }
      let weight = try checkpoint.tensor(name, shape: tensor.shape)
      defer { weight.releasePages() }
      return try QuantizedMatrix(
        weight, layout: tensor.orientation == .inputsByOutputs ? .inputsByOutputs : .outputsByInputs, name: name,
        file: checkpoint.folder, settings: settings, compute)
    }
  }

  /// What `run` made, by tensor name; the codes stay in the mapped file.
  static func open(_ artifact: Artifact<Summary>, _ checkpoint: ModelCheckpoint) throws -> [String: QuantizedMatrix] {
    let file = try SafetensorsFile(try artifact.file(dataFile))
    var matrices: [String: QuantizedMatrix] = [:]
    for linear in checkpoint.configuration.linears where QuantizedMatrix.isStored(linear.weightName, in: file) {
      matrices[linear.weightName] = try QuantizedMatrix(
        reading: linear.weightName, outputs: linear.outputWidth, inputs: linear.inputWidth, from: file)
    }
    return matrices
  }

  /// The weights of a folder that is stored in 4 bits.
  static func open(_ checkpoint: ModelCheckpoint) throws -> [String: QuantizedMatrix] {
    var matrices: [String: QuantizedMatrix] = [:]
    for linear in checkpoint.configuration.linears where checkpoint.quantizedNames.contains(linear.weightName) {
      matrices[linear.weightName] = try QuantizedMatrix(
        reading: try checkpoint.storedName(linear.weightName), outputs: linear.outputWidth, inputs: linear.inputWidth,
        from: checkpoint.weights)
    }
    return matrices
  }
}
