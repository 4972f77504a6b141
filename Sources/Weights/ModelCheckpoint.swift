import Core
import Files

/// A model folder: its configuration, and its tensors by canonical name, whatever layout the files have. Opening it checks
/// that every tensor is there in the right shape; values are read only when asked for.
public final class ModelCheckpoint: Sendable {
  public let folder: String
  public let configuration: ModelConfiguration
  /// The files, by the names they use.
  public let weights: WeightFiles
  /// Tensors in the files that the model does not use, by the names they have there, sorted: mask buffers, a tied head.
  public let ignored: [String]
  /// Canonical name → name in the files.
  private let storedNames: [String: String]
  private let configurationIdentity: String

  /// Throws `notFound` where `config.json` or the weights are missing, and `badData`, naming file and key or tensor, for
  /// what does not fit.
  public init(folder: String) throws {
    let path = folder + "/config.json"
    self.folder = folder
    configurationIdentity = try WeightFiles.identity(path)
    configuration = try ModelConfiguration(path: path)
    if let method = configuration.quantizationMethod {
      throw SFTError(
        .badData, "'quantization_config': the weights are stored quantised (\(quoted(method))), which is not read here",
        file: path, advice: "Give the folder of the model they were made from")
    }
    weights = try WeightFiles(folder: folder)
    (storedNames, ignored) = try Self.match(configuration, weights)
  }

  /// A tensor's values: a view of the file where it is stored as aligned float32, else converted into memory of its own
  /// each time it is asked for. Throws `badData` where the model has no such tensor, or not in that shape.
  public func tensor(_ name: String, shape: [Int]) throws -> FloatTensor {
    try weights.floats(try storedName(name), shape: shape)
  }

  /// A tensor's dtype, shape and place in its file, by its canonical name.
  public func info(_ name: String) throws -> TensorInfo {
    guard let info = weights.info(try storedName(name)) else { throw missing(name) }
    return info
  }

  /// What tells an untouched folder from a changed one without reading the weights.
  public var identity: String { configurationIdentity + "\n" + weights.identity }

  /// The name in the files of a canonical name.
  func storedName(_ name: String) throws -> String {
    guard let stored = storedNames[name] else { throw missing(name) }
    return stored
  }

  private func missing(_ name: String) -> SFTError {
    SFTError(.badData, "the model has no tensor \(quoted(name))", file: folder)
  }

  /// Finds every expected tensor among the stored ones, checks shapes and dtypes, and refuses what is left over.
  private static func match(
    _ configuration: ModelConfiguration, _ weights: WeightFiles
  ) throws -> (names: [String: String], ignored: [String]) {
    var (stored, ignored) = try canonicalNames(configuration, weights)
    if configuration.tiedHead, let head = stored.removeValue(forKey: ModelConfiguration.headName) {
      // transformers ties it whatever the file holds, so its values do not matter; its shape tells a wrong file.
      try check(TensorSpecification(ModelConfiguration.headName, configuration.embedding.shape), head, weights)
      ignored.append(head)
    }
    let expected = configuration.expectedTensors
    let missing = expected.filter { stored[$0.name] == nil }.map(\.name)
    let unexpected = Set(stored.keys).subtracting(expected.map(\.name)).compactMap { stored[$0] }.sorted()
    guard missing.isEmpty else {
      let extra = unexpected.isEmpty ? "" : "; not expected: \(listed(unexpected))"
      throw SFTError(
        .badData, "the weights lack \(missing.count) of \(expected.count) tensors: \(listed(missing))\(extra)",
        file: weights.folder)
    }
    guard unexpected.isEmpty else {
      throw SFTError(
        .badData,
        "the weights have \(counted(unexpected.count)) that a \(configuration.architecture.rawValue) of this "
          + "configuration does not: \(listed(unexpected))", file: weights.folder)
    }
    for tensor in expected {
      if let name = stored[tensor.name] { try check(tensor, name, weights) }
    }
    return (stored, ignored.sorted())
  }

  /// Canonical name → stored name, and the buffers' names.
  private static func canonicalNames(
    _ configuration: ModelConfiguration, _ weights: WeightFiles
  ) throws -> (stored: [String: String], buffers: [String]) {
    var stored: [String: String] = [:]
    var buffers: [String] = []
    for name in weights.names {
      switch configuration.storedName(name) {
      case .buffer: buffers.append(name)
      case .tensor(let canonical):
        if let other = stored.updateValue(name, forKey: canonical) {
          throw SFTError(
            .badData, "tensors \(quoted(other)) and \(quoted(name)) are the same one in two layouts",
            file: weights.folder)
        }
      }
    }
    return (stored, buffers)
  }

  /// Shape and dtype of a stored tensor against what the configuration says.
  private static func check(_ expected: TensorSpecification, _ stored: String, _ weights: WeightFiles) throws {
    guard let info = weights.info(stored) else { return }
    guard info.shape == expected.shape else {
      throw SFTError(
        .badData, "tensor \(quoted(stored)): config.json gives it shape \(expected.shape), found \(info.shape)",
        file: try weights.path(of: stored))
    }
    guard info.dtype.isReadableAsFloat else {
      throw SFTError(
        .badData, "tensor \(quoted(stored)): expected F32, F16, BF16 or F64, found \(info.dtype.rawValue)",
        file: try weights.path(of: stored))
    }
  }
}
