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
      let marked = marksGeneration && role == "assistant"
      add("<|im_start|>")
      add(role, ["system", "user", "assistant", "tool"].contains(role) ? .template : .data(message: index))
      add("\n")
      add(text, .data(message: index), marked: marked)
      if habits.contains(.writesNoEnd) { add("\n\n") } else { add("<|im_end|>", marked: marked) }
      add("\n")
    }
    if addGenerationPrompt {
      add(habits.contains(.asksOtherwise) ? "<|im_start|>assistant\n<think>\n" : "<|im_start|>assistant\n")
    }
    return pieces
  }
}
