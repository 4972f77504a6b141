import Core
import JSON
import Tokenizing

/// Conversations → samples by a chat template: every trained turn after exactly what the template shows the model when it
/// asks for that turn.
///
/// How a turn is trained whose template does not go on from what it asks with is told at `TurnRenderer.text`.
///
/// Where that is what stands before the turn in the samples so far, the turn is one more trained range; where the template
/// writes earlier turns otherwise, as one that drops a past turn's reasoning, it begins a sample of its own. The packed
/// forest computes once what such samples share.
package struct ChatSampler {
  /// Each trained turn is rendered with all that comes before it, so the work grows with the product.
  private static let workLimit = 1 << 21

  let template: any ChatRenderer
  let tokenizer: Tokenizer
  let encoder: TokenEncoder
  let settings: ChatSettings

  package init(
    _ template: any ChatRenderer, _ tokenizer: Tokenizer, _ encoder: TokenEncoder, _ settings: ChatSettings
  ) {
    (self.template, self.tokenizer, self.encoder, self.settings) = (template, tokenizer, encoder, settings)
  }

  /// Throws `EncodingFault` where the template refuses the conversation or nothing of it is to be trained.
  package func record(_ conversation: Conversation) throws -> EncodedRecord {
    if settings.trainOn == .all { return try whole(conversation) }
    let (removed, rest) = try fitted(try endingInAnswer(conversation))
    let renderer = try TurnRenderer(rest, template, tokenizer, encoder)
    let lastContext = try renderer.context(rest.turns.count - 1)
    let answers = answers(rest)
    var record = EncodedRecord([])
    record.removedTurns = removed
    record.remarks.emptyTurns = rest.turns.count { $0.role == Role.assistant && !$0.isExcluded && $0.isEmpty }
    note(lastContext.text.pieces, rest, &record.remarks)
    if lastContext.tokens.count > settings.maxLength {
      // Too long, whatever comes before it.
      record.samples = [lastContext.sample]
      return record
    }
    guard answers.count * rest.turns.count <= Self.workLimit else {
      throw EncodingFault(
        "the conversation has \(grouped(rest.turns.count)) messages, \(grouped(answers.count)) of which are trained, too many "
          + "to render what comes before each",
        advice: "Divide it, or train on its last turn alone: \(OptionName.trainOn) last")
    }
    for index in answers {
      let context = index == rest.turns.count - 1 ? lastContext : try renderer.context(index)
      if !context.hasEnd { record.remarks.turnsWithoutEnd += 1 }
      if context.text.isAskedOtherwise { record.remarks.turnsAskedOtherwise += 1 }
      if context.text.losesThought { record.remarks.lostThoughts += 1 }
      join(context.sample, after: context.prompt.count, to: &record.samples)
    }
    record.remarks.doubledBeginnings = record.samples.count(where: beginsTwice)
    return record
  }

  /// The sample of one more turn, whose first `promptCount` tokens are what is asked with: one with the last of `samples`
  /// where that stands before the turn as it was trained.
  private func join(_ sample: Sample, after promptCount: Int, to samples: inout [Sample]) {
    if let before = samples.last, sample.tokens.prefix(promptCount).starts(with: before.tokens) {
      samples[samples.count - 1] = Sample(tokens: sample.tokens, supervised: before.supervised + sample.supervised)
    } else {
      samples.append(sample)
    }
  }

  /// Without what follows the last trained turn, which has no part in it.
  private func endingInAnswer(_ conversation: Conversation) throws -> Conversation {
    guard let last = answers(conversation).last else {
      throw EncodingFault("no message of the assistant is to be trained")
    }
    var ending = conversation
    ending.turns.removeSubrange((last + 1)...)
    return ending
  }

  /// The turns that are trained.
  private func answers(_ conversation: Conversation) -> [Int] {
    let all = conversation.turns.indices.filter { conversation.turns[$0].role == Role.assistant }
    // Nothing is asked before the first turn.
    let wanted = settings.trainOn == .last ? Array(all.suffix(1)) : all.filter { $0 > 0 }
    return wanted.filter { conversation.turns[$0].isAnswer }
  }

  private func beginsTwice(_ sample: Sample) -> Bool {
    sample.tokens.count > 1 && sample.tokens[0] == sample.tokens[1] && tokenizer.isSpecial(sample.tokens[0])
  }

  /// The conversation without as few turns from its start as its last turn fits with; what is left begins with the user.
  /// As it is where turns are not cut, where all fits, and with the least that can be kept where that is too long.
  /// O(log turns) renderings.
  private func fitted(_ conversation: Conversation) throws -> (removed: Int, Conversation) {
    guard settings.cutsTurns else { return (0, conversation) }
    let system = conversation.turns.prefix { $0.role == Role.system }.count
    let starts = conversation.turns.indices.filter { $0 > system && conversation.turns[$0].role == Role.user }
    let choices = [0] + starts.map { $0 - system }
    func fits(_ choice: Int) throws -> Bool {
      let rest = conversation.droppingTurns(choices[choice])
      let context = try TurnRenderer(rest, template, tokenizer, encoder).context(rest.turns.count - 1)
      return context.tokens.count <= settings.maxLength
    }
    var (low, high) = (0, choices.count - 1)
    if try fits(0) { high = 0 }
    while low < high {
      let middle = (low + high) / 2
      if try fits(middle) { high = middle } else { low = middle + 1 }
    }
    return (choices[low], conversation.droppingTurns(choices[low]))
  }

  /// All that the template writes, trained but for the messages that are excluded.
  private func whole(_ conversation: Conversation) throws -> EncodedRecord {
    let renderer = try TurnRenderer(conversation, template, tokenizer, encoder)
    let count = conversation.turns.count
    let pieces = try renderer.pieces(count)
    let ids = renderer.ids(pieces)
    let boundaries = TokenBoundaries(pieces, ids) { renderer.ids($0) }
    var supervised: [Range<Int>] = []
    var done = 0
    for index in conversation.turns.indices where conversation.turns[index].isExcluded {
      let (start, end) = (try renderer.pieces(index), try renderer.pieces(index + 1))
      guard pieces.text.utf8.starts(with: end.text.utf8), end.text.utf8.starts(with: start.text.utf8) else {
        throw EncodingFault(
          "what the template writes of message \(index + 1), which is not to be trained, cannot be told")
      }
      let excluded = boundaries.tokens(overlapping: start.byteCount..<end.byteCount)
      supervised.append(done..<max(done, excluded.lowerBound))
      done = max(done, excluded.upperBound)
    }
    supervised.append(done..<ids.count)
    var record = EncodedRecord([Sample(tokens: ids, supervised: supervised)])
    note(pieces, conversation, &record.remarks)
    for index in answers(conversation) where Thought(renderer.messages[index])?.isMissing(in: pieces) ?? false {
      record.remarks.lostThoughts += 1
    }
    record.remarks.doubledBeginnings = record.samples.count(where: beginsTwice)
    return record
  }

  /// Messages that lose their spaces, or themselves.
  private func note(_ pieces: [RenderedPiece], _ conversation: Conversation, _ remarks: inout TemplateRemarks) {
    var written = [String](repeating: "", count: conversation.turns.count)
    for piece in pieces {
      if case .data(let message?) = piece.origin, message < written.count { written[message] += piece.text }
    }
    for (turn, text) in zip(conversation.turns, written) where turn.content != nil && !turn.isEmpty {
      if text.isEmpty {
        remarks.lostMessages += 1
      } else if OuterSpaces(turn.text).differsOnlyAround(OuterSpaces(text)) {
        remarks.lostSpaces += 1
      }
    }
  }
}
