import Core
import JSON
import SampleEncoding
import Synchronization

/// ChatML written out in Swift, with the habits of some real templates.
final class FakeTemplate: ChatRenderer {
  /// What it does otherwise.
  enum Habit {
    /// Leaves out what stands before `</think>` in all turns but the last.
    case dropsThinking
    case trims
    case writesNoEnd
    case beginsTwice
    case marksGeneration
    /// Asks with more than an answer begins with.
    case asksOtherwise
    /// Asks with a thought begun, which an answer need not begin with.
    case asksForThought
    /// Asks with a thought that is closed at once.
    case asksForNoThought
    /// Leaves out what stands before `</think>` in every turn.
    case neverWritesThinking
    /// Writes a thought, if only an empty one, without a line feed.
    case alwaysWritesThinking
    case leavesSystemOut
  }

  let habits: Set<Habit>
  /// Messages rendered so far.
  let work = Mutex(0)

  init(_ habits: Set<Habit> = []) { self.habits = habits }

  var marksGeneration: Bool { habits.contains(.marksGeneration) }

  func pieces(_ messages: [JSONValue], tools: JSONValue?, addGenerationPrompt: Bool) throws -> [RenderedPiece] {
    work.withLock { $0 += messages.count }
    var pieces: [RenderedPiece] = []
    func add(_ text: String, _ origin: RenderedPiece.Origin = .template, marked: Bool = false) {
      if !text.isEmpty { pieces.append(RenderedPiece(text: text, origin: origin, inGeneration: marked)) }
    }
    if habits.contains(.beginsTwice) { add("<|endoftext|><|endoftext|>") }
    for (index, message) in messages.enumerated() {
      let role = message["role"]?.string ?? ""
      if role == "system", habits.contains(.leavesSystemOut) { continue }
      var text = message["content"]?.string ?? ""
      if habits.contains(.dropsThinking), index < messages.count - 1, let end = text.firstRange(of: "</think>") {
        text = String(text[end.upperBound...])
      }
      if habits.contains(.trims) {
        text = String(text.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
      }
      if habits.contains(.neverWritesThinking), let end = text.ranges(of: "</think>").last {
        text = String(text[end.upperBound...])
      }
      let marked = marksGeneration && role == "assistant"
      add("<|im_start|>")
      add(role, ["system", "user", "assistant", "tool"].contains(role) ? .template : .data(message: index))
      let isBare = role == "assistant" && !text.hasPrefix("<think>")
      add(habits.contains(.alwaysWritesThinking) && isBare ? "\n<think></think>" : "\n")
      add(text, .data(message: index), marked: marked)
      if habits.contains(.writesNoEnd) { add("\n\n") } else { add("<|im_end|>", marked: marked) }
      add("\n")
    }
    if addGenerationPrompt {
      var asked = "<|im_start|>assistant\n"
      if habits.contains(.asksOtherwise) { asked += "Answer: " }
      if habits.contains(.asksForThought) { asked += "<think>\n" }
      if habits.contains(.asksForNoThought) { asked += "<think>\n\n</think>\n\n" }
      add(asked)
    }
    return pieces
  }
}
