import Core
import Glibc

/// A file being written under a temporary name beside its own; nothing has its name until `commit`.
public final class OutputFile {
  public let path: String
  private let temporary: String
  private var descriptor: Int32
  private var buffer: [UInt8] = []
  /// Bytes written so far.
  public private(set) var count = 0

  public init(_ path: String) throws {
    self.path = path
    temporary = TemporaryName.make(beside: path)
    descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    if descriptor < 0 {
      let number = errno
      throw number == ENOENT || number == ENOTDIR
        ? SFTError(.cannotCreate, "cannot create: its folder does not exist", file: path)
        : systemError("create", path, number)
    }
    buffer.reserveCapacity(1 << 16)
  }

  deinit {
    if descriptor >= 0 {
      close(descriptor)
      unlink(temporary)
    }
  }

  public func write(_ bytes: UnsafeRawBufferPointer) throws {
    count += bytes.count
    if buffer.count + bytes.count <= 1 << 16 {
      buffer.append(contentsOf: bytes)
      return
    }
    try flush()
    try writeThrough(bytes)
  }

  public func write(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try write($0) } }
  public func write(_ text: String) throws { try write(Array(text.utf8)) }

  private func flush() throws {
    let pending = buffer
    buffer.removeAll(keepingCapacity: true)
    try pending.withUnsafeBytes { try writeThrough($0) }
  }

  private func writeThrough(_ bytes: UnsafeRawBufferPointer) throws {
    var rest = bytes
    while !rest.isEmpty {
      let written = Glibc.write(descriptor, rest.baseAddress, rest.count)
      if written < 0 {
        if errno == EINTR { continue }
        throw systemError("write", path)
      }
      rest = UnsafeRawBufferPointer(rebasing: rest[written...])
    }
  }

  /// Flushes, syncs to the disk, and gives the file its name, replacing what had it.
  public func commit() throws {
    try flush()
    guard fsync(descriptor) == 0 else { throw systemError("write", path) }
    guard close(descriptor) == 0 else {
      descriptor = -1
      let error = systemError("write", path)
      unlink(temporary)
      throw error
    }
    descriptor = -1
    guard rename(temporary, path) == 0 else {
      let error = systemError("create", path)
      unlink(temporary)
      throw error
    }
    syncDirectory(parentPath(path))
  }
}

/// Writes a whole file so that a reader sees the old content or the new, never a part.
public func writeAtomically(_ bytes: [UInt8], to path: String) throws {
  let file = try OutputFile(path)
  try file.write(bytes)
  try file.commit()
}

public func writeAtomically(_ text: String, to path: String) throws { try writeAtomically(Array(text.utf8), to: path) }

/// Copies a file, of which no more than a piece is resident at a time: it may be weights.
public func copyFile(_ source: String, to path: String) throws {
  let source = try MappedFile(source)
  let output = try OutputFile(path)
  for start in stride(from: 0, to: source.count, by: 1 << 20) {
    let piece = start..<min(start + 1 << 20, source.count)
    try output.write(UnsafeRawBufferPointer(rebasing: source.bytes[piece]))
    source.advise(piece, .dontNeed)
  }
  try output.commit()
}

/// Makes renames in a folder durable. Some file systems refuse; the rename itself stands.
public func syncDirectory(_ path: String) {
  let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
  if descriptor >= 0 {
    fsync(descriptor)
    close(descriptor)
  }
}

/// The whole content of a file, at most `limit` bytes.
public func readFile(_ path: String, limit: Int = 1 << 30) throws -> [UInt8] {
  let file = try MappedFile(path)
  guard file.count <= limit else {
    throw SFTError(.badData, "is \(byteCount(file.count)), more than \(byteCount(limit)) expected here", file: path)
  }
  return Array(file.bytes)
}
