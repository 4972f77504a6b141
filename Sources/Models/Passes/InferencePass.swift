import Core
import Kernels

/// Forward only: losses over packed batches, and logits with a key/value cache. One block's activations serve all blocks.
/// Not for use from two threads at once.
public final class InferencePass {
  public let decoder: Decoder
  /// nil for the bare base; may be exchanged between calls.
  public var adapter: Adapter?
  public let compute: Compute
  let memory: PassMemory
  let scores = FloatBuffer()

  public init(_ decoder: Decoder, _ adapter: Adapter?, _ compute: Compute, memory: PassMemory = PassMemory()) {
    self.decoder = decoder
    self.adapter = adapter
    self.compute = compute
    self.memory = memory
  }

  /// What stands before and after the blocks.
  var ends: DecoderEnds { decoder.ends(with: adapter) }

  /// Sums over the batch's targets.
  public func loss(_ batch: Batch) -> CrossEntropy.Totals {
    guard !batch.targets.isEmpty else { return CrossEntropy.Totals() }
    let x = forward(batch, rows: batch.supervisedRows)
    return memory.head.loss(ends, batch, x, gradientScale: nil, gradient: nil, compute)
  }

  /// [rows.count, V] logits at rows of the batch, which are in order.
  public func logits(_ batch: Batch, rows: [Int]) -> [Float] {
    var logits: [Float] = []
    logits.reserveCapacity(rows.count * decoder.configuration.vocabularySize)
    forEachLogits(batch, rows: rows) { logits += $1 }
    return logits
  }

  /// Hands `body` each row's place in `rows`, which are in order, and its logits [V], valid during the call; those of some
  /// rows exist at once.
  public func forEachLogits(_ batch: Batch, rows: [Int], _ body: (Int, UnsafeBufferPointer<Float>) -> Void) {
    let x = forward(batch, rows: rows)
    let (width, classes) = (decoder.configuration.width, decoder.configuration.vocabularySize)
    let (ends, chunkRows) = (ends, memory.head.chunkRows(decoder.configuration))
    for first in stride(from: 0, to: rows.count, by: chunkRows) {
      let count = min(chunkRows, rows.count - first)
      let logits = scores.ensure(count * classes)
      memory.head.logits(ends, x + first * width, rows: count, into: logits, compute)
      for row in 0..<count {
        body(first + row, UnsafeBufferPointer(start: logits + row * classes, count: classes))
      }
    }
  }

  /// Runs the blocks over every row of the batch, without the head, and shows `observer` what each linear gets on the way.
  public func observe(_ batch: Batch, _ observer: @escaping LinearObserver) {
    if !batch.tokens.isEmpty { _ = forward(batch, rows: Array(batch.tokens.indices), observer) }
  }

  /// The stream that enters block `layer` at every row, [N, C], valid until the next call.
  public func stream(_ batch: Batch, entering layer: Int) -> Floats {
    let (rows, width) = (batch.tokens.count, decoder.configuration.width)
    let (activations, output) = (memory.activations(0), memory.output.ensure(rows * width))
    let input = activations.input.ensure(rows * width)
    ends.embed(batch.tokens, positions: batch.positions, input)
    var context = memory.context(compute, adapter)
    context.angles = decoder.angles(batch, memory.angles)
    for block in decoder.blocks[..<layer] {
      activations.resize(rows: rows, outputs: rows, block, rank: adapter?.configuration.rank ?? 0)
      block.forward(
        activations, output, rows: rows, selected: nil, scratch: memory.scratch, context
      ) { block.forestRuns(batch, activations, selected: nil) }
      input.update(from: output, count: rows * width)
    }
    return Floats(input)
  }

  /// Appends `tokens` to the sequence in `cache` and returns the logits [V] after the last of them, valid until the next
  /// call. The cache must have room for them.
  public func extend(_ cache: KeyValueCache, with tokens: [Int32]) -> UnsafeBufferPointer<Float> {
    extend([cache], with: [tokens])
  }

  /// For `NextLogits.largest` as long as the adapter stays the same; it leaves some tokens out. nil where all logits have to be
  /// computed.
  public func shortlist(excluding tokens: [Int]) -> HeadShortlist? {
    decoder.shortlist(adapter, excluding: tokens, compute)
  }

