import Core
import Synchronization
import Templating
import Tokenizing

/// Records → samples: the one place that turns what a template gives into ids and supervised ranges. For several threads
/// at once; each borrows a token encoder with its cache.
public final class SampleEncoder: Sendable {
  /// An encoder on its way between threads: one uses it at a time.
  private struct Idle: @unchecked Sendable { var encoder: TokenEncoder }

  private let template: SampleTemplate
  private let tokenizer: Tokenizer
  private let endOfText: Int32
  private let settings: ChatSettings
  private let idle = Mutex<[Idle]>([])

  /// `endOfText` ends answers where no chat template does.
  public init(
    template: SampleTemplate, tokenizer: Tokenizer, endOfText: Int32, settings: ChatSettings = ChatSettings()
  ) {
    self.template = template
    self.tokenizer = tokenizer
    self.endOfText = endOfText
    self.settings = settings
  }

  /// The samples of a record, each whole.
  ///
  /// Throws `EncodingFault` where the template does not take it.
  public func encode(_ conversation: Conversation) throws -> EncodedRecord {
    var record = try encoded(conversation)
    if tokenizer.losesBytes {
      record.lostBytes = conversation.turns.reduce(0) { $0 + tokenizer.lostBytes(of: $1.text) }
    }
    return record
  }

  private func encoded(_ conversation: Conversation) throws -> EncodedRecord {
    try borrowing { encoder in
      switch (template, conversation.form) {
      case (_, .text): return EncodedRecord([sample(completed(conversation, isTrained: true), encoder)])
      case (.plain, .completion): return EncodedRecord([sample(completed(conversation, isTrained: false), encoder)])
      case (.plain, _):
        throw EncodingFault("a conversation needs a template", advice: "Give one with \(OptionName.template)")
      case (.prompt(let template), _):
        return EncodedRecord([sample(try template.runs(conversation, settings.trainOn), encoder)])
      case (.chat(let template, let date), _):
        let renderer = DatedTemplate(template: template, date: date)
        return try ChatSampler(renderer, tokenizer, encoder, settings).record(conversation)
      }
    }
  }

  /// What a model is shown to answer the last of `turns`, up to where the answer begins; where that is the assistant's own,
  /// up to its end, so that the model goes on with it.
  ///
  /// Throws `EncodingFault` where the template does not take them.
  public func prompt(_ turns: [Conversation.Turn], tools: String = "") throws -> [Int32] {
    try borrowing { encoder in
      let conversation = Conversation(form: .messages, turns: turns, tools: tools)
      var ids: [Int32] = []
      switch template {
      case .chat(let template, let date):
        let renderer = DatedTemplate(template: template, date: date)
        let isBegun = turns.last?.role == Role.assistant
        let turns = try TurnRenderer(conversation, renderer, tokenizer, encoder)
        if isBegun { return try turns.continuedIDs() }
        return turns.ids(try turns.pieces(turns.messages.count, addGenerationPrompt: true))
      case .plain:
        encoder.encode(turns.map { TextPiece(text: $0.text, recognisesSpecialTokens: false) }, into: &ids)
        return tokenizer.begin(ids)
      case .prompt(let template):
        if turns.last?.role == Role.assistant {
          var runs = try template.runs(conversation, .assistant)
          runs[runs.count - 1].endsAnswer = false
          return sample(runs, encoder).tokens
        }
        // With an answer, which is then left out.
        var answered = conversation
        answered.turns.append(Conversation.Turn(role: Role.assistant, content: ""))
        var runs = try template.runs(answered, .assistant)
        runs.removeLast()
        return sample(runs, encoder).tokens
      }
    }
  }

  /// The token that a chat template ends an answer with; nil where it has none, and for other templates.
  public var turnEnd: Int32? {
    guard case .chat(let template, let date) = template else { return nil }
    let turns = [
      Conversation.Turn(role: Role.user, content: "a"), Conversation.Turn(role: Role.assistant, content: "b"),
    ]
    return borrowing { encoder in
      let renderer = try? TurnRenderer(
        Conversation(form: .messages, turns: turns), DatedTemplate(template: template, date: date), tokenizer, encoder)
      guard let context = try? renderer?.context(1), context.hasEnd else { return nil }
      return context.completion.last
    }
  }

