import Core
import Kernels
import Models
import Tokenizing

/// Texts that are continued together, each from when it is added until it ends or is cancelled: one pass over the weights
/// gives each of them a token. Each has its own settings and its own adapter.
///
/// What a text becomes depends on its request alone, to the bit (with AVX2 and AVX-512; see `RowKernels`): prompts and single
/// tokens are computed in passes of their own, by kernels that give a row the same bits whatever is computed with it, and prompts that
/// begin alike share what they have in common, which has the same bits too. That is also what makes it repeatable.
///
/// For one thread at a time.
public final class GenerationBatch {
  public struct ID: Hashable, Sendable {
    let number: Int
  }

  public struct Settings: Sendable {
    /// Texts that are continued at once; more wait.
    public var width = 8
    /// Rows of prompts in one pass: long prompts are taken in by several, and the other texts go on between them.
    public var promptRows = 512
    /// Bytes of keys and values at most; nil for no limit. A text waits until all that it may need is there.
    public var memory: Int?
    public var retention = Retention.nothing
    /// Ended texts of which something is kept at most.
    public var retained = 64
    /// Whether long greedy answers may take memory of a byte a weight of the head, which is kept with the model, to be faster.
    public var makesShortlist = true

    public init() {}
  }

  /// What has come of a step.
  public enum Event {
    /// A text has its place; so many tokens of its prompt were computed already.
    case started(ID, shared: Int)
    /// The text that has become certain, perhaps none, with the token where its probability was asked for.
    case grown(ID, text: String, token: ChosenToken?)
    case ended(ID, Generation)
    case failed(ID, SFTError)
  }

  public let pass: InferencePass
  let vocabulary: VocabularyCache
  let settings: Settings
  let retained: RetainedCaches
  public let pool = KeyValuePool()
  private var waiting: [(id: ID, request: GenerationRequest)] = []
  private var active: [GenerationSequence] = []
  private var nextNumber = 0

  /// Tokens after which making a shortlist of the head pays.
  private static let shortlistPays = 16
  /// Tokens in common for which a text waits until the other has computed them.
  private static let sharingPays = 16

  /// Throws `badData` where the tokenizer has ids that the model does not.
  public init(_ pass: InferencePass, _ tokenizer: Tokenizer, _ settings: Settings = Settings()) throws {
    let configuration = pass.decoder.configuration
    guard tokenizer.vocabularyCount <= configuration.vocabularySize else {
      throw SFTError(
        .badData, "the tokenizer has \(tokenizer.vocabularyCount) tokens, the model \(configuration.vocabularySize)")
    }
    self.pass = pass
    self.settings = settings
    vocabulary = VocabularyCache(
      tokenizer, endTokens: configuration.endTokens.map(Int32.init) + tokenizer.endTokens,
      classes: configuration.vocabularySize)
    retained = RetainedCaches(settings.retention, limit: settings.retained)
  }

  private var decoder: Decoder { pass.decoder }
  private var context: Int { decoder.configuration.contextLength }

  public var isEmpty: Bool { active.isEmpty && waiting.isEmpty }
  /// Texts that are being continued, and texts that wait.
  public var runningCount: Int { active.count }
  public var waitingCount: Int { waiting.count }

  /// Checks a request and has it wait for its place.
  ///
  /// Throws `badData` where the prompt is empty or leaves no room in the model's context, `usage` for settings that make no
  /// sense, or that need more memory than the batch may take.
  public func add(_ request: GenerationRequest) throws -> ID {
    try request.settings.validate()
    precondition(request.settings.numBeams == 1, "a batch does not search with beams")
    try check(request.prompt)
    if let memory = settings.memory, need(request) > memory {
      throw SFTError(
        .usage,
        "the answer may take \(byteCount(need(request))) of keys and values, of which there may be "
          + "\(byteCount(memory))")
    }
    nextNumber += 1
    let id = ID(number: nextNumber)
    waiting.append((id, request))
    return id
  }

  func check(_ prompt: [Int32]) throws {
    guard !prompt.isEmpty else { throw SFTError(.badData, "the prompt is empty") }
    guard prompt.count < context else {
      throw SFTError(
        .badData,
        "the prompt has \(grouped(prompt.count)) tokens, which leaves no room in the model's context of "
          + grouped(context))
    }
    let classes = decoder.configuration.vocabularySize
    if let token = prompt.first(where: { $0 < 0 || $0 >= classes }) {
      throw SFTError(.badData, "the prompt holds the id \(token), of which the model has \(grouped(classes))")
    }
  }

