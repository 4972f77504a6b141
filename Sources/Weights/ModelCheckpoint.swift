import Core
import Files
import GGUF

/// A model: its configuration, and its tensors by canonical name, whatever layout the files have. Opening it checks that every
/// tensor is there in the right shape; values are read only when asked for.
public final class ModelCheckpoint: Sendable {
  /// The model's folder, or its GGUF file.
  public let folder: String
  public let configuration: ModelConfiguration
  private let source: any TensorSource

  /// Reads a folder in Hugging Face layout, or a GGUF file where `folder` is the path of one.
  ///
  /// Throws `notFound` where `config.json` or the weights are missing, and `badData`, naming file and key or tensor, for
  /// what does not fit.
  public init(folder: String) throws {
    self.folder = folder
    if try GGUFFile.isOne(folder) {
      let identity = try WeightFiles.identity(folder)
      let file = try GGUFFile(folder)
      configuration = try ModelConfiguration(file)
      source = try GGUFSource(file, configuration, identity: identity)
      return
    }
    let path = folder + "/config.json"
    let identity = try WeightFiles.identity(path)
    configuration = try ModelConfiguration(path: path)
    if let method = configuration.quantizationMethod, method != "bitsandbytes" {
      throw SFTError(
        .badData, "'quantization_config': the weights are stored quantised (\(quoted(method))), which is not read here",
        file: path, advice: "Give the folder of the model they were made from")
    }
    source = try SafetensorsSource(
      try WeightFiles(folder: folder), configuration, configurationIdentity: identity)
  }

  /// Whether it is a GGUF file.
  public var isGGUF: Bool { source is GGUFSource }

  /// The files of a folder, by the names they use. Throws `usage` where the model is a GGUF file.
  public var weights: WeightFiles {
    get throws {
      guard let source = source as? SafetensorsSource else {
        throw SFTError(.usage, "the model is a GGUF file, where a folder with safetensors is needed", file: folder)
      }
      return source.weights
    }
  }

  /// Tensors in the files that the model does not use, by the names they have there, sorted: mask buffers, a tied head.
  public var ignored: [String] { source.ignored }

  /// The `ignored` tensors that belong to another part of the model, such as its vision tower.
  public var otherParts: [String] { isGGUF ? [] : ignored.filter { configuration.storedName($0) == .otherPart } }

  /// Canonical names of the weights that are stored in bitsandbytes' 4 bits, each with its statistics beside it; these are
  /// not read as floats. Empty for an ordinary model.
  public var quantizedNames: Set<String> { source.quantizedNames }

  /// Bytes of the files that tensors are read from.
  public var byteCount: Int { source.byteCount }

  /// A tensor's values: a view of the file where it is stored as aligned float32, else converted into memory of its own
  /// each time it is asked for. Throws `badData` where the model has no such tensor, or not in that shape.
  public func tensor(_ name: String, shape: [Int]) throws -> FloatTensor { try source.floats(name, shape: shape) }

  /// A matrix's 16-bit floats as [out, in], where they lie in the file unless rows change places or it is turned; nil where
  /// it is stored otherwise. Throws as `tensor`.
  public func halves(_ tensor: TensorSpecification) throws -> HalfTensor? { try source.halves(tensor) }

  /// A matrix in ggml's quantised blocks, where they lie in the file unless rows change places; nil where it is stored
  /// otherwise. Throws `badData` where the model has no such tensor.
  public func blocks(_ name: String) throws -> BlockTensor? { try source.blocks(name) }

  /// Canonical names of the matrices in ggml's quantised blocks, in the order of the computation.
  public var blockNames: [String] {
    guard isGGUF else { return [] }
    return configuration.expectedTensors.map(\.name).filter { (try? info($0).isInBlocks) == true }
  }

  /// How a tensor is stored, by its canonical name.
  public func info(_ name: String) throws -> StoredTensor { try source.info(name) }

  /// The values of a tensor that is not stored in 4 bits, in pieces. Throws `badData` where the model has none of that name.
  public func pieces(_ name: String) throws -> TensorPieces { try source.pieces(name) }

  /// What tells untouched files from changed ones without reading the weights.
  public var identity: String { source.identity }

  /// The name in the files of a canonical name.
  public func storedName(_ name: String) throws -> String { try source.place(name).stored }

  /// The file that holds a tensor, by its canonical name.
  public func path(of name: String) throws -> String { try source.place(name).file }

  /// The tensors that together hold a weight in 4 bits, by their names in the files, sorted.
  package func storedParts(ofQuantized name: String) throws -> [String] {
    let stored = try storedName(name)
    return try weights.names.filter { $0 == stored || $0.hasPrefix(stored + ".") }
  }
}
