import Core
import Glibc
import Synchronization

/// Ctrl-C or `kill` ends the process at once, with 128 + the signal's number as exit code; while training, the first asks
/// for an orderly stop and only the second does that, and in a conversation it ends an answer.
enum Interrupt {
  private static let count = Atomic<Int>(0)
  /// The first signal that asked to stop.
  private static let number = Atomic<Int32>(SIGINT)

  static var requested: Bool { count.load(ordering: .relaxed) > 0 }

  /// What a shell says of a process that the signal ended: 130 after Ctrl-C, 143 after `kill`.
  static var exitCode: Int32 { 128 + number.load(ordering: .relaxed) }

  /// From now on Ctrl-C and `kill` end the process at once. Nothing is lost: unfinished files have temporary names.
  static func exitsAtOnce() {
    for number in [SIGINT, SIGTERM] { signal(number) { _exit(128 + $0) } }
    unblock([SIGINT, SIGTERM])
  }

  /// Unblocks signals: a process that is started from a thread that blocks them, as Dispatch's threads do, inherits that.
  static func unblock(_ signals: [Int32]) {
    var set = sigset_t()
    sigemptyset(&set)
    for number in signals { sigaddset(&set, number) }
    sigprocmask(SIG_UNBLOCK, &set, nil)
  }

  private static let noted = Atomic<Bool>(false)

  /// From now on Ctrl-C is only noted, for what it ends to look.
  static func notes() { signal(SIGINT) { _ in Interrupt.noted.store(true, ordering: .relaxed) } }

  /// Whether Ctrl-C was pressed since this was last asked.
  static func takeNoted() -> Bool { noted.exchange(false, ordering: .relaxed) }

  private static let continued = Atomic<Bool>(false)

  /// From now on SIGCONT is noted: Open MPI's `mpirun` sends it a second before it asks a process to stop.
  static func notesContinuing() { signal(SIGCONT) { _ in Interrupt.continued.store(true, ordering: .relaxed) } }

  static var wasContinued: Bool { continued.load(ordering: .relaxed) }

  static func stopsOrderly() {
    for number in [SIGINT, SIGTERM] {
      signal(number) { number in
        // Only what a signal handler may do: atomics, and _exit.
        if Interrupt.count.wrappingAdd(1, ordering: .relaxed).oldValue > 0 { _exit(128 + number) }
        Interrupt.number.store(number, ordering: .relaxed)
      }
    }
  }
}
