import Core
import Glibc

/// The error for a failed system call on `path`: `errno` in words, and the exit code that fits it.
public func systemError(_ action: String, _ path: String, _ number: Int32 = errno) -> SFTError {
  let reason = String(cString: strerror(number))
  switch number {
  case ENOENT, ENOTDIR:
    return SFTError(.notFound, "cannot \(action): \(reason)", file: path)
  case EACCES, EPERM, EROFS, EEXIST, EISDIR:
    return SFTError(.cannotCreate, "cannot \(action): \(reason)", file: path)
  case ENOSPC, EDQUOT:
    return SFTError(
      .inputOutput, "cannot \(action): \(reason)", file: path, advice: "Free some space and run the same command again")
  case ENOMEM:
    return SFTError(
      .internalError, "cannot \(action): \(reason)", file: path, advice: Shortage.memoryAdvice)
  default:
    return SFTError(.inputOutput, "cannot \(action): \(reason)", file: path)
  }
}

/// The error for a failed read of `path`: `systemError`, but `notFound` where permission is denied.
func readError(_ path: String, _ number: Int32 = errno) -> SFTError {
  number == EACCES
    ? SFTError(.notFound, "cannot read: permission denied", file: path) : systemError("read", path, number)
}

/// What `stat` says of a path, links followed.
public struct FileStatus: Sendable, Equatable {
  public enum Kind: Sendable { case file, directory, other }
  public var kind: Kind
  public var size: Int
  public var inode: UInt64
  public var device: UInt64
  /// Nanoseconds since 1970.
  public var modified: Int

  /// nil where there is nothing at `path`. Throws where the system does not say: what cannot be reached, or lies on a disk
  /// that fails, may well be there.
  public init?(_ path: String) throws {
    var info = stat()
    guard stat(path, &info) == 0 else {
      if errno == ENOENT || errno == ENOTDIR { return nil }
      throw readError(path)
    }
    self.init(info)
  }

  init(_ info: stat) {
    switch info.st_mode & S_IFMT {
    case S_IFREG: kind = .file
    case S_IFDIR: kind = .directory
    default: kind = .other
    }
    size = Int(info.st_size)
    inode = UInt64(info.st_ino)
    device = UInt64(info.st_dev)
    modified = Int(info.st_mtim.tv_sec) * 1_000_000_000 + Int(info.st_mtim.tv_nsec)
  }
}

/// Whether something is there; throws as `FileStatus` does.
public func fileExists(_ path: String) throws -> Bool { try FileStatus(path) != nil }
public func directoryExists(_ path: String) throws -> Bool { try FileStatus(path)?.kind == .directory }

/// Names in a directory, sorted, without "." and "..".
public func directoryEntries(_ path: String) throws -> [String] {
  guard let handle = opendir(path) else { throw systemError("read the folder", path) }
  defer { closedir(handle) }
  var names: [String] = []
  while true {
    errno = 0
    guard let entry = readdir(handle) else {
      if errno != 0 { throw systemError("read the folder", path) }
      break
    }
    let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
      pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
    }
    if name != ".", name != ".." { names.append(name) }
  }
  return names.sorted()
}

/// Creates a folder and its parents; an existing folder is fine.
public func createDirectory(_ path: String) throws {
  if try directoryExists(path) { return }
  let parent = parentPath(path)
  if !parent.isEmpty, parent != path { try createDirectory(parent) }
  if mkdir(path, 0o777) != 0, errno != EEXIST {
    let error = systemError("create the folder", path)
    // Its parent is there, so what is missing is not something the user named.
    throw error.kind == .notFound ? SFTError(.cannotCreate, error.message, file: path) : error
  }
  guard try directoryExists(path) else { throw SFTError(.cannotCreate, "is in the way of a folder", file: path) }
}

/// Creates a folder that must not be there yet; false where something has its name already. Of several processes that try
/// at once one succeeds.
public func createNewDirectory(_ path: String) throws -> Bool {
  try createDirectory(parentPath(path))
  if mkdir(path, 0o777) == 0 { return true }
  if errno == EEXIST { return false }
  throw systemError("create the folder", path)
}

/// Gives a folder another name, which nothing has yet.
public func renameFolder(_ path: String, to name: String) throws {
  guard rename(path, name) == 0 else { throw systemError("rename", path) }
}

/// Removes a file or a whole folder; links are removed, not followed. Nothing there is fine.
public func removeTree(_ path: String) throws {
  var info = stat()
  guard lstat(path, &info) == 0 else {
    if errno == ENOENT { return }
    throw systemError("remove", path)
  }
  if info.st_mode & S_IFMT == S_IFDIR {
    for name in try directoryEntries(path) { try removeTree(path + "/" + name) }
    if rmdir(path) != 0 { throw systemError("remove", path) }
  } else if unlink(path) != 0, errno != ENOENT {
    throw systemError("remove", path)
  }
}

public func parentPath(_ path: String) -> String {
  guard let slash = path.lastIndex(of: "/") else { return "." }
  return slash == path.startIndex ? "/" : String(path[..<slash])
}

public func lastPathComponent(_ path: String) -> String {
  var trimmed = path[...]
  while trimmed.count > 1, trimmed.last == "/" { trimmed = trimmed.dropLast() }
  return trimmed.lastIndex(of: "/").map { String(trimmed[trimmed.index(after: $0)...]) } ?? String(trimmed)
}

/// The path with links resolved, or nil where there is nothing.
public func canonicalPath(_ path: String) -> String? {
  guard let resolved = realpath(path, nil) else { return nil }
  defer { free(resolved) }
  return String(cString: resolved)
}
