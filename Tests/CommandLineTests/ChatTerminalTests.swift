import Foundation
import TestSupport
import Testing

/// `sft chat` at a terminal that these tests play.
@Suite struct ChatTerminalTests {
  /// A pseudo terminal with `sft chat` at its other end.
  private final class Screen {
    let process = Process()
    private let master: Int32
    private let slave: Int32
    private var shown: [UInt8] = []

    init(_ sft: SFTBinary, _ arguments: String...) throws {
      master = open("/dev/ptmx", O_RDWR | O_NOCTTY)
      var (number, isLocked) = (Int32(0), Int32(0))
      // TIOCSPTLCK and TIOCGPTN, as unlockpt and ptsname ask.
      try #require(ioctl(master, 0x4004_5431, &isLocked) == 0 && ioctl(master, 0x8004_5430, &number) == 0)
      slave = open("/dev/pts/\(number)", O_RDWR | O_NOCTTY)
      let handle = FileHandle(fileDescriptor: slave)
      process.executableURL = URL(fileURLWithPath: try SFTBinary.path())
      process.arguments = ["chat", "--model", SFTBinary.model, "--max-new-tokens", "3"] + arguments
      process.currentDirectoryURL = URL(fileURLWithPath: sft.folder)
      process.environment = ["HOME": sft.folder, "TERM": "xterm", "SWIFT_BACKTRACE": "enable=no"]
      (process.standardInput, process.standardOutput, process.standardError) = (handle, handle, handle)
      try process.run()
    }

    deinit { for descriptor in [master, slave] { close(descriptor) } }

    /// Whether the terminal gives whole lines, echoes and makes signals of keys, as a shell wants it.
    var isCooked: Bool {
      var state = termios()
      tcgetattr(slave, &state)
      let flags = tcflag_t(ICANON | ECHO | ISIG)
      return state.c_lflag & flags == flags
    }

    func type(_ text: String) { _ = Array(text.utf8).withUnsafeBytes { write(master, $0.baseAddress, $0.count) } }

    /// All that came up to the next `text`.
    func read(to text: String) throws -> String {
      let wanted = Array(text.utf8)
      while true {
        if let end = shown.firstRange(of: wanted)?.upperBound {
          defer { shown.removeFirst(end) }
          return String(decoding: shown[..<end], as: UTF8.self)
        }
        var ready = pollfd(fd: master, events: Int16(POLLIN), revents: 0)
        try #require(
          poll(&ready, 1, 20_000) > 0, "'\(text)' does not come after \(String(decoding: shown, as: UTF8.self))")
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = Glibc.read(master, &bytes, bytes.count)
        shown += bytes.prefix(max(0, count))
      }
    }
  }

  private static let prompt = "> \u{1b}[K\r\u{1b}[2C"

  @Test func linesAreEditedAndAnswered() throws {
    try withSFT { sft in
      let screen = try Screen(sft)
      #expect(try screen.read(to: Self.prompt).hasSuffix("\u{1b}[?2004h\r" + Self.prompt))
      #expect(!screen.isCooked)
      screen.type("/syst\u{1b}[Hx\u{7f}\u{5}em 배\u{7f}나무\r")
      #expect(try screen.read(to: "\r\n").hasSuffix("> /system 나무\u{1b}[K\r\n"))
      #expect(try screen.read(to: Self.prompt).contains("The system says that from now on"))
      screen.type("Hello\r")
      #expect(try screen.read(to: Self.prompt).contains("The answer was cut at 3 tokens"))
      screen.type("/nonsense\r")
      #expect(try screen.read(to: Self.prompt).contains("error: there is no command /nonsense."))
      screen.type("abc\u{3}")
      _ = try screen.read(to: "^C\r\n")
      _ = try screen.read(to: Self.prompt)
      screen.type("\u{3}")
      #expect(try screen.read(to: Self.prompt).contains("Ctrl-C again ends the conversation"))
      screen.type("\u{3}")
      #expect(try screen.read(to: "by Ctrl-C.\r\n").contains("\u{1b}[?2004l"))
      screen.process.waitUntilExit()
      #expect(screen.process.terminationStatus == 130 && screen.isCooked)
    }
  }

  @Test(arguments: [(nil, 0), (SIGTERM, 143), (SIGINT, 130), (SIGHUP, 129), (SIGQUIT, 131)] as [(Int32?, Int32)])
  func theTerminalIsGivenBack(_ signal: Int32?, _ code: Int32) throws {
    try withSFT { sft in
      let screen = try Screen(sft, "--quiet")
      _ = try screen.read(to: Self.prompt)
      #expect(!screen.isCooked)
      if let signal { kill(screen.process.processIdentifier, signal) } else { screen.type("\u{4}") }
      _ = try screen.read(to: "\u{1b}[?2004l")
      screen.process.waitUntilExit()
      #expect(screen.process.terminationStatus == code && screen.isCooked)
    }
  }
}
