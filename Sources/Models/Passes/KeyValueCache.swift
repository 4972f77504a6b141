import Kernels

/// Keys and values of one sequence, kept so that each new token costs one row. It may begin as another cache's sequence does,
/// whose blocks it then shares: sequences that begin alike keep that beginning once, whatever becomes of either.
///
/// Memory is taken as tokens come, a block of 64 at a time; layers with a window keep what it lets their next queries see.
public final class KeyValueCache {
  /// The sequence.
  public private(set) var tokens: [Int32] = []
  /// Tokens that it takes at most.
  public let capacity: Int
  /// The longest sequence that is not a long one; nil where length makes no difference to the model.
  private let shortLength: Int?
  /// What it holds is rotated as long sequences are.
  private(set) var isLong = false
  private var layers: [KeyValueLayer]
  /// Rows that are stored in every layer; fewer than `tokens` during a pass.
  private var stored = 0

  /// Tokens of the sequence.
  public var count: Int { tokens.count }

  /// `keepsAll`: what windows hide, too, so that it can be truncated to any length.
  public init(
    _ decoder: Decoder, capacity: Int, keepsAll: Bool = false, pool: KeyValuePool = KeyValuePool()
  ) {
    self.capacity = min(capacity, decoder.configuration.contextLength)
    shortLength = decoder.configuration.shortLength
    layers = decoder.blocks.map { KeyValueLayer($0.attention, pool, keepsAll: keepsAll) }
  }

  /// Begins with the tokens that `other` has now, or as many of the first of them as can be had.
  public init(continuing other: KeyValueCache, upTo count: Int = .max, capacity: Int, _ decoder: Decoder) {
    let length = min(other.count, count)
    self.capacity = max(length, min(capacity, decoder.configuration.contextLength))
    (shortLength, layers) = (other.shortLength, other.layers)
    (tokens, isLong, stored) = (other.tokens, other.isLong, other.stored)
    truncate(to: length)
  }

  /// Taken for keys and values, blocks that it shares with others among them.
  public var bytes: Int { layers.reduce(0) { $0 + $1.bytes } }

  /// Forgets all but the first `count` tokens, for another sequence that begins with them. Where a window has let go what those
  /// that follow would see, or where they are short and it was long, it forgets all: `count` says how many are left.
  public func truncate(to count: Int) {
    let kept = reach(count)
    tokens.removeLast(tokens.count - kept)
    stored = kept
    for layer in layers.indices { layers[layer].truncate(to: kept) }
    if kept == 0 { isLong = false }
  }

  /// How many tokens `truncate` would leave.
  public func reach(_ count: Int) -> Int {
    let wanted = max(0, min(self.count, count))
    let wasLong = isLong && shortLength.map { wanted <= $0 } ?? false
    return !wasLong && layers.allSatisfy { $0.reaches(wanted) } ? wanted : 0
  }

  /// Takes over the sequence of another cache, which fits.
  public func copy(_ other: KeyValueCache) {
    precondition(other.count <= capacity)
    (tokens, isLong, stored, layers) = (other.tokens, other.isLong, other.stored, other.layers)
  }

  /// Whether so many tokens more make the sequence a long one, so that all of it is computed again.
  public func becomesLong(adding added: Int) -> Bool {
    !isLong && shortLength.map { count + added > $0 && count > 0 } ?? false
  }

  /// `added` tokens are to follow: what is to be computed for that, from which row on. Where they make the sequence a long one
  /// that is all of it.
  func admit(_ added: [Int32]) -> (tokens: [Int32], first: Int) {
    precondition(!added.isEmpty && count + added.count <= capacity)
    let first = count
    tokens += added
    guard let shortLength, !isLong, count > shortLength else { return (added, first) }
    isLong = true
    stored = 0
    for layer in layers.indices { layers[layer].truncate(to: 0) }
    return (tokens, 0)
  }

  /// The tokens that were admitted are in every layer.
  func settle() { stored = tokens.count }

  func store(_ queriesKeysValues: Floats, rows: Int, layer: Int, _ block: Block) {
    // Keys and values lie side by side in the activations as they do here.
    layers[layer].store(
      queriesKeysValues + block.attention.keyOffset, stride: block.attention.columns, rows: rows, after: stored)
  }

  /// What the queries among the last `added` tokens, from the one with that index, attend to.
  func spans(_ layer: Int, added: Int, queriesFrom first: Int) -> [KeySpan] {
    layers[layer].spans(stored + added, seenFrom: stored + first)
  }
}
