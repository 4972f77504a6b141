import Core
import Files
import JSON

/// The weights of a model folder in Hugging Face layout: `model.safetensors`, else the shards that
/// `model.safetensors.index.json` lists. Tensors go by the names in the files; nothing is read before it is asked for.
public final class WeightFiles: Sendable {
  public let folder: String
  /// In order of their names.
  public let files: [SafetensorsFile]
  /// All tensors' names, sorted.
  public let names: [String]
  /// Path, device, inode, size and time of last change of every file: equal as long as the files are untouched.
  public let identity: String
  private let owners: [String: SafetensorsFile]

  private static let single = "model.safetensors"
  private static let index = "model.safetensors.index.json"

  /// Throws `notFound` where the folder has no weights or a listed shard is missing; `badData` for weights in PyTorch's
  /// own format, a file that is not sound, or an index that does not agree with its shards.
  public init(folder: String) throws {
    let map = try Self.weightMap(folder)
    let fileNames = map.map { Set($0.values).sorted() } ?? [Self.single]
    var identity: [String] = []
    var files: [SafetensorsFile] = []
    for name in fileNames {
      let path = folder + "/" + name
      // Before the file is mapped: an identity that is older than the content is never met again.
      identity.append(try Self.identity(path))
      files.append(try SafetensorsFile(path))
    }
    self.folder = folder
    self.files = files
    self.identity = identity.joined(separator: "\n")
    owners = try Self.owners(files, fileNames, map, index: folder + "/" + Self.index)
    names = owners.keys.sorted()
  }

  /// The paths of the weights' files, and of their index where there is one.
  public var paths: [String] {
    let isSingle = files.map { lastPathComponent($0.path) } == [Self.single]
    return files.map(\.path) + (isSingle ? [] : [folder + "/" + Self.index])
  }

  /// A tensor's dtype, shape and place in its file; nil where there is none of that name.
  public func info(_ name: String) -> TensorInfo? { owners[name]?.tensors[name] }

  /// As `SafetensorsFile.bytes(of:)`.
  public func bytes(of name: String) throws -> UnsafeRawBufferPointer { try owner(name).bytes(of: name) }

  /// As `SafetensorsFile.floats`.
  public func floats(_ name: String, shape: [Int]) throws -> FloatTensor {
    try owner(name).floats(name, shape: shape)
  }

  /// As `SafetensorsFile.halves`.
  func halves(_ name: String, shape: [Int]) throws -> HalfTensor? {
    try owner(name).halves(name, shape: shape)
  }

  /// The file that holds a tensor.
  public func path(of name: String) throws -> String { try owner(name).path }

  private func owner(_ name: String) throws -> SafetensorsFile {
    guard let file = owners[name] else {
      throw SFTError(.badData, "the weights have no tensor \(quoted(name))", file: folder)
    }
    return file
  }

  /// What identifies a file's content without reading it. Throws `notFound` where there is none.
  static func identity(_ path: String) throws -> String {
    guard let status = try FileStatus(path) else { throw SFTError(.notFound, "no such file", file: path) }
    return "\(canonicalPath(path) ?? path) \(status.device) \(status.inode) \(status.size) \(status.modified)"
  }

  /// Tensor name → file name from the index; nil where there is a single file.
  private static func weightMap(_ folder: String) throws -> [String: String]? {
    if try fileExists(folder + "/" + single) { return nil }
    let path = folder + "/" + index
    guard try fileExists(path) else { throw try noWeights(folder) }
    guard let object = try parseJSONFile(path)["weight_map"]?.object else {
      throw SFTError(.badData, "'weight_map' is missing or not an object", file: path)
    }
    var map: [String: String] = [:]
    for (tensor, value) in object.members {
      guard case .string(let file) = value else {
        throw SFTError(.badData, "'weight_map': the file of \(quoted(tensor)) is not a string", file: path)
      }
      guard isShardName(file) else {
        throw SFTError(
          .badData,
          "'weight_map': \(quoted(tensor)) is said to be in \(quoted(file)), which is not the name of a safetensors "
            + "file in this folder",
          file: path)
      }
      guard try fileExists(folder + "/" + file) else {
        throw SFTError(
          .notFound, "the shard \(quoted(file)) is missing", file: path, advice: "Download the whole model folder again"
        )
      }
      map[tensor] = file
    }
    guard !map.isEmpty else { throw SFTError(.badData, "'weight_map' lists no tensors", file: path) }
    return map
  }

  /// A plain file name, so that an index cannot make us read outside its folder.
  private static func isShardName(_ name: String) -> Bool {
    let plain = name.utf8.allSatisfy { $0 >= 32 && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "\\") }
    return plain && name.utf8.count <= 255 && !name.hasPrefix(".") && name.hasSuffix(".safetensors")
  }

  /// Which file holds which tensor; the index, where there is one, must say the same.
  private static func owners(
    _ files: [SafetensorsFile], _ fileNames: [String], _ map: [String: String]?, index: String
  ) throws -> [String: SafetensorsFile] {
    var owners: [String: SafetensorsFile] = [:]
    for (file, fileName) in zip(files, fileNames) {
      for tensor in file.names {
        if let other = owners.updateValue(file, forKey: tensor) {
          throw SFTError(.badData, "tensor \(quoted(tensor)) is also in \(other.path)", file: file.path)
        }
        if let map, map[tensor] != fileName {
          let listed = map[tensor].map { "lists it in \(quoted($0))" } ?? "does not list it"
          throw SFTError(.badData, "tensor \(quoted(tensor)) is here, but the index \(listed)", file: file.path)
        }
      }
    }
    if let map {
      let missing = map.keys.filter { owners[$0] == nil }.sorted()
      if let first = missing.first, let file = map[first] {
        throw SFTError(
          .badData,
          "the index lists \(counted(missing.count)) not to be found, first \(quoted(first)) in "
            + quoted(file), file: index)
      }
    }
    return owners
  }

  private static func noWeights(_ folder: String) throws -> SFTError {
    for name in ["pytorch_model.bin", "pytorch_model.bin.index.json"] where try fileExists(folder + "/" + name) {
      return SFTError(
        .badData, "the weights are in PyTorch's own format (\(name)), which is not read here", file: folder,
        advice: "Convert them in Python: from transformers import AutoModelForCausalLM; "
          + "AutoModelForCausalLM.from_pretrained(\"\(folder)\").save_pretrained(\"NEW_FOLDER\", "
          + "safe_serialization=True)")
    }
    return SFTError(
      .notFound, "the folder has no weights: looked for \(single), \(index) and pytorch_model.bin", file: folder)
  }
}
