import Core
import Templating

/// Texts of a sequence that are tokenised each by itself, as a prompt and its answer are.
struct TextRun {
  /// Of what a template gives for a record, which is not copied.
  var segments: ArraySlice<TextSegment>
  var isTrained: Bool
  /// EOS follows.
  var endsAnswer = false
}

extension PromptTemplate {
  /// A conversation of questions and answers in turn, each exchange as the template lays one out, a blank line between
  /// them; what the system says stands before all, under a heading of its own.
  ///
  /// Throws where the turns are others, or need more than a question and an answer.
  func runs(_ conversation: Conversation, _ trainOn: TrainedTurns) throws(EncodingFault) -> [TextRun] {
    var rest = conversation.turns[...]
    var before: ArraySlice<TextSegment> = []
    func literal(_ text: String) -> TextSegment { TextSegment(text: text, trained: false, literal: true) }
    if let system = rest.first, system.role == Role.system {
      rest = rest.dropFirst()
      if let text = system.content, !text.isEmpty {
        before = [literal("### System:\n"), TextSegment(text: text, trained: false, literal: false), literal("\n\n")]
      }
    }
    let lastAnswer = rest.lastIndex { $0.role == Role.assistant }
    var runs: [TextRun] = []
    runs.reserveCapacity(conversation.turns.count)
    while let question = rest.popFirst() {
      // Nothing is learnt from a question without an answer.
      guard let answer = rest.popFirst() else { break }
      guard question.role == Role.user, answer.role == Role.assistant, let text = answer.content,
        question.content != nil,
        !question.callsTools, !answer.callsTools
      else {
        let number = conversation.turns.count - rest.count - 1
        throw EncodingFault(
          "the template \(name) takes a question and its answer in turn, and messages \(number) and \(number + 1) are of "
            + "\"\(printable(String(question.role.prefix(40))))\" and \"\(printable(String(answer.role.prefix(40))))\"",
          advice: "Use a chat template: \(OptionName.template) model")
      }
      let segments = render(Record(instruction: question.content ?? "", input: question.input, output: text))
      let isTrained = !answer.isExcluded && (trainOn != .last || rest.startIndex - 1 == lastAnswer)
      let prompt = segments.prefix { !$0.trained }
      runs.append(TextRun(segments: before.isEmpty ? prompt : before + prompt, isTrained: trainOn == .all))
      runs.append(TextRun(segments: segments[prompt.endIndex...], isTrained: isTrained, endsAnswer: true))
      before = [literal("\n\n")]
    }
    guard runs.contains(where: { $0.endsAnswer && $0.isTrained }) else {
      throw EncodingFault("no message of the assistant is to be trained")
    }
    return runs
  }
}
