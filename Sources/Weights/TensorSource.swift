import Core
import Files

/// Where a checkpoint's tensors come from, by their canonical names: a folder of safetensors, or a GGUF file.
///
/// What they give is the same tensor in both: names, shapes, order of rows and values are those of transformers' model class.
protocol TensorSource: Sendable {
  /// Equal as long as the files are untouched.
  var identity: String { get }
  /// Of all files that tensors are read from.
  var byteCount: Int { get }
  /// Tensors that the model does not use, by the names they have in the files, sorted.
  var ignored: [String] { get }
  /// Canonical names of weights in bitsandbytes' 4 bits.
  var quantizedNames: Set<String> { get }

  /// All of these throw `badData` where there is no tensor of that name.
  func info(_ name: String) throws -> StoredTensor
  /// As float32: a view of the file where it can be, else converted into memory of its own. Throws `badData` for another shape.
  func floats(_ name: String, shape: [Int]) throws -> FloatTensor
  /// A matrix in 16 bits, [out, in]; nil where it is stored otherwise. Throws as `floats`.
  func halves(_ tensor: TensorSpecification) throws -> HalfTensor?
  /// In blocks as stored; nil where it is stored otherwise.
  func blocks(_ name: String) throws -> BlockTensor?
  func pieces(_ name: String) throws -> TensorPieces
  /// The name in the files, and the file.
  func place(_ name: String) throws -> (stored: String, file: String)
}

/// The tensors of a folder of safetensors.
struct SafetensorsSource: TensorSource {
  let weights: WeightFiles
  let ignored: [String]
  let quantizedNames: Set<String>
  /// Canonical name → name in the files.
  private let storedNames: [String: String]
  private let configurationIdentity: String
  /// Canonical names of the matrices that are stored [in, out].
  private let turned: Set<String>

  /// Throws `badData`, naming file and tensor, for what the configuration does not expect.
  init(_ weights: WeightFiles, _ configuration: ModelConfiguration, configurationIdentity: String) throws {
    self.weights = weights
    self.configurationIdentity = configurationIdentity
    turned = Set(configuration.expectedTensors.filter { $0.orientation == .inputsByOutputs }.map(\.name))
    (storedNames, quantizedNames, ignored) = try Self.match(configuration, weights)
  }

  var identity: String { configurationIdentity + "\n" + weights.identity }
  var byteCount: Int { weights.files.reduce(0) { $0 + $1.byteCount } }

  private func storedName(_ name: String) throws -> String {
    guard let stored = storedNames[name] else {
      throw SFTError(.badData, "the model has no tensor \(quoted(name))", file: weights.folder)
    }
    return stored
  }

  private func element(_ name: String) throws -> TensorInfo {
    let stored = try storedName(name)
    guard let info = weights.info(stored) else {
      throw SFTError(.badData, "the model has no tensor \(quoted(name))", file: weights.folder)
    }
    return info
  }

  func info(_ name: String) throws -> StoredTensor {
    let info = try element(name)
    let start = info.range.lowerBound
    let isHalf = (info.dtype == .bf16 || info.dtype == .f16) && start % 2 == 0
    return StoredTensor(
      form: .elements(info.dtype), shape: info.shape, byteCount: info.range.count,
      isFloatView: info.dtype == .f32 && start % 4 == 0, isHalf: isHalf, isCopied: isHalf && turned.contains(name))
  }

  func floats(_ name: String, shape: [Int]) throws -> FloatTensor {
    guard !quantizedNames.contains(name) else {
      throw SFTError(
        .badData, "tensor \(quoted(name)) is stored in 4 bits, where floats are expected", file: weights.folder)
    }
    return try weights.floats(try storedName(name), shape: shape)
  }

  func halves(_ tensor: TensorSpecification) throws -> HalfTensor? {
    guard !quantizedNames.contains(tensor.name) else { return nil }
    let name = try storedName(tensor.name)
    guard let stored = try weights.halves(name, shape: tensor.shape) else { return nil }
    guard tensor.orientation == .inputsByOutputs else { return stored }
    let turned = stored.turned()
    adviseMapped(try weights.bytes(of: name), .dontNeed)
    return turned
  }

  func blocks(_ name: String) throws -> BlockTensor? { nil }

  func pieces(_ name: String) throws -> TensorPieces {
    TensorPieces(try weights.bytes(of: try storedName(name)), try element(name).dtype, of: weights)
  }

  func place(_ name: String) throws -> (stored: String, file: String) {
    let stored = try storedName(name)
    return (stored, try weights.path(of: stored))
  }
}
