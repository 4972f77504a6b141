import Core
import Glibc

/// A file for what comes through a stream or is made from another file: in `$TMPDIR` (else `/var/tmp`, else `/tmp`), without a
/// name, gone with the process. So memory stays bounded, and the data can be looked at as often as a file's.
public final class NamelessFile {
  /// For a process that inherits it open; closed with the file.
  package let descriptor: Int32

  /// Throws `cannotCreate` or `inputOutput` where none can be made.
  public init() throws {
    let wanted = getenv("TMPDIR").map { String(cString: $0) } ?? ""
    let usual = access("/var/tmp", W_OK) == 0 ? "/var/tmp" : "/tmp"
    let folder = wanted.isEmpty ? usual : wanted
    var template = Array("\(folder)/sft-input-XXXXXX".utf8CString)
    descriptor = mkstemp(&template)
    guard descriptor >= 0 else { throw systemError("create a temporary file", folder) }
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    unlink(template)
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Throws `inputOutput` where the disk is full.
  public func append(_ bytes: UnsafeRawBufferPointer) throws {
    var written = 0
    while written < bytes.count {
      let taken = write(descriptor, bytes.baseAddress?.advanced(by: written), bytes.count - written)
      guard taken > 0 else {
        if errno == EINTR { continue }
        throw systemError("write", "a temporary copy of the data")
      }
      written += taken
    }
  }
}

extension MappedFile {
  /// All that was appended to `file`, known by `name`.
  public convenience init(_ file: NamelessFile, name: String) throws {
    try self.init(descriptor: file.descriptor, path: name, isCopy: true)
  }
}
