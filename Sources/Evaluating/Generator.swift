import Core
import Kernels
import Models
import Tokenizing

/// Continues texts with key/value caches: one at a time, or several in one pass, which reads the weights once for all.
public struct Generator {
  public let pass: InferencePass
  let vocabulary: Continuation.Vocabulary
  private let makesShortlist: Bool
  private let kept: KeptSequence
  /// Tokens after which making a shortlist of the head pays.
  private static let shortlistPays = 16
  /// Rows of a pass that takes in new prompts.
  private static let rowBudget = 512

  var context: Int { pass.decoder.configuration.contextLength }

  /// `endTokens` end a text beside those of the model and its tokenizer, as what ends a turn in a chat template.
  ///
  /// `makesShortlist`: whether long greedy answers may take memory of a byte a weight of the head, which is kept with
  /// the model, to be faster.
  ///
  /// Throws `badData` where the tokenizer has ids that the model does not.
  public init(
    _ pass: InferencePass, _ tokenizer: Tokenizer, endTokens: [Int32] = [], makesShortlist: Bool = true
  ) throws {
    let configuration = pass.decoder.configuration
    guard tokenizer.vocabularyCount <= configuration.vocabularySize else {
      throw SFTError(
        .badData, "the tokenizer has \(tokenizer.vocabularyCount) tokens, the model \(configuration.vocabularySize)")
    }
    self.pass = pass
    self.makesShortlist = makesShortlist
    vocabulary = Continuation.Vocabulary(
      tokenizer, endTokens: Set(configuration.endTokens.map(Int32.init) + tokenizer.endTokens + endTokens),
      classes: configuration.vocabularySize)
    kept = KeptSequence(pass.decoder)
  }

  /// Continues `prompt`. `stream` gets the text as it grows, never half a character nor a part of a stop string; beam
  /// search knows the text only at its end. It is called at every step, with nothing where there is nothing new, and what it
  /// throws ends the text.
  ///
  /// `continuing`: what the prompt shares with the start of the text before it, answer and all, is not computed again. It
  /// should then be the next turn of a conversation, and the same adapter.
  ///
  /// Throws `badData` where the prompt is empty or leaves no room in the model's context.
  public func generate(
    _ prompt: [Int32], _ settings: GenerationSettings, continuing: Bool = false,
    stream: (String) throws -> Void = { _ in }
  ) throws -> Generation {
    try settings.validate()
    try check(prompt)
    kept.keep(continuing ? prompt.dropLast() : [])
    if settings.numBeams > 1 {
      // The beams' own tokens are not kept.
      if continuing { _ = try takeIn(prompt.dropLast(), stream) }
      let found = try beamSearch(prompt, settings, from: kept.cache) { try stream("") }
      try stream(found.text)
      return found
    }
    var continuation = Continuation(prompt, room: context - prompt.count, settings, vocabulary)
    var logits = continuing ? try takeIn(prompt[...], stream) : kept.extend(pass, with: prompt)
    var shortlist: HeadShortlist?
    while true {
      guard let next = logits else { throw SFTError(.internalError, "a prompt gave no logits") }
      if makesShortlist, continuation.tokens.count == Self.shortlistPays, settings.sampling.takesLargest {
        shortlist = pass.shortlist(excluding: vocabulary.padding)
      }
      try stream(try continuation.advance(next, shortlist))
      guard continuation.ending == nil, let token = continuation.tokens.last else { return continuation.generation }
      logits = kept.extend(pass, with: [token])
    }
  }

  /// Computes what is not kept of a prompt, in parts, so that `stream` can end it between them; the logits after its last
  /// token, nil where all is kept.
  private func takeIn(
    _ prompt: ArraySlice<Int32>, _ stream: (String) throws -> Void
  ) throws -> NextLogits? {
    var logits: NextLogits?
    while kept.count < prompt.count {
      try stream("")
      logits = kept.extend(pass, with: Array(prompt[kept.count..<min(prompt.count, kept.count + Self.rowBudget / 2)]))
    }
    return logits
  }

