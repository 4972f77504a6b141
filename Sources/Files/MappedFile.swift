import CProcess
import Core
import Glibc

/// A file mapped read-only and privately; unmapped when the last reference goes.
///
/// A file that another process shortens while it is mapped ends the reader (SIGBUS), as with every mapped file: in a
/// process that watches its mappings, with an error that names the file.
public final class MappedFile: Sendable {
  public let path: String
  public let count: Int
  /// What came through a stream: `path` names that, and is none to open.
  public let isCopy: Bool
  private nonisolated(unsafe) let base: UnsafeRawPointer?
  /// What it is known by to `watch`.
  private let number: Int32

  /// Makes an error and an exit code of reading what is no longer there.
  public static func watch() { sft_watch_mappings() }

  /// Throws `notFound` where there is no regular file, `inputOutput` where it cannot be mapped.
  public convenience init(_ path: String) throws {
    // A pipe without a writer is not waited for.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw readError(path) }
    defer { close(descriptor) }
    try self.init(descriptor: descriptor, path: path, isCopy: false)
  }

  /// `descriptor` is only borrowed.
  init(descriptor: Int32, path: String, isCopy: Bool) throws {
    var info = stat()
    guard fstat(descriptor, &info) == 0 else { throw systemError("read", path) }
    guard info.st_mode & S_IFMT == S_IFREG else { throw SFTError(.notFound, "is not a regular file", file: path) }
    self.path = path
    self.isCopy = isCopy
    count = Int(info.st_size)
    if count == 0 {
      (base, number) = (nil, -1)
    } else {
      guard let mapped = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0), mapped != MAP_FAILED else {
        throw systemError("map", path)
      }
      base = UnsafeRawPointer(mapped)
      number = sft_note_mapping(mapped, count, path)
    }
  }

  deinit {
    guard let base else { return }
    sft_forget_mapping(number)
    munmap(UnsafeMutableRawPointer(mutating: base), count)
  }

  /// Valid for as long as this object lives.
  public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

  /// Tells the kernel that a range will be read from start to end, or is not needed soon (frees its resident pages).
  public func advise(_ range: Range<Int>, _ advice: Advice) {
    guard range.lowerBound >= 0, range.upperBound <= count else { return }
    adviseMapped(UnsafeRawBufferPointer(rebasing: bytes[range]), advice)
  }

  public enum Advice: Int32, Sendable {
    case willNeed = 3
    case dontNeed = 4
  }
}

/// Tells the kernel how bytes of a `MappedFile` will be used, by the whole pages around them. What is dropped is read again
/// from the file at its next use.
public func adviseMapped(_ bytes: UnsafeRawBufferPointer, _ advice: MappedFile.Advice) {
  guard let start = bytes.baseAddress, !bytes.isEmpty else { return }
  let offset = Int(bitPattern: start) % Int(sysconf(Int32(_SC_PAGESIZE)))
  madvise(UnsafeMutableRawPointer(mutating: start - offset), bytes.count + offset, advice.rawValue)
}

/// The text of a file that has no size of its own, as those in `/proc`.
public func readPseudoFile(_ path: String) throws -> String {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { throw systemError("read", path) }
  defer { close(descriptor) }
  var bytes: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 1 << 14)
  while true {
    let count = read(descriptor, &chunk, chunk.count)
    guard count >= 0 else { throw systemError("read", path) }
    if count == 0 { return String(decoding: bytes, as: UTF8.self) }
    bytes += chunk.prefix(count)
  }
}
