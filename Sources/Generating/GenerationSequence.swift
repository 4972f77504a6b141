import Core
import Models

/// What a batch is asked to continue.
public struct GenerationRequest {
  public var prompt: [Int32]
  public var settings: GenerationSettings
  /// nil for the bare base. It must not change while the batch has its answers.
  public var adapter: Adapter?
  /// Tokens that end the text beside those of the model and its tokenizer, as what ends a turn in a chat template.
  public var endTokens: [Int32]
  /// Each token with its probability and those of so many of the likeliest ones; nil for none.
  public var likeliest: Int?
  /// One pass more than the text needs, for the probability that it ended where it did.
  public var measuresEnd: Bool

  public init(
    _ prompt: [Int32], _ settings: GenerationSettings, adapter: Adapter? = nil, endTokens: [Int32] = [],
    likeliest: Int? = nil, measuresEnd: Bool = false
  ) {
    (self.prompt, self.settings, self.adapter) = (prompt, settings, adapter)
    (self.endTokens, self.likeliest, self.measuresEnd) = (endTokens, likeliest, measuresEnd)
  }
}

/// One of the texts that a batch continues, from its admission on.
final class GenerationSequence {
  let id: GenerationBatch.ID
  let request: GenerationRequest
  let cache: KeyValueCache
  /// Bytes of keys and values at most, shared ones among them.
  let need: Int
  private(set) var continuation: Continuation
  /// What the next passes are to compute of the prompt, or the last token.
  private(set) var pending: ArraySlice<Int32>
  private(set) var isDone = false

  init(
    _ id: GenerationBatch.ID, _ request: GenerationRequest, _ vocabulary: Continuation.Vocabulary,
    _ cache: KeyValueCache, need: Int, context: Int
  ) {
    (self.id, self.request, self.cache, self.need) = (id, request, cache, need)
    continuation = Continuation(request.prompt, room: context - request.prompt.count, request.settings, vocabulary)
    pending = request.prompt[cache.count...]
  }

  /// Tokens of the prompt that are computed as prompts are: all but the last.
  var promptCount: Int { request.prompt.count - 1 }

  /// Whether more is to be computed than one token, so some of the prompt.
  var isReadingPrompt: Bool { pending.count > 1 }

  /// Takes up to `count` of the prompt's pending tokens but the last for a pass.
  func takePrompt(_ count: Int) -> SequenceExtension { take(min(count, pending.count - 1)) }

  /// Takes the one token that is pending for a pass.
  func takeToken() -> SequenceExtension { take(1) }

  private func take(_ count: Int) -> SequenceExtension {
    let taken = pending.prefix(count)
    pending = pending.dropFirst(count)
    return SequenceExtension(cache, Array(taken), request.adapter)
  }

  /// Whether no logits but the largest matter, and reading fewer of them pays.
  func takesLargest(from tokens: Int) -> Bool {
    request.settings.sampling.takesLargest && request.likeliest == nil && continuation.ending == nil
      && continuation.tokens.count >= tokens
  }

  /// Takes the logits [V] after its last token; the text that has become certain, and the token.
  func take(_ logits: UnsafeBufferPointer<Float>) throws -> (text: String, token: ChosenToken?) {
    guard continuation.ending == nil else {
      continuation.measureEnd(logits)
      isDone = true
      return ("", nil)
    }
    let before = continuation.tokens.count
    let text = try continuation.advance(logits)
    let token = request.likeliest.flatMap { count in
      continuation.tokens.count > before
        ? continuation.tokens.last.map { ChosenToken($0, logits, likeliest: count) } : nil
    }
    goOn()
    return (text, token)
  }

  /// Takes the largest logit; `logits` are asked for where others matter too.
  func take(
    largest token: Int, _ logit: Float, _ logits: () -> UnsafeBufferPointer<Float>
  ) throws -> String {
    let text = try continuation.advance(largest: token, logit, logits)
    goOn()
    return text
  }

  private func goOn() {
    let isEnded = continuation.ending != nil
    isDone = isEnded && (!request.measuresEnd || continuation.ending == .endOfText)
    pending = isDone ? [] : [continuation.tokens.last].compactMap(\.self)[...]
    // A stop string may end a text before any token is part of it.
    if pending.isEmpty { isDone = true }
  }
}
