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
  /// The `ignored` tensors that belong to another part of the model, such as its vision tower.
  public let otherParts: [String]
  /// Canonical names of the weights that are stored in bitsandbytes' 4 bits, each with its statistics beside it; these are
  /// not read as floats. Empty for an ordinary folder.
  public let quantizedNames: Set<String>
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
    if let method = configuration.quantizationMethod, method != "bitsandbytes" {
      throw SFTError(
        .badData, "'quantization_config': the weights are stored quantised (\(quoted(method))), which is not read here",
        file: path, advice: "Give the folder of the model they were made from")
    }
    weights = try WeightFiles(folder: folder)
    (storedNames, quantizedNames, ignored) = try Self.match(configuration, weights)
    otherParts = ignored.filter { [configuration] in configuration.storedName($0) == .otherPart }
  }

  /// A tensor's values: a view of the file where it is stored as aligned float32, else converted into memory of its own
  /// each time it is asked for. Throws `badData` where the model has no such tensor, or not in that shape.
  public func tensor(_ name: String, shape: [Int]) throws -> FloatTensor {
    guard !quantizedNames.contains(name) else {
      throw SFTError(.badData, "tensor \(quoted(name)) is stored in 4 bits, where floats are expected", file: folder)
    }
    return try weights.floats(try storedName(name), shape: shape)
  }

  /// A tensor's 16-bit floats where they lie in the file; nil where it is stored otherwise. Throws as `tensor`.
  public func halves(_ name: String, shape: [Int]) throws -> HalfTensor? {
    guard !quantizedNames.contains(name) else { return nil }
    return try weights.halves(try storedName(name), shape: shape)
  }

  /// A tensor's dtype, shape and place in its file, by its canonical name.
  public func info(_ name: String) throws -> TensorInfo {
    guard let info = weights.info(try storedName(name)) else { throw missing(name) }
    return info
  }

  /// What tells an untouched folder from a changed one without reading the weights.
  public var identity: String { configurationIdentity + "\n" + weights.identity }

  /// The name in the files of a canonical name.
  public func storedName(_ name: String) throws -> String {
    guard let stored = storedNames[name] else { throw missing(name) }
    return stored
  }

  private func missing(_ name: String) -> SFTError {
    SFTError(.badData, "the model has no tensor \(quoted(name))", file: folder)
  }

  /// Finds every expected tensor among the stored ones, checks shapes and dtypes, and refuses what is left over.
  private static func match(
    _ configuration: ModelConfiguration, _ weights: WeightFiles
  ) throws -> (names: [String: String], quantized: Set<String>, ignored: [String]) {
    var (stored, ignored) = try canonicalNames(configuration, weights)
    let quantized = configuration.quantizationMethod == nil ? [] : takeStatistics(from: &stored, configuration)
    if configuration.tiedHead, let head = stored.removeValue(forKey: configuration.headName) {
      // transformers ties it whatever the file holds, so its values do not matter; its shape tells a wrong file.
      try check(TensorSpecification(.head, configuration.headName, configuration.embedding.shape), head, weights)
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
    for tensor in expected where !quantized.contains(tensor.name) {
      if let name = stored[tensor.name] { try check(tensor, name, weights) }
    }
    return (stored, quantized, ignored.sorted())
  }

  /// Removes what belongs to weights in 4 bits from the names, and returns those weights. Only matrices of the blocks can
  /// be among them; what is in their statistics is checked by who reads them.
  private static func takeStatistics(
    from stored: inout [String: String], _ configuration: ModelConfiguration
  ) -> Set<String> {
    let matrices = configuration.expectedTensors.filter(\.role.isBlockMatrix)
    var quantized: Set<String> = []
    for matrix in matrices where stored.keys.contains(where: { $0.hasPrefix(matrix.name + ".quant_state.") }) {
      quantized.insert(matrix.name)
      for name in stored.keys where name.hasPrefix(matrix.name + ".") { stored[name] = nil }
    }
    return quantized
  }

  /// The tensors that together hold a weight in 4 bits, by their names in the files, sorted.
  package func storedParts(ofQuantized name: String) throws -> [String] {
    let stored = try storedName(name)
    return weights.names.filter { $0 == stored || $0.hasPrefix(stored + ".") }
  }

  /// Canonical name → stored name, and the names of what is ignored.
  private static func canonicalNames(
    _ configuration: ModelConfiguration, _ weights: WeightFiles
  ) throws -> (stored: [String: String], buffers: [String]) {
    var stored: [String: String] = [:]
    var buffers: [String] = []
    for name in weights.names {
      switch configuration.storedName(name) {
      case .buffer, .otherPart: buffers.append(name)
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