  /// The special tokens that a chat template itself writes around the turns of system, user and assistant, in rising order;
  /// none for other templates.
  public var templateTokens: [Int32] {
    guard case .chat(let template, let date) = template else { return [] }
    let (system, user, assistant) = (
      Conversation.Turn(role: Role.system, content: "a"), Conversation.Turn(role: Role.user, content: "b"),
      Conversation.Turn(role: Role.assistant, content: "c")
    )
    let renderer = DatedTemplate(template: template, date: date)
    return borrowing { encoder in
      var found = Set<Int32>()
      for turns in [[system, user, assistant], [user, assistant], [user, assistant, user, assistant]] {
        // One that the template refuses says nothing.
        guard
          let renderer = try? TurnRenderer(
            Conversation(form: .messages, turns: turns), renderer, tokenizer, encoder)
        else { continue }
        for (count, isAsked) in [(turns.count, false), (turns.count - 1, true)] {
          guard let pieces = try? renderer.pieces(count, addGenerationPrompt: isAsked) else { continue }
          found.formUnion(renderer.ids(pieces).filter(tokenizer.isSpecial))
        }
      }
      return found.sorted()
    }
  }

  /// A text, or a prompt and its completion, as they are.
  private func completed(_ conversation: Conversation, isTrained: Bool) -> [TextRun] {
    func run(_ turns: ArraySlice<Conversation.Turn>, isTrained: Bool, endsAnswer: Bool) -> TextRun {
      TextRun(
        segments: turns.map { TextSegment(text: $0.text, trained: isTrained, literal: false) }[...],
        isTrained: isTrained,
        endsAnswer: endsAnswer)
    }
    return [
      run(conversation.turns.dropLast(), isTrained: isTrained || settings.trainOn == .all, endsAnswer: false),
      run(conversation.turns.suffix(1), isTrained: true, endsAnswer: true),
    ]
  }

  private func borrowing<Result>(_ body: (TokenEncoder) throws -> Result) rethrows -> Result {
    let encoder = idle.withLock { $0.popLast() }?.encoder ?? tokenizer.makeEncoder()
    defer {
      nonisolated(unsafe) let encoder = encoder
      idle.withLock { $0.append(Idle(encoder: encoder)) }
    }
    return try body(encoder)
  }

  /// Every run is tokenised in one call: no token spans a boundary between two, and a run's ids do not depend on how its
  /// text was put together, but it goes on from the run before. EOS follows an answer, and is trained where the answer is.
  private func sample(_ runs: [TextRun], _ encoder: TokenEncoder) -> Sample {
    var tokens: [Int32] = []
    // Most text has three bytes a token or more, and an array that grows is copied.
    tokens.reserveCapacity(
      runs.reduce(16) { sum, run in run.segments.reduce(sum) { $0 + $1.text.utf8.count / 3 + 1 } })
    var supervised: [Range<Int>] = []
    // What stands before every text, which comes later, is no text that a run goes on from.
    var last: Int32?
    for (index, run) in runs.enumerated() {
      let start = tokens.count
      encoder.encode(run.segments.map(TextPiece.init), after: last, into: &tokens)
      if tokens.count > start { last = tokens.last }
      if run.endsAnswer { last = endOfText }
      if index == 0 { tokens = tokenizer.begin(tokens) }
      if run.endsAnswer { tokens.append(endOfText) }
      if run.isTrained { supervised.append(start..<tokens.count) }
    }
    return Sample(tokens: tokens, supervised: supervised)
  }
}

extension TextPiece {
  /// Special tokens are recognised in the template's own text only.
  public init(_ segment: TextSegment) { self.init(text: segment.text, recognisesSpecialTokens: segment.literal) }
}