  /// Appends `tokens` to the sequence in `cache`, which must have room for them, and returns what the head would make of the
  /// last of them, valid until the next call.
  public func advance(_ cache: KeyValueCache, with tokens: [Int32]) -> NextLogits {
    NextLogits(self, streams([cache], with: [tokens]))
  }

  /// Appends to each cache its tokens, at least one, in one pass, and returns the logits [caches.count, V] after each
  /// one's last, valid until the next call. A cache stands once in `caches`, and none continues another of them.
  ///
  /// A sequence that becomes a long one for a model to which that makes a difference is computed anew from its first token, as
  /// transformers does: its result is what it would be had it been given whole.
  public func extend(_ caches: [KeyValueCache], with added: [[Int32]]) -> UnsafeBufferPointer<Float> {
    logits(streams(caches, with: added), rows: caches.count)
  }

  /// [rows, V] of the stream after the last block, [rows, C], valid until the next call.
  func logits(_ stream: Floats, rows: Int) -> UnsafeBufferPointer<Float> {
    let count = rows * decoder.configuration.vocabularySize
    let logits = scores.ensure(count)
    memory.head.logits(ends, stream, rows: rows, into: logits, compute)
    return UnsafeBufferPointer(start: logits, count: count)
  }

  /// Appends to each cache its tokens, as `extend` does, and returns the stream after the last block at each one's last,
  /// [caches.count, C].
  private func streams(_ caches: [KeyValueCache], with added: [[Int32]]) -> Floats {
    precondition(caches.count == added.count)
    let tokens = zip(caches, added).map { $0.admit($1) }
    var ranges: [Range<Int>] = []
    for tokens in tokens {
      let first = ranges.last?.upperBound ?? 0
      ranges.append(first..<first + tokens.count)
    }
    let positions = zip(caches, tokens).flatMap { cache, tokens in cache.count..<cache.count + tokens.count }
    let lasts = ranges.map { $0.upperBound - 1 }
    let isLong = zip(caches, tokens).flatMap { Array(repeating: $0.isLong, count: $1.count) }
    let angles = decoder.angles(positions, isLong: isLong, memory.angles)
    let x = forward(tokens.flatMap(\.self), positions: positions, angles, rows: lasts) { block, layer, selected in
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
    for (cache, rows) in zip(caches, ranges) { cache.count += rows.count }
    return x
  }

  private func forward(_ batch: Batch, rows: [Int], _ observer: LinearObserver? = nil) -> Floats {
    forward(
      batch.tokens, positions: batch.positions, decoder.angles(batch, memory.angles), rows: rows, observer
    ) { block, _, selected in
      block.forestRuns(batch, memory.activations(0), selected: selected)
    }
  }

  /// The stream after the last block at some of the rows, [rows.count, C]; only they go through the last block, but with
  /// the plain engine, which takes all. One block's activations serve all blocks.
  private func forward(
    _ tokens: [Int32], positions: [Int], _ angles: [RotaryAngles], rows wanted: [Int],
    _ observer: LinearObserver? = nil,
    runs: (_ block: Block, _ layer: Int, _ selected: [Int]?) -> [AttentionRun]
  ) -> Floats {
    let (rows, width) = (tokens.count, decoder.configuration.width)
    let (activations, output) = (memory.activations(0), memory.output.ensure(rows * width))
    var context = memory.context(compute, adapter)
    context.observer = observer
    context.angles = angles
    let sparse = compute.engine == .auto && wanted.count < rows
    activations.input.ensure(rows * width)
    ends.embed(tokens, positions: positions, activations.input.pointer)
    for (layer, block) in decoder.blocks.enumerated() {
      let isLast = layer == decoder.blocks.count - 1
      let selected = isLast && sparse ? wanted : nil
      activations.resize(
        rows: rows, outputs: selected?.count ?? rows, block, rank: adapter?.configuration.rank ?? 0)
      block.forward(activations, output, rows: rows, selected: selected, scratch: memory.scratch, context) {
        runs(block, layer, selected)
      }
      if !isLast { activations.input.pointer.update(from: output, count: rows * width) }
    }
    return sparse || wanted.count == rows
      ? Floats(output) : gather(wanted, of: output, width: width, into: activations.middle)
  }
}
