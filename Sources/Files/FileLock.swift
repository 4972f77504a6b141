import Core
import Glibc

/// An advisory lock (`flock`) on a file or a folder, held until the object goes or the process ends, however it ends:
/// there are no stale locks. Two `FileLock`s conflict in one process as they do in two.
public final class FileLock: Sendable {
  public enum Mode: Sendable { case shared, exclusive }
  public enum Target: Sendable {
    /// A file that serves only as a lock; created where missing.
    case lockFile
    /// A file or folder that must be there; needs no permission to write.
    case existing
  }

  public let path: String
  public let mode: Mode
  private let descriptor: Int32

  /// Waits for the lock; `waiting` is called once if that takes more than a second, and `poll` again and again, which may throw
  /// to wait no longer.
  /// Throws `notFound` where `.existing` is not there (any more).
  public convenience init(
    _ path: String, _ mode: Mode, _ target: Target = .lockFile, waiting: () -> Void = {}, poll: () throws -> Void = {}
  ) throws {
    // Polled, because the file may be replaced while we wait for it, and because a signal handler may want to end us.
    let pause: UInt32 = 20_000
    var polls = 0
    while true {
      if let descriptor = try Self.acquire(path, mode, target) {
        self.init(path: path, mode: mode, descriptor: descriptor)
        return
      }
      polls += 1
      if polls == 50 { waiting() }
      try poll()
      usleep(pause)
    }
  }

  /// The lock, or nil if somebody else has it.
  public static func attempt(_ path: String, _ mode: Mode, _ target: Target = .lockFile) throws -> FileLock? {
    try acquire(path, mode, target).map { FileLock(path: path, mode: mode, descriptor: $0) }
  }

  private init(path: String, mode: Mode, descriptor: Int32) {
    self.path = path
    self.mode = mode
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  /// Removes the lock file, for tidiness. Whoever waits for it notices and makes a new one.
  public func removeFile() {
    precondition(mode == .exclusive)
    unlink(path)
  }

  /// A descriptor that holds the lock on what `path` names now; nil if the lock is taken.
  private static func acquire(_ path: String, _ mode: Mode, _ target: Target) throws -> Int32? {
    while true {
      let flags = target == .lockFile ? O_RDWR | O_CREAT | O_CLOEXEC : O_RDONLY | O_CLOEXEC
      let descriptor = open(path, flags, 0o666)
      guard descriptor >= 0 else {
        if errno == EINTR { continue }
        throw systemError("lock", path)
      }
      let wanted = mode == .shared ? LOCK_SH : LOCK_EX
      if flock(descriptor, wanted | LOCK_NB) != 0 {
        let number = errno
        close(descriptor)
        if number == EWOULDBLOCK { return nil }
        if number == EINTR { continue }
        throw systemError("lock", path, number)
      }
      // The name may have been removed or given to something else between opening and locking.
      do {
        var held = stat()
        if fstat(descriptor, &held) == 0, let named = try FileStatus(path), named.inode == UInt64(held.st_ino),
          named.device == UInt64(held.st_dev)
        {
          return descriptor
        }
      } catch {
        close(descriptor)
        throw error
      }
      close(descriptor)
    }
  }
}
