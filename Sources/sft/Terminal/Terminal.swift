import Core
import FoundationEssentials
@preconcurrency import Glibc  // for stdout
import Pipeline
import Synchronization

/// What the user sees: results on standard output, everything else on standard error.
enum Terminal {
  static let errorIsTerminal = isatty(STDERR_FILENO) == 1
  static let outputIsTerminal = isatty(STDOUT_FILENO) == 1

  /// Gives the standard streams that the caller closed to `/dev/null`, so that no file that is opened later gets their
  /// number and what is printed. Writing to such a standard output fails, as it should: the results are lost.
  static func openMissingStreams() {
    for stream in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(stream, F_GETFD) < 0 {
      // The lowest free number is the stream's own.
      _ = open("/dev/null", stream == STDERR_FILENO ? O_WRONLY : O_RDONLY)
    }
  }

  /// Throws `inputOutput` where results did not get out.
  static func finish() throws {
    errno = 0
    guard fflush(stdout) == 0, ferror(stdout) == 0 else {
      let reason = errno == 0 ? "" : ": \(String(cString: strerror(errno)))"
      throw SFTError(.inputOutput, "the results could not be written to standard output\(reason)")
    }
  }

  /// To standard error, at once.
  static func write(_ text: String) {
    fflush(nil)
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
      if count <= 0 { return }
      bytes = bytes.dropFirst(count)
    }
  }

  private static let jsonCount = Atomic<Int>(0)

  /// Whether standard output has its one value.
  static var hasPrintedJSON: Bool { jsonCount.load(ordering: .relaxed) > 0 }

  /// A value as JSON on standard output, on one line.
  static func printJSON(_ value: some Encodable) throws {
    print(String(decoding: try reportEncoder().encode(value), as: UTF8.self))
    jsonCount.add(1, ordering: .relaxed)
  }

  /// Text for standard error, with the lines broken where words end if that is a terminal. Elsewhere a line stays one.
  static func fitted(_ text: String) -> String { errorIsTerminal ? folded(text, columns) : text }

  /// Columns of the terminal, or 80.
  static var columns: Int {
    var size = winsize()
    return ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : 80
  }

  /// A result for people on standard output, whatever names and texts it holds; data for programs are printed as they are.
  static func show(_ text: String) { print(printable(text)) }

  static func style(_ text: String, _ code: String) -> String {
    outputIsTerminal && getenv("NO_COLOR") == nil ? "\u{1b}[\(code)m\(text)\u{1b}[0m" : text
  }
}

/// Notes and progress on standard error: a line that is rewritten on a terminal, plain lines otherwise, nothing if quiet.
final class Progress: @unchecked Sendable {
  private let quiet: Bool
  private var lineIsOpen = false
  private var remarks: [String] = []
  private var lastDrawn = ContinuousClock.now - .seconds(1)
  private var lastTenth: (name: String, tenth: Int)?

  init(quiet: Bool) { self.quiet = quiet }

  func note(_ text: String) {
    if quiet { return }
    // A half-drawn bar gives way; it is drawn anew below the note.
    if lineIsOpen { Terminal.write("\r\u{1b}[2K") }
    lineIsOpen = false
    Terminal.write(Terminal.fitted(printable(text)) + "\n")
  }

  /// Said by `close`, so beside a result, and not at all where there is none.
  func remark(_ text: String) { if !remarks.contains(text) { remarks.append(text) } }

  /// A state of something long; `label` says what is counted, where that is not plain. On a terminal it is drawn ten times a
  /// second at most; elsewhere only where `isMilestone`.
  func update(_ done: Int, of total: Int, label: String = "", _ text: String, isMilestone: Bool) {
    if quiet { return }
    guard Terminal.errorIsTerminal else {
      if isMilestone { Terminal.write("\(label)\(done)/\(total)  \(printable(text))\n") }
      return
    }
    guard done == total || ContinuousClock.now - lastDrawn > .milliseconds(100) else { return }
    lastDrawn = .now
    let width = 24
    let filled = total > 0 ? width * done / total : width
    let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
    let line = "\(bar) \(label)\(done)/\(total)  \(printable(text))"
    Terminal.write("\r\u{1b}[2K" + String(line.prefix(max(20, Terminal.columns - 1))))
    lineIsOpen = true
  }

  /// Whether a tenth of something was not reached before.
  func isNewTenth(_ tenth: Int, of name: String) -> Bool {
    if let lastTenth, lastTenth.name == name, lastTenth.tenth == tenth { return false }
    lastTenth = (name, tenth)
    return true
  }

  /// Ends the rewritten line, and says what was kept for then.
  func close() {
    if lineIsOpen { Terminal.write("\n") }
    lineIsOpen = false
    for remark in remarks { note(remark) }
    remarks = []
  }
}

/// 3725 → "1:02:05", 65 → "1:05".
func clockTime(_ seconds: Double) -> String {
  guard seconds.isFinite, seconds < 1e8 else { return "?" }
  let whole = Int(seconds.rounded())
  func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
  let (hours, minutes) = (whole / 3600, whole / 60 % 60)
  return hours > 0 ? "\(hours):\(two(minutes)):\(two(whole % 60))" : "\(minutes):\(two(whole % 60))"
}
