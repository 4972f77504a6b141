import Core
import Files
import FoundationEssentials
import Glibc

/// One thing that `cache gc` removed, or would remove.
public struct Removal: Sendable, Equatable, Codable {
  public enum Kind: String, Sendable, Codable {
    /// An artifact that nothing refers to and that was not used for long.
    case unused
    /// Left by a process that was killed.
    case leftover
    /// An artifact that had failed its check and was set aside.
    case setAside
    /// The old content of a folder, left by a process that was killed, which was put back in its place.
    case restored
  }
  public var kind: Kind
  public var path: String
  public var bytes: Int
}

extension ArtifactStore {
  /// Two weeks, in seconds: how long an unused artifact is kept unless the user says otherwise.
  public static let defaultAge: Double = 14 * 86_400

  /// Removes the artifacts that nothing refers to and that were not used for `age` seconds, what killed processes left
  /// behind, and what was set aside; and says what. With `dryRun` it only says. Never removed: what `references` (a
  /// run's name, and the digests in its configuration) or a latest pointer needs, the inputs of whatever stays, and what
  /// a process uses at this moment.
  ///
  /// Leftovers outside the artifacts are known by the number of a process that is gone, so the workspace must not be in
  /// use by another machine or container.
  public func collect(
    references: [String: [Digest]], olderThan age: Double = defaultAge, dryRun: Bool = false
  ) throws -> [Removal] {
    guard try directoryExists(workspace) else { return [] }
    var removals = try collectUnused(references, age, dryRun)
    removals += try collectUnfinished(dryRun)
    removals += try collectUnfinishedWork(dryRun)
    removals += try collectAbandoned(in: workspace, dryRun)
    removals += try collectSetAside(dryRun)
    if !dryRun { removeIdleLocks() }
    return removals
  }

  private func collectUnused(_ references: [String: [Digest]], _ age: Double, _ dryRun: Bool) throws -> [Removal] {
    let entries = try entries(references: references)
    // ISO times sort as text.
    let limit = isoTime(max(0, Date().timeIntervalSince1970 - age))
    let recent = entries.filter { $0.lastUsed > limit || $0.created > limit }.map(\.digest)
    let kept = needed(["recent": recent], among: entries)
    var removals: [Removal] = []
    for entry in entries where entry.referencedBy.isEmpty && kept[entry.digest] == nil {
      guard let lock = try attemptLock("\(entry.stage)-\(entry.reference.folderName)") else { continue }
      defer { lock.removeFile() }
      guard try directoryExists(entry.path), let use = try FileLock.attempt(entry.path, .exclusive, .existing) else {
        continue
      }
      // Since it was listed, somebody may have used it, and be about to refer to it.
      guard try lastUse(entry.path) == entry.lastUsed else { continue }
      removals.append(Removal(kind: .unused, path: entry.path, bytes: entry.bytes))
      if dryRun { continue }
      // Renamed first, so that nobody ever sees half of it.
      let doomed = TemporaryName.make(beside: entry.path)
      guard rename(entry.path, doomed) == 0 else { throw systemError("remove", entry.path) }
      try removeTree(doomed)
      withExtendedLifetime(use) {}
    }
    return removals
  }

  /// Unfinished artifacts: whoever works on one holds its key's lock.
  private func collectUnfinished(_ dryRun: Bool) throws -> [Removal] {
    var removals: [Removal] = []
    for folder in try artifactFolders() {
      guard let name = TemporaryName(folder.name), let lock = try attemptLock("\(folder.stage)-\(name.base)") else {
        continue
      }
      defer { lock.removeFile() }
      guard try fileExists(folder.path) else { continue }
      removals.append(Removal(kind: .leftover, path: folder.path, bytes: treeSize(folder.path)))
      if !dryRun { try removeTree(folder.path) }
    }
    return removals
  }

  /// Work that was stopped: whoever goes on with it holds its lock.
  private func collectUnfinishedWork(_ dryRun: Bool) throws -> [Removal] {
    guard try directoryExists(unfinishedPath) else { return [] }
    return try directoryEntries(unfinishedPath).compactMap { name -> Removal? in
      guard let lock = try attemptLock(name) else { return nil }
      defer { lock.removeFile() }
      let path = unfinishedPath + "/" + name
      let removal = Removal(kind: .leftover, path: path, bytes: treeSize(path))
      if !dryRun { try removeTree(path) }
      return removal
    }
  }

  /// Temporary files and folders of processes that are gone, anywhere else in the workspace.
  private func collectAbandoned(in folder: String, _ dryRun: Bool) throws -> [Removal] {
    var removals: [Removal] = []
    for entry in try directoryEntries(folder) {
      let path = folder + "/" + entry
      guard path != artifactsPath, path != setAsidePath, path != locksPath, path != unfinishedPath, !isLink(path) else {
        continue
      }
      guard let name = TemporaryName(path) else {
        if try directoryExists(path) { removals += try collectAbandoned(in: path, dryRun) }
        continue
      }
      guard name.isAbandoned else { continue }
      let lost = try name.role == .replaced && !fileExists(name.base)
      removals.append(Removal(kind: lost ? .restored : .leftover, path: path, bytes: treeSize(path)))
      if dryRun { continue }
      if lost {
        guard rename(path, name.base) == 0 else { throw systemError("restore", name.base) }
      } else {
        try removeTree(path)
      }
    }
    return removals
  }

  private func isLink(_ path: String) -> Bool {
    var info = stat()
    return lstat(path, &info) == 0 && info.st_mode & S_IFMT == S_IFLNK
  }

  private func collectSetAside(_ dryRun: Bool) throws -> [Removal] {
    guard try directoryExists(setAsidePath) else { return [] }
    return try directoryEntries(setAsidePath).map { name in
      let path = setAsidePath + "/" + name
      let removal = Removal(kind: .setAside, path: path, bytes: treeSize(path))
      if !dryRun { try removeTree(path) }
      return removal
    }
  }

  /// Lock files that killed processes left; they lock nothing.
  private func removeIdleLocks() {
    for name in (try? directoryEntries(locksPath)) ?? [] where name.hasSuffix(".lock") {
      (try? FileLock.attempt(locksPath + "/" + name, .exclusive))?.removeFile()
    }
  }
}
