import Glibc

/// What a computation cannot go on without and no caller can do anything about.
public enum Shortage {
  public static let memoryAdvice = "Free some memory, raise the limit on it, or give the command less at a time"

  /// Ends the process with an error: `bytes` of memory could not be had.
  public static func ofMemory(_ bytes: Int) -> Never {
    end("out of memory: \(byteCount(bytes)) more could not be had", memoryAdvice)
  }

  /// Ends the process with an error: a thread could not be had, for the reason that `number` gives as `errno` does.
  public static func ofThreads(_ number: Int32) -> Never {
    end(
      "a thread could not be had: \(String(cString: strerror(number)))",
      "Give fewer with \(OptionName.threads), or raise the limit on processes or memory")
  }

  private static func end(_ message: String, _ advice: String) -> Never {
    let error = SFTError(.internalError, message, advice: advice)
    fflush(nil)
    let line = Array("error: \(error)\n".utf8)
    _ = write(STDERR_FILENO, line, line.count)
    _exit(error.kind.rawValue)
  }
}

/// As `UnsafeMutableRawPointer.allocate`, at a multiple of 64 and for what may be large: where it cannot be had the process
/// ends with an error instead of a trap.
package func allocateAligned(bytes: Int) -> UnsafeMutableRawPointer {
  var memory: UnsafeMutableRawPointer?
  guard posix_memalign(&memory, 64, max(bytes, 1)) == 0, let memory else { Shortage.ofMemory(bytes) }
  return memory
}
