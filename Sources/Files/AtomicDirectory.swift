import Core
import Glibc

/// Builds a folder under a temporary name beside `path` and puts it in place; what `path` held before is replaced.
/// If `body` throws, nothing is left behind.
///
/// The two folders are exchanged in one step (Linux's `renameat2`), so that whenever the process is killed, `path` holds
/// all of the old content or all of the new. A file system that cannot exchange needs two renames: killed exactly
/// between them, the old content is kept as `PATH.old-PID-RANDOM`. The files inside are synced by whoever writes them
/// (`OutputFile.commit` does).
///
/// What an earlier process left unfinished beside `path` when it was killed is removed first.
public func writeDirectoryAtomically<Result>(_ path: String, _ body: (_ temporary: String) throws -> Result) throws
  -> Result
{
  let path = try replaceablePath(path)
  let temporary = TemporaryName.make(beside: path)
  try createDirectory(parentPath(path))
  removeLeftovers(of: path)
  try createDirectory(temporary)
  do {
    let lock = try? FileLock(temporary, .exclusive, .existing)
    let result = try withExtendedLifetime(lock) { try body(temporary) }
    syncDirectory(temporary)
    try replaceDirectory(path, with: temporary)
    return result
  } catch {
    try? removeTree(temporary)
    throw error
  }
}

/// Removes unfinished folders of `path` whose process is gone, as far as that can be done. One that is being written is
/// locked, so that it stays though in this container no process has its number.
private func removeLeftovers(of path: String) {
  let folder = parentPath(path)
  for entry in (try? directoryEntries(folder)) ?? [] {
    let leftover = folder + "/" + entry
    guard let name = TemporaryName(leftover), name.role == .unfinished, name.isAbandoned,
      lastPathComponent(name.base) == lastPathComponent(path),
      let lock = try? FileLock.attempt(leftover, .exclusive, .existing)
    else { continue }
    withExtendedLifetime(lock) { try? removeTree(leftover) }
  }
}

/// `path` without slashes at its end and, where something is there, without links: the name that can be exchanged.
private func replaceablePath(_ path: String) throws -> String {
  guard let status = try FileStatus(path) else {
    var trimmed = path[...]
    while trimmed.count > 1, trimmed.last == "/" { trimmed = trimmed.dropLast() }
    return String(trimmed)
  }
  guard status.kind == .directory else { throw SFTError(.cannotCreate, "is in the way of a folder", file: path) }
  return canonicalPath(path) ?? path
}

/// Puts the folder `temporary` where `path` is and removes what `path` held. `temporary` is gone afterwards, unless the
/// old content could not be removed.
package func replaceDirectory(_ path: String, with temporary: String, canExchange: Bool = true) throws {
  if rename(temporary, path) != 0 {
    // A folder that is not empty is in the way.
    guard errno == EEXIST || errno == ENOTEMPTY else { throw systemError("create the folder", path) }
    var old = temporary
    if !(canExchange && exchangeNames(temporary, path)) {
      old = TemporaryName.make(beside: path, .replaced)
      guard rename(path, old) == 0 else { throw systemError("replace the folder", path) }
      guard rename(temporary, path) == 0 else {
        let error = systemError("replace the folder", path)
        rename(old, path)
        throw error
      }
    }
    syncDirectory(parentPath(path))
    try? removeTree(old)
  }
  syncDirectory(parentPath(path))
}

/// Exchanges what two names mean, in one step. False where the system or the file system cannot.
private func exchangeNames(_ first: String, _ second: String) -> Bool {
  typealias RenameAt2 = @convention(c) (Int32, UnsafePointer<CChar>, Int32, UnsafePointer<CChar>, UInt32) -> Int32
  // Glibc's Swift module does not show renameat2; a C library without it is served by the fallback.
  guard let symbol = dlsym(nil, "renameat2") else { return false }
  let exchange: UInt32 = 2  // RENAME_EXCHANGE
  return unsafeBitCast(symbol, to: RenameAt2.self)(AT_FDCWD, first, AT_FDCWD, second, exchange) == 0
}
