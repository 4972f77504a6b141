import Core
import Glibc
import Synchronization

/// Ctrl-C ends the process at once with exit code 130; while training, the first asks for an orderly stop and only the
/// second does that.
enum Interrupt {
  private static let count = Atomic<Int>(0)

  static var requested: Bool { count.load(ordering: .relaxed) > 0 }

  /// Nothing is lost by it: what is unfinished has a temporary name.
  static func exitsAtOnce() {
    for number in [SIGINT, SIGTERM] { signal(number) { _ in _exit(SFTError.Kind.interrupted.rawValue) } }
    // Whoever starts this from a thread with its signals blocked, as Dispatch's are, hands that down.
    var set = sigset_t()
    sigemptyset(&set)
    for number in [SIGINT, SIGTERM] { sigaddset(&set, number) }
    sigprocmask(SIG_UNBLOCK, &set, nil)
  }

  static func stopsOrderly() {
    for number in [SIGINT, SIGTERM] {
      signal(number) { _ in
        // Only what a signal handler may do: an atomic, and _exit.
        if Interrupt.count.wrappingAdd(1, ordering: .relaxed).oldValue > 0 {
          _exit(SFTError.Kind.interrupted.rawValue)
        }
      }
    }
  }
}