  /// Ends a text where it is; nothing is said of it any more.
  public func cancel(_ id: ID) {
    waiting.removeAll { $0.id == id }
    guard let index = active.firstIndex(where: { $0.id == id }) else { return }
    release(active.remove(at: index))
  }

  /// Forgets what is kept that was computed with an adapter, which has no text running or waiting.
  public func forget(_ adapter: Adapter) { retained.remove(adapter) }

  /// Whether a text of an adapter is running or waiting.
  public func uses(_ adapter: Adapter) -> Bool {
    active.contains { $0.request.adapter === adapter } || waiting.contains { $0.request.adapter === adapter }
  }

  /// One token more for each text, after at most one pass for prompts.
  public func step() -> [Event] {
    var events: [Event] = []
    admit(&events)
    read(active.filter(\.isReadingPrompt))
    let writing = active.filter { !$0.isReadingPrompt && !$0.isDone }
    // What is computed again as a whole is a prompt's work.
    let whole = writing.filter { $0.cache.becomesLong(adding: 1) }
    let single = writing.filter { !$0.cache.becomesLong(adding: 1) }
    for sequence in whole { take(sequence, pass.extend([sequence.takeToken()], .byPanel).all()[0], &events) }
    if !single.isEmpty { write(single, &events) }
    finish(&events)
    return events
  }

  /// Prompts up to their last tokens, which are computed as answers' tokens are: the same where all before it is there already.
  private func read(_ sequences: [GenerationSequence]) {
    var rows = settings.promptRows
    var extensions: [SequenceExtension] = []
    for sequence in sequences where rows > 0 {
      let taken = sequence.takePrompt(rows)
      rows -= taken.added.count
      extensions.append(taken)
    }
    if !extensions.isEmpty { _ = pass.extend(extensions, .byPanel) }
  }

  private func write(_ sequences: [GenerationSequence], _ events: inout [Event]) {
    let logits = pass.extend(sequences.map { $0.takeToken() }, .byRow)
    if sequences.count == 1, takeLargest(sequences[0], logits, &events) { return }
    for (sequence, logits) in zip(sequences, logits.all()) { take(sequence, logits, &events) }
  }

  /// Greedy answers of a single text need one logit. False where they are all to be computed.
  private func takeLargest(_ sequence: GenerationSequence, _ logits: BatchLogits, _ events: inout [Event]) -> Bool {
    guard settings.makesShortlist, sequence.takesLargest(from: Self.shortlistPays) else { return false }
    let excluded = vocabulary.of(sequence.request.endTokens).padding
    guard let shortlist = pass.shortlist(of: sequence.request.adapter, excluding: excluded),
      let (token, logit) = logits.largest(shortlist)
    else { return false }
    attempt(sequence, &events) {
      (try sequence.take(largest: token, logit) { logits.all()[0] }, nil)
    }
    return true
  }

  private func take(_ sequence: GenerationSequence, _ logits: UnsafeBufferPointer<Float>, _ events: inout [Event]) {
    attempt(sequence, &events) { try sequence.take(logits) }
  }

  /// A text that cannot go on is the only one that ends by that.
  private func attempt(
    _ sequence: GenerationSequence, _ events: inout [Event],
    _ body: () throws -> (text: String, token: ChosenToken?)
  ) {
    do {
      let (text, token) = try body()
      events.append(.grown(sequence.id, text: text, token: token))
    } catch {
      active.removeAll { $0 === sequence }
      events.append(.failed(sequence.id, error as? SFTError ?? SFTError(.internalError, "\(error)")))
    }
  }

  private func finish(_ events: inout [Event]) {
    for sequence in active where sequence.isDone {
      events.append(.ended(sequence.id, sequence.continuation.generation))
      release(sequence)
    }
    active.removeAll(where: \.isDone)
  }

  private func release(_ sequence: GenerationSequence) {
    retained.keep(sequence.cache, promptCount: sequence.promptCount, sequence.request.adapter)
  }
}

extension GenerationBatch {
  /// Bytes that an answer may take in all.
  private func need(_ request: GenerationRequest) -> Int {
    // No sum: a limit may be as large as integers go.
    let room = context - request.prompt.count
    return KeyValuePool.bytes(of: request.prompt.count + min(request.settings.maxNewTokens, room), decoder)
  }

