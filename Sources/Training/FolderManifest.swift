import Core
import Files
import FoundationEssentials

/// `manifest.json` of a folder that a run wrote, a checkpoint or weights: the checksum of every file, and its own. Other
/// tools that load the folder pass it over.
public struct FolderManifest: Sendable, Equatable, Codable {
  public static let fileName = "manifest.json"

  struct Entry: Sendable, Equatable, Codable {
    var name: String
    var size: Int
    var sha256: Digest
  }

  /// Of the manifest's text: two folders have the same one where their files are the same, of the same update.
  public private(set) var checksum = Digest.zero
  var files: [Entry]
  /// Updates done when the files were written.
  public var step: Int

  /// Without what only going on with a training needs.
  public var weights: FolderManifest {
    FolderManifest(
      files: files.filter { ![Checkpoint.stateFile, Checkpoint.momentsFile].contains($0.name) }, step: step)
  }

  /// Describes all files that are in a folder.
  static func seal(_ folder: String, step: Int) throws -> FolderManifest {
    let files = try directoryEntries(folder).map { name in
      let path = folder + "/" + name
      return try Entry(name: name, size: FileStatus(path)?.size ?? 0, sha256: try Digest(ofFile: path))
    }
    return try FolderManifest(files: files, step: step).write(to: folder)
  }

  /// Writes it beside the files; the one returned has its checksum.
  func write(to folder: String) throws -> FolderManifest {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    var unsealed = self
    unsealed.checksum = .zero
    // "checksum" sorts before every key with another digest.
    guard let text = SealedText.seal(Array(try encoder.encode(unsealed))) else {
      throw SFTError(.internalError, "the manifest has no checksum", file: folder)
    }
    try writeAtomically(text, to: folder + "/" + Self.fileName)
    return try Self.parse(text, folder)
  }

  /// Throws `notFound` where a folder has none, `badData` where it is damaged.
  public static func read(_ folder: String) throws -> FolderManifest {
    try parse(try readFile(folder + "/" + fileName, limit: 1 << 20), folder)
  }

  private static func parse(_ text: [UInt8], _ folder: String) throws -> FolderManifest {
    guard let manifest = try? JSONDecoder().decode(FolderManifest.self, from: Data(text)),
      SealedText.isIntact(text, manifest.checksum)
    else { throw SFTError(.badData, "is damaged: it is no manifest", file: folder + "/" + fileName) }
    return manifest
  }

  /// Throws `badData`, naming the file, unless each is there, of its size, and, as `digest` finds it, of its content.
  public func check(_ folder: String, digest: (_ path: String) throws -> Digest = { try Digest(ofFile: $0) }) throws {
    try checkSizes(folder)
    for entry in files {
      let path = folder + "/" + entry.name
      guard try digest(path) == entry.sha256 else {
        throw SFTError(.badData, "is damaged: its content is not what was written", file: path)
      }
    }
  }

  /// Throws `badData`, naming the file, unless each file is there and of its size. Does not read what the files hold.
  func checkSizes(_ folder: String) throws {
    for entry in files {
      let path = folder + "/" + entry.name
      guard !entry.name.contains("/"), try FileStatus(path)?.size == entry.size else {
        throw SFTError(.badData, "is damaged: it is missing or cut", file: path)
      }
    }
  }
}
