import Core
import JSON
import Templating
import Tokenizing

/// One trained turn: what a model is shown when it is asked for the turn, and what it is to answer.
struct TurnContext {
  var prompt: [Int32]
  /// Up to the token that ends the turn.
  var completion: [Int32]
  /// Of the completion.
  var trained: [Range<Int>]
  /// Whether a token ends the turn.
  var hasEnd: Bool
  /// What it was made of.
  var text: TurnText

  var tokens: [Int32] { prompt + completion }
  var sample: Sample {
    Sample(
      tokens: tokens, supervised: trained.map { $0.lowerBound + prompt.count..<$0.upperBound + prompt.count })
  }
}

/// Makes contexts of a conversation's turns.
struct TurnRenderer {
  let template: any ChatRenderer
  let tokenizer: Tokenizer
  let encoder: TokenEncoder
  let messages: [JSONValue]
  let tools: JSONValue?

  init(
    _ conversation: Conversation, _ template: any ChatRenderer, _ tokenizer: Tokenizer, _ encoder: TokenEncoder
  ) throws {
    (self.template, self.tokenizer, self.encoder) = (template, tokenizer, encoder)
    messages = try conversation.turns.map { try $0.message }
    tools = try conversation.toolsValue
  }

  /// `prompt` is what the text goes on from.
  func ids(_ pieces: [RenderedPiece], after prompt: [Int32] = []) -> [Int32] {
    var ids: [Int32] = []
    encoder.encode(pieces.map(TextPiece.init), after: prompt.last, into: &ids)
    return ids
  }

  /// The text of the first `count` messages.
  func pieces(_ count: Int, addGenerationPrompt: Bool = false) throws -> [RenderedPiece] {
    try template.pieces(Array(messages[..<count]), tools: tools, addGenerationPrompt: addGenerationPrompt)
  }

  /// What a model is shown to go on with the last message, the end of which is that of the text.
  ///
  /// Throws where the message has no text, or the template does not write it as it is.
  func continuedIDs() throws -> [Int32] {
    guard let continued = ContinuedMessage(messages) else {
      throw EncodingFault("the last message has no text to go on with")
    }
    let begun: [RenderedPiece]
    do {
      begun = try continued.cut(
        try template.pieces(continued.messages, tools: tools, addGenerationPrompt: false))
    } catch let error as SFTError {
      throw EncodingFault(error.message, advice: error.advice)
    }
    // As an answer is trained and written: after its prompt, with no token across the two.
    guard messages.count > 1, let asked = try? pieces(messages.count - 1, addGenerationPrompt: true),
      let rest = try? begun.rest(after: asked)
    else { return ids(begun) }
    let prompt = ids(asked)
    return prompt + ids(rest, after: prompt)
  }

  /// Throws as `text`, and where the template writes nothing of message `index`.
  func context(_ index: Int) throws -> TurnContext {
    let text = try text(index)
    let rest = text.answer
    guard !rest.isEmpty else { throw EncodingFault("the template writes nothing of message \(index + 1)") }
    let prompt = self.ids(text.prompt)
    let ids = self.ids(rest, after: prompt)
    if template.marksGeneration {
      let trained = marked(rest, ids, after: prompt)
      guard let end = trained.last?.upperBound else {
        throw EncodingFault("the template marks nothing of message \(index + 1) as generated")
      }
      let hasEnd = ids[..<end].last(where: isSpecial) != nil
      return TurnContext(
        prompt: prompt, completion: Array(ids[..<end]), trained: trained, hasEnd: hasEnd, text: text)
    }
    let end = self.end(of: rest, ids, after: prompt)
    return TurnContext(
      prompt: prompt, completion: Array(ids[..<(end ?? ids.count)]), trained: [0..<(end ?? ids.count)],
      hasEnd: end != nil, text: text)
  }

  private func isSpecial(_ id: Int32) -> Bool { tokenizer.isSpecial(id) || tokenizer.endTokens.contains(id) }

  /// Where the turn ends: after the first special token behind what the message says, and those that stand at it unless it
  /// ends a text; nil where there is none.
  private func end(of rest: [RenderedPiece], _ ids: [Int32], after prompt: [Int32]) -> Int? {
    let said = rest.lastIndex { !$0.isLiteral }.map { rest[...$0] } ?? []
    let before = self.ids(Array(said), after: prompt).count(where: isSpecial)
    let specials = ids.indices.filter { isSpecial(ids[$0]) }
    guard specials.count > before else { return nil }
    var end = specials[before]
    while !tokenizer.endTokens.contains(ids[end]), end + 1 < ids.count, isSpecial(ids[end + 1]) { end += 1 }
    return end + 1
  }

  /// The tokens that overlap what the template marks.
  private func marked(_ rest: [RenderedPiece], _ ids: [Int32], after prompt: [Int32]) -> [Range<Int>] {
    let boundaries = TokenBoundaries(rest, ids) { self.ids($0, after: prompt) }
    var ranges: [Range<Int>] = []
    var start = 0
    for piece in rest {
      let end = start + piece.text.utf8.count
      if piece.inGeneration {
        let range = boundaries.tokens(overlapping: start..<end)
        // A token that spans two pieces belongs to both.
        ranges.append(
          max(range.lowerBound, ranges.last?.upperBound ?? 0)..<max(range.upperBound, ranges.last?.upperBound ?? 0))
      }
      start = end
    }
    return ranges.filter { !$0.isEmpty }
  }
}

/// Which tokens of a text overlap a range of its bytes.
struct TokenBoundaries {
  private let pieces: [RenderedPiece]
  private let whole: [Int32]
  private let encode: ([RenderedPiece]) -> [Int32]

  init(_ pieces: [RenderedPiece], _ ids: [Int32], encode: @escaping ([RenderedPiece]) -> [Int32]) {
    (self.pieces, whole, self.encode) = (pieces, ids, encode)
  }

  /// Tokens of the text before a byte: those whole, and whether the next one begins before it.
  private func before(_ byte: Int) -> (whole: Int, isCut: Bool) {
    let ids = encode(pieces.bytes(0..<byte))
    let same = zip(ids, whole).prefix { $0 == $1 }.count
    return (same, same < ids.count)
  }

  func tokens(overlapping range: Range<Int>) -> Range<Int> {
    let start = range.lowerBound == 0 ? 0 : before(range.lowerBound).whole
    let end = before(range.upperBound)
    return start..<max(start, min(whole.count, end.whole + (end.isCut ? 1 : 0)))
  }
}