  private func admit(_ events: inout [Event]) {
    var index = 0
    let width = pass.compute.engine == .plain ? 1 : max(1, settings.width)
    while index < waiting.count, active.count < width {
      let (id, request) = waiting[index]
      let donor = sharesPrefixes ? donor(for: request) : nil
      if let donor, !donor.isComputed {
        index += 1
        continue
      }
      let shared = donor?.count ?? 0
      let block = KeyValuePool.blockTokens
      // A block that is shared in part is copied when it is written to.
      guard makeRoom(for: need(request) - KeyValuePool.bytes(of: shared / block * block, decoder)) else { break }
      let capacity = request.prompt.count + min(request.settings.maxNewTokens, context)
      let cache =
        donor.map { KeyValueCache(continuing: $0.cache, upTo: shared, capacity: capacity, decoder) }
        ?? KeyValueCache(decoder, capacity: capacity, pool: pool)
      waiting.remove(at: index)
      active.append(
        GenerationSequence(
          id, request, vocabulary.of(request.endTokens), cache, need: need(request) + copied(of: cache),
          context: context))
      events.append(.started(id, shared: cache.count))
    }
  }

  /// What a block that is shared in part takes when it is written to.
  private func copied(of cache: KeyValueCache) -> Int {
    cache.count % KeyValuePool.blockTokens == 0 ? 0 : KeyValuePool.bytes(of: 1, decoder)
  }

  /// The plain engine shares nothing.
  private var sharesPrefixes: Bool { pass.compute.engine == .auto }

  private struct Donor {
    var cache: KeyValueCache
    /// Tokens that a prompt has in common with it.
    var count: Int
    /// Whether they are there; else they soon will be.
    var isComputed: Bool
  }

  /// The sequence with the most tokens that a prompt begins with, one of those that are kept or of those that run. A token of the
  /// prompt at least is left to compute.
  private func donor(for request: GenerationRequest) -> Donor? {
    let wanted = request.prompt.dropLast()
    var best: Donor?
    if let (cache, count) = retained.longest(wanted, request.adapter) {
      best = Donor(cache: cache, count: count, isComputed: true)
    }
    for sequence in active where sequence.request.adapter === request.adapter {
      // Not its last token, which is computed as answers' tokens are.
      let common = sharedCount(sequence.request.prompt.dropLast(), wanted)
      let there = min(common, sequence.cache.count)
      let count = there > 0 ? sequence.cache.reach(there) : 0
      let isWorthWaiting =
        common - count >= Self.sharingPays && sequence.isReadingPrompt && count == there
        && !isLong(request.prompt.count, where: common)
      if isWorthWaiting, common > best?.count ?? 0 {
        best = Donor(cache: sequence.cache, count: common, isComputed: false)
      } else if count > best?.count ?? 0 {
        best = Donor(cache: sequence.cache, count: count, isComputed: true)
      }
    }
    return best
  }

  /// Whether so many tokens make a sequence a long one, which shares nothing with shorter ones, although `common` do not.
  private func isLong(_ count: Int, where common: Int) -> Bool {
    decoder.configuration.shortLength.map { count > $0 && common <= $0 } ?? false
  }

  /// Whether there is memory for so many bytes more, perhaps after what is kept of ended texts has gone.
  private func makeRoom(for need: Int) -> Bool {
    guard let memory = settings.memory else { return true }
    // What is shared is in the pool once; what a text has is part of what it may need.
    let outstanding = active.reduce(0) { $0 + max(0, $1.need - $1.cache.bytes) }
    while pool.bytes + outstanding + need > memory, !retained.isEmpty { retained.removeOldest() }
    return pool.bytes + outstanding + need <= memory || active.isEmpty
  }
}

/// The vocabularies of a tokenizer by what ends a text beside what always does.
final class VocabularyCache {
  private let base: Continuation.Vocabulary
  private let classes: Int
  private var others: [[Int32]: Continuation.Vocabulary] = [:]

  init(_ tokenizer: Tokenizer, endTokens: [Int32], classes: Int) {
    base = Continuation.Vocabulary(tokenizer, endTokens: Set(endTokens), classes: classes)
    self.classes = classes
  }

  func of(_ endTokens: [Int32]) -> Continuation.Vocabulary {
    if endTokens.isEmpty { return base }
    if let made = others[endTokens] { return made }
    let made = Continuation.Vocabulary(base.tokenizer, endTokens: base.endTokens.union(endTokens), classes: classes)
    others[endTokens] = made
    return made
  }
}
