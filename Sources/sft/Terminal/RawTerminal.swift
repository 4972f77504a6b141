import Core
import Glibc
import Synchronization

/// The terminal while a line is edited: bytes come as they are typed, without echo, and a paste comes in brackets. It is given
/// back as it was on every way out, signals included.
enum RawTerminal {
  nonisolated(unsafe) private static var original = termios()
  private static let isRaw = Atomic<Bool>(false)
  /// Signals that end the process, and what was to be done on them.
  nonisolated(unsafe) private static var handlers: [(Int32, __sighandler_t?)] = []

  /// Whether lines can be edited on it.
  static var isUsable: Bool {
    guard isatty(STDIN_FILENO) == 1, isatty(STDOUT_FILENO) == 1 else { return false }
    return getenv("TERM").map { String(cString: $0) } != "dumb" && tcgetattr(STDIN_FILENO, &original) == 0
  }

  static func enter() {
    guard tcgetattr(STDIN_FILENO, &original) == 0 else { return }
    isRaw.store(true, ordering: .relaxed)
    for number in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] {
      let before = signal(number) { number in
        RawTerminal.restore()
        _exit(128 + number)
      }
      if unsafeBitCast(before, to: Int.self) == 1 {
        // It is ignored, as under nohup, and stays so.
        signal(number, SIG_IGN)
      } else {
        handlers.append((number, before))
      }
    }
    // Only so that they end a wait: the size is another, or the shell has had the terminal.
    for number in [SIGWINCH, SIGCONT] { handlers.append((number, signal(number) { _ in })) }
    Interrupt.unblock([SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH, SIGCONT])
    apply()
  }

  /// Puts the terminal into raw mode; called again where a shell may have changed it.
  static func apply() {
    var raw = original
    raw.c_iflag &= ~tcflag_t(BRKINT | ICRNL | INPCK | ISTRIP | IXON)
    raw.c_lflag &= ~tcflag_t(ECHO | ICANON | IEXTEN | ISIG)
    withUnsafeMutableBytes(of: &raw.c_cc) { bytes in
      bytes[Int(VMIN)] = 1
      bytes[Int(VTIME)] = 0
    }
    tcsetattr(STDIN_FILENO, TCSANOW, &raw)
    write("\u{1b}[?2004h")
  }

  static func leave() {
    restore()
    for (number, handler) in handlers { signal(number, handler) }
    handlers = []
  }

  /// Does only what a signal handler may.
  private static func restore() {
    guard isRaw.exchange(false, ordering: .relaxed) else { return }
    write("\u{1b}[?2004l")
    tcsetattr(STDIN_FILENO, TCSANOW, &original)
  }

  private static func write(_ text: StaticString) {
    _ = Glibc.write(STDOUT_FILENO, text.utf8Start, text.utf8CodeUnitCount)
  }
}