  /// Continues each of `prompts`, as `generate` does one, `width` at a time: when one has ended, the next takes its place.
  /// What all prompts begin with is computed once. Each text's end probability is measured. `progress` gets how many are
  /// done. The plain engine takes one at a time and shares nothing.
  public func generate(
    _ prompts: [[Int32]], _ settings: GenerationSettings, width: Int, progress: (Int) -> Void = { _ in }
  ) throws -> [Generation] {
    try settings.validate()
    for prompt in prompts { try check(prompt) }
    let plain = pass.compute.engine == .plain
    let root = plain ? nil : sharedPrefix(prompts)
    var generations = [Generation?](repeating: nil, count: prompts.count)
    var active: [Slot] = []
    var (next, done) = (0, 0)
    while done < prompts.count {
      if settings.numBeams > 1 {
        generations[done] = try beamSearch(prompts[done], settings, from: root ?? fresh())
        done += 1
        progress(done)
        continue
      }
      while next < prompts.count, active.count < (plain ? 1 : max(1, width)) {
        let slot = Slot(next, prompts[next], settings, self, root)
        let rows = active.reduce(slot.pending.count) { $0 + $1.pending.count }
        if !active.isEmpty, rows > Self.rowBudget { break }
        active.append(slot)
        next += 1
      }
      try step(&active)
      for slot in active where slot.isDone {
        generations[slot.index] = slot.continuation.generation
        done += 1
      }
      if active.contains(where: \.isDone) { progress(done) }
      active.removeAll(where: \.isDone)
    }
    return generations.compactMap { $0 }
  }

  /// One token more for each.
  private func step(_ slots: inout [Slot]) throws {
    let logits = pass.extend(slots.map(\.cache), with: slots.map(\.pending))
    let classes = pass.decoder.configuration.vocabularySize
    for index in slots.indices {
      try slots[index].take(UnsafeBufferPointer(rebasing: logits[index * classes..<(index + 1) * classes]))
    }
  }

  private func check(_ prompt: [Int32]) throws {
    guard !prompt.isEmpty else { throw SFTError(.badData, "the prompt is empty") }
    guard prompt.count < context else {
      throw SFTError(
        .badData,
        "the prompt has \(grouped(prompt.count)) tokens, which leaves no room in the model's context of "
          + grouped(context))
    }
  }

  func fresh() -> KeyValueCache { KeyValueCache(pass.decoder, capacity: context) }

  /// What all prompts begin with, computed; nil where that is nothing. Each keeps at least a token of its own.
  private func sharedPrefix(_ prompts: [[Int32]]) -> KeyValueCache? {
    guard prompts.count > 1, let first = prompts.first else { return nil }
    let common = prompts.reduce(first.count - 1) { length, prompt in
      var shared = 0
      while shared < min(length, prompt.count - 1), prompt[shared] == first[shared] { shared += 1 }
      return shared
    }
    guard common > 0 else { return nil }
    let root = KeyValueCache(pass.decoder, capacity: common)
    _ = pass.extend(root, with: Array(first.prefix(common)))
    return root
  }
}

/// One of the texts that are continued together.
private struct Slot {
  let index: Int
  let cache: KeyValueCache
  var continuation: Continuation
  /// What the next pass is to compute of it.
  var pending: [Int32]
  private(set) var isDone = false

  init(
    _ index: Int, _ prompt: [Int32], _ settings: GenerationSettings, _ generator: Generator, _ root: KeyValueCache?
  ) {
    self.index = index
    continuation = Continuation(prompt, room: generator.context - prompt.count, settings, generator.vocabulary)
    // No sum: a limit may be as large as integers go.
    let capacity = prompt.count + min(settings.maxNewTokens, generator.context)
    cache =
      root.map { KeyValueCache(continuing: $0, capacity: capacity, generator.pass.decoder) }
      ?? KeyValueCache(generator.pass.decoder, capacity: capacity)
    pending = Array(prompt[cache.count...])
  }

  mutating func take(_ logits: UnsafeBufferPointer<Float>) throws {
    if continuation.ending == nil {
      _ = try continuation.advance(logits)
      isDone = continuation.ending == .endOfText
      pending = [continuation.tokens.last].compactMap { $0 }
    } else {
      // One more pass than the text needed, for the probability that it ended here.
      continuation.measureEnd(logits)
      isDone = true
    }
  }
}
