import Core
import Files
import GGUF

/// The tensors of a GGUF file.
struct GGUFSource: TensorSource {
  let identity: String
  let ignored: [String]
  private let file: GGUFFile
  private let tensors: [String: GGUFTensor]

  /// What frequencies are divided by: read with the configuration.
  static let frequencyTensors = ["rope_factors_long.weight", "rope_factors_short.weight", "rope_freqs.weight"]

  /// Finds every expected tensor, checks its shape, and refuses what is left over.
  ///
  /// Throws `badData`, naming file and tensor.
  init(_ file: GGUFFile, _ configuration: ModelConfiguration, identity: String) throws {
    (self.file, self.identity) = (file, identity)
    let architecture = GGUFArchitecture.of(configuration.architecture, layers: configuration.layers)
    let expected = configuration.expectedTensors
    let missing = expected.map(\.nameInGGUF).filter { file.info($0) == nil }
    let known = Set(expected.map(\.nameInGGUF) + Self.frequencyTensors)
    let unexpected = file.tensors.map(\.name).filter { !known.contains($0) }.sorted()
    guard missing.isEmpty else {
      let extra = unexpected.isEmpty ? "" : "; not expected: \(listed(unexpected))"
      throw SFTError(
        .badData, "the file lacks \(missing.count) of \(expected.count) tensors: \(listed(missing))\(extra)",
        file: file.path)
    }
    guard unexpected.isEmpty else {
      throw SFTError(
        .badData,
        "the file has \(counted(unexpected.count)) that a \(architecture.name) of these keys does not: "
          + listed(unexpected), file: file.path)
    }
    var tensors: [String: GGUFTensor] = [:]
    for tensor in expected {
      let change = architecture.change(tensor, configuration)
      guard let info = file.info(tensor.nameInGGUF) else { continue }
      let shape = change == .transpose ? tensor.shape.reversed() : tensor.shape
      guard info.shape == shape else {
        throw SFTError(
          .badData,
          "tensor \(quoted(info.name)): the keys '\(architecture.name).*' give it shape \(shape), found \(info.shape)",
          file: file.path)
      }
      tensors[tensor.name] = GGUFTensor(file: file, info: info, shape: tensor.shape, change: change)
    }
    self.tensors = tensors
    ignored = file.tensors.map(\.name).filter { Self.frequencyTensors.contains($0) }.sorted()
  }

  var byteCount: Int { file.byteCount }
  var quantizedNames: Set<String> { [] }

  private func tensor(_ name: String) throws -> GGUFTensor {
    guard let tensor = tensors[name] else {
      throw SFTError(.badData, "the model has no tensor \(quoted(name))", file: file.path)
    }
    return tensor
  }

  private func tensor(_ name: String, shape: [Int]) throws -> GGUFTensor {
    let tensor = try tensor(name)
    guard tensor.shape == shape else {
      throw SFTError(
        .badData, "tensor \(quoted(tensor.info.name)): expected shape \(shape), found \(tensor.shape)", file: file.path)
    }
    return tensor
  }

  func info(_ name: String) throws -> StoredTensor { try tensor(name).stored }
  func floats(_ name: String, shape: [Int]) throws -> FloatTensor { try tensor(name, shape: shape).floats() }
  func halves(_ tensor: TensorSpecification) throws -> HalfTensor? {
    try self.tensor(tensor.name, shape: tensor.shape).halves()
  }
  func blocks(_ name: String) throws -> BlockTensor? { try tensor(name).blocks() }
  func pieces(_ name: String) throws -> TensorPieces { TensorPieces(try tensor(name)) }
  func place(_ name: String) throws -> (stored: String, file: String) { (try tensor(name).info.name, file.path) }
}
