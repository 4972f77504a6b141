import Kernels

/// Keys and values of one sequence, kept so that each new token costs one row. It may continue another cache, whose tokens
/// it then shares instead of holding them again: sequences that begin alike keep that beginning once.
///
/// Memory is taken as tokens come; layers with a window keep what it lets their next queries see.
public final class KeyValueCache {
  /// Tokens of the sequence, those of the cache that it continues among them.
  public internal(set) var count: Int
  /// Tokens that it takes at most, counted likewise.
  public let capacity: Int
  /// What it continues, not to be changed meanwhile, and how many of its tokens.
  private var parent: KeyValueCache?
  private var start: Int
  /// The longest sequence that is not a long one; nil where length makes no difference to the model.
  private let shortLength: Int?
  /// What it holds is rotated as long sequences are.
  private(set) var isLong: Bool
  /// Tokens of this cache without its parent's, kept while they may have to be computed again.
  private var tokens: [Int32] = []
  private let layers: [KeyValueLayer]
  private let keepsAll: Bool

  /// `keepsAll`: what windows hide, too, so that it can be truncated to any length.
  public init(_ decoder: Decoder, capacity: Int, keepsAll: Bool = false) {
    self.keepsAll = keepsAll
    self.capacity = min(capacity, decoder.configuration.contextLength)
    (parent, start, count, isLong) = (nil, 0, 0, false)
    shortLength = decoder.configuration.shortLength
    layers = decoder.blocks.map { KeyValueLayer($0.attention, keepsAll: keepsAll) }
  }

  /// Begins with the tokens that `parent` has now; `capacity` counts them.
  public init(continuing parent: KeyValueCache, capacity: Int, _ decoder: Decoder) {
    self.parent = parent
    self.capacity = max(parent.count, min(capacity, decoder.configuration.contextLength))
    (start, count, isLong, shortLength) = (parent.count, parent.count, parent.isLong, parent.shortLength)
    keepsAll = parent.keepsAll
    layers = decoder.blocks.map { [keepsAll] in KeyValueLayer($0.attention, keepsAll: keepsAll) }
  }

  /// Taken for keys and values, without those that it shares.
  public var bytes: Int { layers.reduce(0) { $0 + $1.bytes } }

  /// Forgets all but the first `count` tokens, for another sequence that begins with them; what it shares it keeps. Where a
  /// window has let go what those that follow would see, or where they are short and it was long, it forgets all of its own:
  /// `count` says how many are left.
  public func truncate(to count: Int) {
    let wanted = max(start, min(self.count, count))
    let wasLong = isLong && shortLength.map { wanted <= $0 } ?? false
    self.count = !wasLong && layers.allSatisfy { $0.reaches(wanted - start) } ? wanted : start
    tokens.removeLast(max(0, tokens.count - (self.count - start)))
    if self.count == start { for layer in layers { layer.forget() } }
    if start == 0, self.count == 0 { isLong = false }
  }

  /// Takes over the sequence of another cache, which fits, and continues what that one does.
  public func copy(_ other: KeyValueCache) {
    precondition(other.count <= capacity)
    (parent, start, isLong, tokens) = (other.parent, other.start, other.isLong, other.tokens)
    for (own, its) in zip(layers, other.layers) { own.copy(its, count: other.count - start, limit: capacity - start) }
    count = other.count
  }

  /// `added` tokens are to follow: what is to be computed for that, from row `count` on. Where they make the sequence a
  /// long one that is all of it, and what it shares it shares no longer.
  func admit(_ added: [Int32]) -> [Int32] {
    precondition(!added.isEmpty && count + added.count <= capacity)
    guard let shortLength, !isLong else { return added }
    tokens += added
    guard count + added.count > shortLength else { return added }
    let all = allTokens
    (parent, start, count, isLong, tokens) = (nil, 0, 0, true, [])
    for layer in layers { layer.forget() }
    return all
  }

  private var allTokens: [Int32] { (parent?.allTokens ?? []) + tokens }

  func store(_ queriesKeysValues: Floats, rows: Int, layer: Int, _ block: Block) {
    // Keys and values lie side by side in the activations as they do here.
    layers[layer].store(
      queriesKeysValues + block.attention.keyOffset, stride: block.attention.columns, rows: rows,
      after: count - start, limit: capacity - start)
  }

  /// What the queries among the last `added` tokens, from the one with that index, attend to: what the cache continues,
  /// then its own.
  func spans(_ layer: Int, added: Int, queriesFrom first: Int) -> [KeySpan] {
    precondition(parent.map { $0.count == start } ?? true, "the cache that this one continues has changed")
    let past = count - start
    let own = layers[layer].span(past + added, seenFrom: past + first)
    return (parent?.spans(layer, seenFrom: count + first) ?? []) + [own]
  }

  /// All that it holds, for queries from a later position on.
  private func spans(_ layer: Int, seenFrom position: Int) -> [KeySpan] {
    let own = count > start ? [layers[layer].span(count - start, seenFrom: position - start)] : []
    return (parent?.spans(layer, seenFrom: position) ?? []) + own
  }
}
