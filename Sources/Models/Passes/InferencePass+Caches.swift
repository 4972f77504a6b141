import Core
import Kernels

/// One of the sequences that a pass extends.
public struct SequenceExtension {
  public var cache: KeyValueCache
  /// At least one token.
  public var added: [Int32]
  /// nil for the bare base.
  public var adapter: Adapter?

  public init(_ cache: KeyValueCache, _ added: [Int32], _ adapter: Adapter?) {
    (self.cache, self.added, self.adapter) = (cache, added, adapter)
  }
}

extension InferencePass {
  /// Appends `tokens` to the sequence in `cache` and returns the logits [V] after the last of them, valid until the next
  /// call. The cache must have room for them.
  public func extend(_ cache: KeyValueCache, with tokens: [Int32]) -> UnsafeBufferPointer<Float> {
    extend([cache], with: [tokens])
  }

  /// Appends to each cache its tokens, at least one, in one pass, and returns the logits [caches.count, V] after each
  /// one's last, valid until the next call. A cache stands once in `caches`.
  ///
  /// A sequence that becomes a long one for a model to which that makes a difference is computed anew from its first token, as
  /// transformers does: its result is what it would be had it been given whole.
  public func extend(_ caches: [KeyValueCache], with added: [[Int32]]) -> UnsafeBufferPointer<Float> {
    precondition(caches.count == added.count)
    let stream = streams(zip(caches, added).map { SequenceExtension($0, $1, adapter) }, .fastest)
    return logits(stream, rows: caches.count)
  }

  /// Appends to each sequence its tokens in one pass, each with its own adapter, and returns what the head makes of the last
  /// ones, valid until the next call. A cache stands once in `sequences`.
  ///
  /// With `kernels` for prompts or for single tokens, what a sequence gets does not depend on the others.
  public func extend(_ sequences: [SequenceExtension], _ kernels: RowKernels) -> BatchLogits {
    // Rows of one adapter side by side, those first whose ends are the base's.
    let adapters = sequences.map(\.adapter)
    var groups: [Adapter?] = []
    for adapter in adapters where !groups.contains(where: { $0 === adapter }) { groups.append(adapter) }
    groups = groups.filter { $0?.ends.isEmpty ?? true } + groups.filter { !($0?.ends.isEmpty ?? true) }
    let order = groups.flatMap { group in adapters.indices.filter { adapters[$0] === group } }
    var places = [Int](repeating: 0, count: order.count)
    for (place, index) in order.enumerated() { places[index] = place }
    let sorted = order.map { sequences[$0] }
    let x = streams(sorted, kernels)
    return BatchLogits(self, x, places: places, shares: shares(of: sorted.map(\.adapter), counts: nil))
  }

  /// For `NextLogits.largest` as long as the adapter stays the same; it leaves some tokens out. nil where all logits have to be
  /// computed.
  public func shortlist(of adapter: Adapter?, excluding tokens: [Int]) -> HeadShortlist? {
    decoder.shortlist(adapter, excluding: tokens, compute)
  }

  /// [rows, V] of the stream after the last block, [rows, C], valid until the next call. `shares`: whose rows are whose, where
  /// not all are `adapter`'s.
  func logits(
    _ stream: Floats, rows: Int, shares: [AdapterShare]? = nil, kernels: RowKernels = .fastest
  ) -> UnsafeBufferPointer<Float> {
    let (width, classes) = (decoder.configuration.width, decoder.configuration.vocabularySize)
    let logits = scores.ensure(rows * classes)
    for (ends, share) in ends(shares, count: rows, \.outputs) {
      memory.head.logits(
        ends, stream + share.lowerBound * width, rows: share.count, into: logits + share.lowerBound * classes,
        compute.with(kernels))
    }
    return UnsafeBufferPointer(start: logits, count: rows * classes)
  }

  /// The ends of the decoder, and the rows that they are for.
  func ends(
    _ shares: [AdapterShare]?, count: Int, _ rows: KeyPath<AdapterShare, Range<Int>>
  ) -> [(DecoderEnds, Range<Int>)] {
    guard let shares else { return [(ends, 0..<count)] }
    let base = shares.filter { $0.adapter?.ends.isEmpty ?? true }
    let own = shares.filter { !($0.adapter?.ends.isEmpty ?? true) }
    let together = (base.first?[keyPath: rows].lowerBound ?? 0)..<(base.last?[keyPath: rows].upperBound ?? 0)
    return (together.isEmpty ? [] : [(decoder.ends(with: nil), together)])
      + own.map { (decoder.ends(with: $0.adapter), $0[keyPath: rows]) }
  }

  /// Whose rows are whose of sequences that are sorted by adapter, with so many rows each.
  private func shares(of adapters: [Adapter?], counts: [Int]?) -> [AdapterShare] {
    var shares: [AdapterShare] = []
    var row = 0
    for (index, adapter) in adapters.enumerated() {
      let next = row + (counts?[index] ?? 1)
      if let last = shares.last, last.adapter === adapter {
        shares[shares.count - 1].rows = last.rows.lowerBound..<next
        shares[shares.count - 1].outputs = last.outputs.lowerBound..<index + 1
      } else {
        shares.append(AdapterShare(adapter: adapter, rows: row..<next, outputs: index..<index + 1))
      }
      row = next
    }
    return shares
  }

  /// Appends to each cache its tokens, as `extend` does, and returns the stream after the last block at each one's last,
  /// [sequences.count, C].
  private func streams(_ sequences: [SequenceExtension], _ kernels: RowKernels) -> Floats {
    let caches = sequences.map(\.cache)
    let admitted = sequences.map { $0.cache.admit($0.added) }
    var ranges: [Range<Int>] = []
    for (tokens, _) in admitted {
      let first = ranges.last?.upperBound ?? 0
      ranges.append(first..<first + tokens.count)
    }
    let positions = admitted.flatMap { $0.first..<$0.first + $0.tokens.count }
    let lasts = ranges.map { $0.upperBound - 1 }
    let isLong = zip(caches, ranges).flatMap { Array(repeating: $0.isLong, count: $1.count) }
    let angles = decoder.angles(positions, isLong: isLong, memory.angles, compute)
    let shares = shares(of: sequences.map(\.adapter), counts: ranges.map(\.count))
    let x = forward(
      admitted.flatMap(\.tokens), positions: positions, angles, rows: lasts, shares: shares, kernels: kernels
    ) { block, layer, selected in
      let added = memory.activations(0).attention.queriesKeysValues.pointer
      return zip(caches, ranges).enumerated().map { index, sequence in
        let (cache, rows) = sequence
        cache.store(
          Floats(added + rows.lowerBound * block.attention.columns), rows: rows.count, layer: layer, block)
        // Where rows are selected, it is each sequence's last.
        let first = selected.map { $0[index] } ?? rows.lowerBound
        return AttentionRun(
          firstRow: selected == nil ? first : index, queryRow: first, rows: rows.upperBound - first,
          spans: cache.spans(layer, added: rows.count, queriesFrom: first - rows.lowerBound))
      }
    }
    for cache in caches { cache.settle() }
    return x
  }
}
