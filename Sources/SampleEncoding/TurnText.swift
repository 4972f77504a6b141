import Core
import JSON

/// The text of one trained turn: what the model is shown when it is asked for the turn, and what it is to answer.
struct TurnText {
  var prompt: [RenderedPiece]
  /// Goes on from the prompt.
  var answer: [RenderedPiece]
  /// The template asks for the turn with reasoning begun or left out, and the turn is not of that kind: it is trained
  /// after the mark of the assistant's turn, where inference writes more.
  var isAskedOtherwise = false
  /// The template writes the turn without the reasoning that the message has.
  var losesThought = false

  /// Prompt and answer.
  var pieces: [RenderedPiece] { prompt + answer }
}

extension TurnRenderer {
  /// What message `index` is trained after, and as what.
  ///
  /// Where the template writes the turn after what it asks for it with, both are as it writes them. Some templates ask with
  /// a thought begun, such as `<think>\n`, and write turns otherwise. Then
  /// - a turn that is written with that mark is trained after the prompt, from what follows its own mark: its white space
  ///   after the mark is the prompt's;
  /// - a turn whose message has reasoning, which the template leaves out of it, is trained after the prompt as the model
  ///   would answer: reasoning, closing mark and the answer that the template writes. The reasoning is what stands in the
  ///   message before the closing mark, with its white space; or its `reasoning_content`, closed with line feeds around
  ///   the mark where the prompt has one;
  /// - a turn without reasoning is trained after the mark of the assistant's turn, without the thought begun. That is not
  ///   what the model will be asked with, and counted in `TemplateRemarks.turnsAskedOtherwise`;
  /// - where the template asks with a thought that is closed at once, the turn is trained after it, unless it has
  ///   reasoning, which is trained and counted as before.
  ///
  /// Throws where the turn goes on from its prompt in no such way, or a thought cannot be told from its answer.
  func text(_ index: Int) throws -> TurnText {
    let asked = try pieces(index, addGenerationPrompt: true)
    let answered = try pieces(index + 1)
    let thought = Thought(messages[index])
    let opening = ThoughtOpening(endOf: asked)
    do {
      let rest = try answered.rest(after: asked)
      return TurnText(prompt: asked, answer: rest, losesThought: thought?.isMissing(in: rest) ?? false)
    } catch {
      let failure = EncodingFault("message \(index + 1): " + error.message, advice: error.advice)
      guard let opening else { throw failure }
      let before = asked.bytes(0..<asked.byteCount - opening.text.utf8.count)
      guard let written = try? answered.rest(after: before) else { throw failure }
      return try text(index, written, asked: asked, before: before, opening, thought)
    }
  }

  /// `written` is what the template writes after `before`, and `asked` is that with what it opens.
  private func text(
    _ index: Int, _ written: [RenderedPiece], asked: [RenderedPiece], before: [RenderedPiece],
    _ opening: ThoughtOpening, _ thought: Thought?
  ) throws -> TurnText {
    if written.text.utf8.starts(with: opening.mark.utf8) {
      if opening.isClosed { return TurnText(prompt: before, answer: written, isAskedOtherwise: true) }
      let inside = written.bytes(opening.mark.utf8.count..<written.byteCount)
      let spaces = inside.text.utf8.prefix { [0x20, 0x09, 0x0a, 0x0d].contains($0) }.count
      return TurnText(prompt: asked, answer: inside.bytes(spaces..<inside.byteCount))
    }
    let isMissing = thought?.isMissing(in: written) ?? false
    if opening.isClosed || written.text.utf8.contains(opening.closing.utf8) {
      return TurnText(prompt: asked, answer: written, losesThought: isMissing)
    }
    guard let thought, isMissing else {
      return TurnText(prompt: before, answer: written, isAskedOtherwise: true)
    }
    guard let answer = thought.answer(written, opening) else {
      throw EncodingFault(
        "message \(index + 1): the template asks for it with \"\(opening.mark)\" begun, and where its reasoning ends and "
          + "the answer begins cannot be told from what the template writes of it",
        advice:
          "Write it as \(opening.mark)…\(opening.closing) and the answer after that, or reasoning_content and content")
    }
    return TurnText(prompt: asked, answer: answer)
  }
}
