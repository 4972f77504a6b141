import Glibc
import Synchronization

/// Ctrl-C: the first asks for an orderly stop, the second ends the process at once.
enum Interrupt {
  private static let count = Atomic<Int>(0)

  static var requested: Bool { count.load(ordering: .relaxed) > 0 }

  static func install() {
    for number in [SIGINT, SIGTERM] {
      signal(number) { _ in
        // Only what a signal handler may do: an atomic, and _exit.
        if Interrupt.count.wrappingAdd(1, ordering: .relaxed).oldValue > 0 { _exit(130) }
      }
    }
  }
}
