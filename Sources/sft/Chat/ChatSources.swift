import Core
import Glibc

/// What comes from whoever talks.
enum ChatEvent: Equatable {
  case line(String)
  /// Ctrl-C; whether there was nothing on the line.
  case interrupted(wasEmpty: Bool)
  case ended
}

protocol ChatSource {
  /// Where a fault of a line is, for an error; nil at a terminal.
  var line: Int? { get }
  mutating func next(prompt: String) throws -> ChatEvent
}

/// Bytes of standard input as they come.
struct StandardInput {
  enum Chunk {
    case bytes([UInt8])
    /// A signal came.
    case signal
    case end
  }

  func read() throws -> Chunk {
    var wanted = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
    // Unlike a read, a wait is ended by every signal.
    if poll(&wanted, 1, -1) < 0, errno == EINTR { return .signal }
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = Glibc.read(STDIN_FILENO, &bytes, bytes.count)
    if count < 0 {
      if errno == EINTR { return .signal }
      // A terminal that is gone.
      if errno == EIO { return .end }
      throw SFTError(.inputOutput, "cannot be read: \(String(cString: strerror(errno)))", file: "standard input")
    }
    return count == 0 ? .end : .bytes(Array(bytes.prefix(count)))
  }
}

/// Lines of a pipe, a file, or a terminal that cannot be edited on.
struct PlainLines: ChatSource {
  /// Of the longest line.
  private static let limit = 64 << 20

  private let input = StandardInput()
  private let showsPrompt = isatty(STDIN_FILENO) == 1 && Terminal.errorIsTerminal
  private var pending: [UInt8] = []
  private var isAtEnd = false
  private var number = 0
  /// Where the next line feed is looked for.
  private var searched = 0

  var line: Int? { isatty(STDIN_FILENO) == 1 ? nil : number }

  mutating func next(prompt: String) throws -> ChatEvent {
    if showsPrompt { Terminal.write(prompt) }
    while true {
      if let end = pending[searched...].firstIndex(of: 0x0a) { return .line(try take(end, dropping: 1)) }
      searched = pending.count
      if isAtEnd { return pending.isEmpty ? .ended : .line(try take(pending.count, dropping: 0)) }
      guard pending.count <= Self.limit else {
        throw SFTError(
          .badData, "is longer than \(byteCount(Self.limit)), too much for one message", file: "standard input",
          line: number + 1)
      }
      switch try input.read() {
      case .bytes(let bytes): pending += bytes
      case .end: isAtEnd = true
      case .signal:
        if Interrupt.takeNoted() {
          if showsPrompt { Terminal.write("\n") }
          return .interrupted(wasEmpty: true)
        }
      }
    }
  }

  private mutating func take(_ count: Int, dropping ends: Int) throws -> String {
    number += 1
    var bytes = pending[..<count]
    if bytes.last == 0x0d { bytes.removeLast() }
    defer {
      pending.removeFirst(count + ends)
      searched = 0
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw SFTError(.badData, "is not valid UTF-8", file: "standard input", line: number)
    }
    return text
  }
}

/// Lines that are edited at a terminal.
struct EditedLines: ChatSource {
  let line: Int? = nil
  private let input = StandardInput()
  private var editor = LineEditor()
  /// Typed ahead.
  private var pending: ArraySlice<UInt8> = []

  mutating func next(prompt: String) throws -> ChatEvent {
    fflush(nil)
    RawTerminal.enter()
    defer { RawTerminal.leave() }
    while true {
      while let byte = pending.popFirst() {
        if let event = take(byte, prompt) { return event }
      }
      show(editor.drawing(prompt: prompt, columns: Terminal.columns))
      switch try input.read() {
      case .bytes(let bytes): pending = bytes[...]
      case .signal: RawTerminal.apply()
      case .end:
        show("\n")
        return .ended
      }
    }
  }

  private mutating func take(_ byte: UInt8, _ prompt: String) -> ChatEvent? {
    switch editor.take(byte) {
    case .edited: return nil
    case .accepted(let line):
      show(LineEditor.entered(line, prompt: prompt))
      return .line(line)
    case .interrupted(let wasEmpty):
      show("^C\n")
      return .interrupted(wasEmpty: wasEmpty)
    case .ended:
      show("\n")
      return .ended
    case .cleared: show("\u{1b}[H\u{1b}[2J")
    case .suspended:
      RawTerminal.leave()
      show("\n")
      raise(SIGTSTP)
      RawTerminal.enter()
    }
    return nil
  }

  private func show(_ text: String) {
    print(text, terminator: "")
    fflush(nil)
  }
}
