import Core
import Glibc

/// A log that grows at its end.
public final class AppendFile {
  private let path: String
  private let descriptor: Int32

  public init(_ path: String) throws {
    self.path = path
    descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o666)
    if descriptor < 0 { throw systemError("create", path) }
  }

  deinit { close(descriptor) }

  /// In one system call where the system takes it whole.
  public func write(_ bytes: [UInt8]) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if written < 0 {
        if errno == EINTR { continue }
        throw systemError("write", path)
      }
      rest = rest.dropFirst(written)
    }
  }

  /// Makes what was written durable.
  public func sync() throws {
    if fsync(descriptor) != 0 { throw systemError("write", path) }
  }
}
