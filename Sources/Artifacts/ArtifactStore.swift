import Core
import Files
import Glibc

/// The results of the stages, in a workspace folder, each in a folder named by what it was made from:
///
///     artifacts/STAGE/DIGEST/   data files and manifest.json
///     latest/NAME               which artifact is the newest of a kind
///     digests/                  digests of files that were already read
///     locks/                    who is building what; empty when nobody is
///     set-aside/                what failed its check
///     unfinished/               work of hours that was stopped, to be gone on with
///
/// Processes may share it. The builder of an artifact holds the lock file of its key; a user of an artifact holds a
/// shared lock on its folder, and nothing is removed without an exclusive one. Both end with their process.
public final class ArtifactStore: Sendable {
  public let workspace: String
  let notice: @Sendable (String) -> Void

  /// Touches nothing yet. `notice` gets whole sentences for the user, from any thread: what is waited for, what was set
  /// aside and why.
  public init(workspace: String, notice: @escaping @Sendable (String) -> Void = { _ in }) {
    self.workspace = workspace
    self.notice = notice
  }

  package var artifactsPath: String { workspace + "/artifacts" }
  var locksPath: String { workspace + "/locks" }
  var setAsidePath: String { workspace + "/set-aside" }
  var unfinishedPath: String { workspace + "/unfinished" }
  package func path(of reference: ArtifactReference) -> String {
    "\(artifactsPath)/\(reference.stage)/\(reference.folderName)"
  }
  func lockPath(of reference: ArtifactReference) -> String {
    "\(locksPath)/\(reference.stage)-\(reference.folderName).lock"
  }

  /// The artifact of `key`: the one that is there, if it is sound, and then `build` is not called; else the one that
  /// `build` makes. Whoever comes while another process (or thread) builds it waits, and uses its result.
  ///
  /// `build` writes the files and returns the summary that the manifest keeps. If it throws, or the process dies,
  /// there is no artifact. Throws `cannotCreate` or `inputOutput` where the workspace cannot be written.
  public func artifact<Summary: Codable & Sendable>(
    _ key: ArtifactKey, _ type: Summary.Type = Summary.self, build: (ArtifactWriter) throws -> Summary
  ) throws -> Artifact<Summary> {
    if case .sound(let found) = try inspect(key.reference, type) { return found }
    let lock = try buildLock(key.reference)
    defer { lock.removeFile() }
    switch try inspect(key.reference, type) {
    case .sound(let found): return found
    case .absent: break
    case .damaged(let reason): try setAside(key.reference, reason, "It is made again.")
    }
    // Nobody else builds this one, so what carries its temporary name was left by a process that was killed.
    removeLeftovers(of: key.reference)
    return try withoutInterference(key, type, build)
  }

  /// The artifact of `key` where it is there and sound; nil otherwise, with nothing done.
  public func found<Summary: Codable & Sendable>(
    _ key: ArtifactKey, _ type: Summary.Type = Summary.self
  ) throws -> Artifact<Summary>? {
    if case .sound(let found) = try inspect(key.reference, type) { found } else { nil }
  }

  /// The artifact that a run or a pointer recorded, or nil if it is gone. A damaged one is set aside, and `badData`
  /// thrown: only its stage could make it again.
  public func existing<Summary: Codable & Sendable>(
    _ reference: ArtifactReference, _ type: Summary.Type = Summary.self
  ) throws -> Artifact<Summary>? {
    if case .sound(let found) = try inspect(reference, type) { return found }
    guard try fileExists(path(of: reference)) else { return nil }
    let lock = try buildLock(reference)
    defer { lock.removeFile() }
    switch try inspect(reference, type) {
    case .sound(let found): return found
    case .absent: return nil
    case .damaged(let reason):
      let place = try moveAside(path(of: reference), as: "\(reference.stage)-\(reference.folderName)")
      throw SFTError(
        .badData,
        "the \(reference.stage) data is damaged: \(reason)" + (place.map { "; it was moved to \($0)" } ?? ""),
        file: path(of: reference), advice: "Run the command that made it again")
    }
  }

  /// Waits until nobody else is making or judging that artifact.
  private func buildLock(_ reference: ArtifactReference) throws -> FileLock {
    try createDirectory(locksPath)
    return try FileLock(lockPath(of: reference), .exclusive) { [notice] in
      notice("Waiting for another sft process that is making the \(reference.stage) data in \(workspace).")
    }
  }

  /// Builds the artifact in a temporary folder and renames it into place; the caller holds the key's lock.
  private func withoutInterference<Summary: Codable & Sendable>(
    _ key: ArtifactKey, _ type: Summary.Type, _ build: (ArtifactWriter) throws -> Summary
  ) throws -> Artifact<Summary> {
    let path = path(of: key.reference)
    let temporary = TemporaryName.make(beside: path)
    try createDirectory(temporary)
    do {
      // Taken before the folder has its name, so that there is no instant at which it could be collected.
      let use = try FileLock(temporary, .shared, .existing)
      let writer = ArtifactWriter(folder: temporary)
      let summary = try build(writer)
      let files = try sealFiles(in: temporary, writer.adopted)
      let manifestPath = temporary + "/" + ManifestFormat.fileName
      try writeAtomically(try Manifest.text(key: key, files: files, summary: summary), to: manifestPath)
      let manifest = try Manifest<Summary>.read(manifestPath, key: key.digest)
      guard rename(temporary, path) == 0 else { throw systemError("create the folder", path) }
      syncDirectory(parentPath(path))
      return Artifact(manifest, path: path, origin: .built, use: use)
    } catch {
      try? removeTree(temporary)
      throw error
    }
  }

  func removeLeftovers(of reference: ArtifactReference) {
    let folder = parentPath(path(of: reference))
    for name in (try? directoryEntries(folder)) ?? []
    where TemporaryName(name)?.base == reference.folderName {
      try? removeTree(folder + "/" + name)
    }
  }
}
