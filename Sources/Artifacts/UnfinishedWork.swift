import Core
import Files
import Glibc

/// A folder in the workspace for the parts of something long, which a command that was stopped leaves to the next one. Held by
/// one process at a time.
public final class UnfinishedWork: Sendable {
  /// The folder.
  public let path: String
  private let lock: FileLock
  /// Folders that were not there before, the innermost first: they go when there is nothing in them.
  private let made: [String]

  init(path: String, lock: FileLock, made: [String]) { (self.path, self.lock, self.made) = (path, lock, made) }

  deinit {
    lock.removeFile()
    for folder in made { rmdir(folder) }
  }

  /// Where to write a file of that name.
  public func file(_ name: String) -> String { path + "/" + name }

  /// Whether nothing was done before.
  public var isNew: Bool { get throws { try directoryEntries(path).isEmpty } }

  /// Removes the folder: the work is done.
  public func remove() throws { try removeTree(path) }
}

extension ArtifactStore {
  /// The folder of the work that `key` names, held; what killed processes left half-written in it is gone. `stage` is what it
  /// is for.
  public func unfinishedWork(_ stage: String, key: Digest) throws -> UnfinishedWork {
    precondition(isPlainName(stage))
    let name = "\(stage)-\(key.hex.prefix(32))"
    let path = unfinishedPath + "/" + name
    let made = try [unfinishedPath, locksPath, workspace].filter { try !directoryExists($0) }
    try createDirectory(locksPath)
    let lock = try FileLock("\(locksPath)/\(name).lock", .exclusive) { [notice] in
      notice("Waiting for another sft process that is making the \(stage) data in \(workspace).")
    }
    try createDirectory(path)
    for entry in try directoryEntries(path) where TemporaryName(entry) != nil { try removeTree(path + "/" + entry) }
    return UnfinishedWork(path: path, lock: lock, made: made)
  }

  /// Whether there is any artifact of a stage.
  public func hasArtifacts(_ stage: String) -> Bool {
    ((try? directoryEntries("\(artifactsPath)/\(stage)")) ?? []).contains { TemporaryName($0) == nil }
  }
}
