import Core
import Glibc
import Synchronization

extension MappedFile {
  /// How messages and records name standard input.
  public static let standardInputName = "standard input"

  /// Data that a user names: a file, or a stream that can be read once: `-` and `/dev/stdin` for standard input, a FIFO,
  /// a shell's `<(…)`. A stream is read to its end, into a temporary file in `$TMPDIR` (else `/var/tmp`, else `/tmp`) that
  /// has no name and goes with the process: memory stays bounded, and the data can be looked at as often as a file's.
  ///
  /// Throws `notFound` where there is nothing of that name, `usage` where standard input is asked for a second time.
  public convenience init(input path: String) throws {
    if path == "-" || path == "/dev/stdin" {
      guard !standardInputIsTaken.exchange(true, ordering: .relaxed) else {
        throw SFTError(.usage, "standard input can be given only once: it is read to its end")
      }
      try self.init(copying: STDIN_FILENO, name: Self.standardInputName)
      return
    }
    guard let status = try FileStatus(path) else { throw SFTError(.notFound, "there is no such file", file: path) }
    guard status.kind == .other else {
      try self.init(path)
      return
    }
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw systemError("read", path) }
    defer { close(descriptor) }
    try self.init(copying: descriptor, name: path)
  }

  private convenience init(copying source: Int32, name: String) throws {
    let copy = try NamelessFile()
    var buffer = [UInt8](repeating: 0, count: 1 << 18)
    while true {
      let count = read(source, &buffer, buffer.count)
      if count == 0 { break }
      guard count > 0 else {
        if errno == EINTR { continue }
        throw systemError("read", name)
      }
      do {
        try buffer.withUnsafeBytes { try copy.append(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
      } catch var error as SFTError {
        error.file = name
        throw error
      }
    }
    try self.init(copy, name: name)
  }
}

private let standardInputIsTaken = Atomic<Bool>(false)
