import Core
import Evaluating
import Generating
import Glibc
import Pipeline

/// Messages and commands in, answers out, until there are no more.
struct ChatLoop {
  private let dialogue: Dialogue
  private let showsAnswers: Bool
  private let note: (String) -> Void
  private let isPerson = isatty(STDIN_FILENO) == 1
  private var source: any ChatSource
  /// Ctrl-C on an empty line, one after the other.
  private var interruptions = 0

  init(_ dialogue: Dialogue, showsAnswers: Bool, note: @escaping (String) -> Void) {
    (self.dialogue, self.showsAnswers, self.note) = (dialogue, showsAnswers, note)
    source = RawTerminal.isUsable ? EditedLines() : PlainLines()
  }

  /// At a terminal an error is told, and the conversation goes on; elsewhere it ends it, naming the line.
  mutating func run() throws {
    if isPerson {
      note("/help lists the commands, Ctrl-D ends.")
      Interrupt.notes()
    }
    while true {
      switch try source.next(prompt: prompt) {
      case .ended: return
      case .interrupted(let wasEmpty): try interrupted(wasEmpty)
      case .line(let line):
        interruptions = 0
        do {
          guard let input = try ChatInput(line) else { continue }
          if input == .quit { return }
          try act(on: input)
        } catch var error as SFTError {
          guard isPerson else {
            if error.file == nil, error.kind != .internalError {
              (error.file, error.line) = ("standard input", source.line)
            }
            throw error
          }
          Terminal.write(Terminal.fitted("error: " + printable("\(error)")) + "\n")
        }
      }
    }
  }

  private var prompt: String { dialogue.hasSides ? "\(dialogue.side.rawValue)> " : "> " }

  private mutating func interrupted(_ wasEmpty: Bool) throws {
    interruptions = wasEmpty ? interruptions + 1 : 0
    if interruptions > 1 { throw SFTError(.interrupted, "the conversation was ended by Ctrl-C") }
    if wasEmpty { note("Ctrl-C again ends the conversation, as Ctrl-D does.") }
  }

  private func act(on input: ChatInput) throws {
    switch input {
    case .quit: break
    case .message(let message): try answer(message)
    case .help: Terminal.write(ChatInput.list)
    case .reset:
      dialogue.reset()
      note("The conversation begins anew.")
    case .system(let text):
      dialogue.system = text
      note(
        text == nil ? "The system says nothing." : "The system says that from now on, before the whole conversation.")
    case .side(let side):
      try dialogue.use(side)
      note(side == .base ? "The base answers." : "What was trained answers.")
    }
  }

  private func answer(_ message: String) throws {
    _ = Interrupt.takeNoted()
    var isShown = false
    let generation: Generation?
    do {
      generation = try dialogue.answer(message, note: note, isStopped: { isPerson && Interrupt.takeNoted() }) { text in
        guard showsAnswers, !text.isEmpty else { return }
        isShown = true
        show(Terminal.outputIsTerminal ? printable(text) : text)
      }
    } catch {
      // A line that was begun is ended before what is said of it.
      if isShown { show("\n") }
      throw error
    }
    // An empty answer is a line, too: a program can tell which is whose.
    if showsAnswers { show("\n") }
    guard isPerson else { return }
    if generation == nil {
      note("The answer was stopped.")
    } else if generation?.finishReason == .length {
      note("The answer was cut at \(counted(generation?.tokenIds.count ?? 0, "token")): --max-new-tokens allows more.")
    }
  }

  private func show(_ text: String) {
    print(text, terminator: "")
    fflush(nil)
  }
}
