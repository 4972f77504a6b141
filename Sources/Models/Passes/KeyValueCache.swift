import Kernels

/// Keys and values of one sequence, kept so that each new token costs one row. It may continue another cache, whose tokens
/// it then shares instead of holding them again: sequences that begin alike keep that beginning once.
public final class KeyValueCache {
  /// Tokens of the sequence, those of the cache that it continues among them.
  public internal(set) var count: Int
  /// Tokens it has room for, counted likewise.
  public let capacity: Int
  /// What it continues, not to be changed meanwhile, and how many of its tokens.
  private let parent: KeyValueCache?
  private let start: Int
  private let keyWidth: Int
  /// A layer: [capacity - start, keys | values].
  private let layers: [FloatBuffer]

  public init(_ decoder: Decoder, capacity: Int) {
    let configuration = decoder.configuration
    self.capacity = min(capacity, configuration.contextLength)
    (parent, start, count) = (nil, 0, 0)
    keyWidth = configuration.keyValueHeads * configuration.headWidth
    let floats = self.capacity * keyWidth * 2
    layers = decoder.blocks.map { _ in FloatBuffer(floats) }
  }

  /// Begins with the tokens that `parent` has now; `capacity` counts them.
  public init(continuing parent: KeyValueCache, capacity: Int, _ decoder: Decoder) {
    self.parent = parent
    self.capacity = max(parent.count, min(capacity, decoder.configuration.contextLength))
    (start, count, keyWidth) = (parent.count, parent.count, parent.keyWidth)
    let floats = (self.capacity - start) * keyWidth * 2
    layers = decoder.blocks.map { _ in FloatBuffer(floats) }
  }

  /// Forgets all but the first `count` tokens, for another sequence that begins with them; what it shares it keeps.
  public func truncate(to count: Int) { self.count = max(start, min(self.count, count)) }

  /// Takes over the sequence of another cache that continues the same one and fits.
  public func copy(_ other: KeyValueCache) {
    precondition(other.parent === parent && other.start == start && other.count <= capacity)
    for (own, its) in zip(layers, other.layers) {
      own.pointer.update(from: its.pointer, count: (other.count - start) * 2 * keyWidth)
    }
    count = other.count
  }

  func store(_ queriesKeysValues: Floats, rows: Int, layer: Int, _ block: Block) {
    let stride = block.attention.columns
    for row in 0..<rows {
      // Keys and values lie side by side in the activations as they do here.
      (layers[layer].pointer + (count - start + row) * 2 * keyWidth)
        .update(from: queriesKeysValues + row * stride + block.attention.keyOffset, count: 2 * keyWidth)
    }
  }

  /// What the queries among the last `added` tokens, from the one with that index, attend to: what the cache continues,
  /// then its own.
  func spans(_ layer: Int, added: Int, queriesFrom first: Int) -> [KeySpan] {
    precondition(parent.map { $0.count == start } ?? true, "the cache that this one continues has changed")
    let past = count - start
    let own = span(layer, past + added, causalOffset: past + first)
    return (parent?.spans(layer, seenFrom: count + first) ?? []) + [own]
  }

  /// All that it holds, for queries from a later position on.
  private func spans(_ layer: Int, seenFrom position: Int) -> [KeySpan] {
    let own = count > start ? [span(layer, count - start, causalOffset: position - start)] : []
    return (parent?.spans(layer, seenFrom: position) ?? []) + own
  }

  private func span(_ layer: Int, _ count: Int, causalOffset: Int) -> KeySpan {
    let base = layers[layer].pointer
    return KeySpan(
      keys: base, values: base + keyWidth, count: count, stride: 2 * keyWidth, causalOffset: causalOffset)
  }
}
