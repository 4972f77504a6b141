import Core
import Files
import Glibc
import Synchronization

/// A sound artifact, in use: `cache gc`, in this process or another, leaves it alone for as long as this object lives.
public final class Artifact<Summary: Codable & Sendable>: Sendable {
  public enum Origin: Sendable { case built, reused }

  public let reference: ArtifactReference
  /// Its folder.
  public let path: String
  public let origin: Origin
  public let summary: Summary
  public let files: [ArtifactFile]
  /// Of its stage when it was made.
  public let version: Int
  public let settings: [Setting]
  public let inputs: [Digest]
  private let use: FileLock

  init(_ manifest: Manifest<Summary>, path: String, origin: Origin, use: FileLock) {
    reference = ArtifactReference(stage: manifest.stage, digest: manifest.key)
    self.path = path
    self.origin = origin
    summary = manifest.summary
    files = manifest.files
    version = manifest.version
    settings = manifest.settings
    inputs = manifest.inputs
    self.use = use
  }

  public var digest: Digest { reference.digest }
  public var reused: Bool { origin == .reused }
  /// Of all data files.
  public var bytes: Int { files.reduce(0) { $0 + $1.size } }

  /// The value of a setting that its stage was given.
  public func setting(_ name: String) -> String? { settings.first { $0.name == name }?.value }

  /// The path of one of its files. Throws `badData` where it has no such file.
  public func file(_ name: String) throws -> String {
    guard files.contains(where: { $0.name == name }) else {
      throw SFTError(.badData, "the \(reference.stage) artifact has no file \(name)", file: path)
    }
    return path + "/" + name
  }
}

/// Where the files of an artifact go while it is built.
public struct ArtifactWriter: Sendable {
  /// The folder, under a temporary name; every regular file in it when the body returns belongs to the artifact.
  public let folder: String
  let adopted = AdoptedFiles()

  init(folder: String) { self.folder = folder }

  /// Starts a file; to be committed by the body.
  public func file(_ name: String) throws -> OutputFile {
    let path = path(name)
    try createDirectory(parentPath(path))
    return try OutputFile(path)
  }

  /// Where to write a file of that name by other means.
  public func path(_ name: String) -> String {
    precondition(name != ManifestFormat.fileName, "the manifest is the store's")
    return folder + "/" + name
  }

  /// Moves a file in that was written before, on the same file system; `sha256` is its checksum, which is not taken again.
  public func adopt(_ file: String, as name: String, sha256: Digest) throws {
    guard rename(file, path(name)) == 0 else { throw systemError("move", file) }
    adopted.add(name, sha256)
  }
}

/// Checksums of an artifact's files that are known already, by the files' names.
final class AdoptedFiles: Sendable {
  private let known = Mutex<[String: Digest]>([:])

  func add(_ name: String, _ digest: Digest) { known.withLock { $0[name] = digest } }
  subscript(name: String) -> Digest? { known.withLock { $0[name] } }
}
