import Core
import Kernels

/// Forward only: losses over packed batches, and logits with a key/value cache. One block's activations serve all blocks.
/// Not for use from two threads at once.
public final class InferencePass {
  public let decoder: Decoder
  /// nil for the bare base; may be exchanged between calls.
  public var adapter: Adapter?
  public let compute: Compute
  private let activations = Block.Activations()
  private let output = FloatBuffer()
  private let scratch = Block.Scratch()
  private let head = LossHead()
  private let dropped = FloatBuffer()
  private let hiddenGradient = FloatBuffer()
  private let panel = FloatBuffer()
  private let scores = FloatBuffer()

  public init(_ decoder: Decoder, _ adapter: Adapter?, _ compute: Compute) {
    self.decoder = decoder
    self.adapter = adapter
    self.compute = compute
  }

  /// Dropout is never active here.
  private var context: PassContext {
    PassContext(
      compute: compute, adapter: adapter, gradients: nil, dropoutSeed: nil, dropped: dropped,
      hiddenGradient: hiddenGradient, panel: panel)
  }

  /// Sums over the batch's targets.
  public func loss(_ batch: Batch) -> CrossEntropy.Totals {
    guard !batch.targets.isEmpty else { return CrossEntropy.Totals() }
    let x = forward(batch.tokens, positions: batch.positions) { block, _ in
      block.forestRuns(batch, activations, gradients: nil)
    }
    return head.loss(decoder, batch, x, gradientScale: nil, gradient: nil, compute)
  }

  /// [rows.count, V] logits at rows of the batch.
  public func logits(_ batch: Batch, rows: [Int]) -> [Float] {
    var logits: [Float] = []
    logits.reserveCapacity(rows.count * decoder.configuration.vocabularySize)
    forEachLogits(batch, rows: rows) { logits += $1 }
    return logits
  }

  /// Hands `body` each of the rows' place in `rows` and logits [V], valid during the call; some rows' logits exist at once.
  public func forEachLogits(_ batch: Batch, rows: [Int], _ body: (Int, UnsafeBufferPointer<Float>) -> Void) {
    let x = forward(batch.tokens, positions: batch.positions) { block, _ in
      block.forestRuns(batch, activations, gradients: nil)
    }
    let classes = decoder.configuration.vocabularySize
    for first in stride(from: 0, to: rows.count, by: LossHead.chunkRows) {
      let chunk = Array(rows[first..<min(first + LossHead.chunkRows, rows.count)])
      let logits = scores.ensure(chunk.count * classes)
      head.logits(decoder, x, rows: chunk, into: logits, compute)
      for index in chunk.indices {
        body(first + index, UnsafeBufferPointer(start: logits + index * classes, count: classes))
      }
    }
  }

  /// Appends `tokens` to the sequence in `cache` and returns the logits [V] after the last of them, valid until the next
  /// call. The cache must have room for them.
  public func extend(_ cache: KeyValueCache, with tokens: [Int32]) -> UnsafeBufferPointer<Float> {
    extend([cache], with: [tokens])
  }

  /// Appends to each cache its tokens, at least one, in one pass, and returns the logits [caches.count, V] after each
  /// one's last, valid until the next call. A cache stands once in `caches`, and none continues another of them.
  public func extend(_ caches: [KeyValueCache], with tokens: [[Int32]]) -> UnsafeBufferPointer<Float> {
    precondition(caches.count == tokens.count)
    var ranges: [Range<Int>] = []
    for (cache, tokens) in zip(caches, tokens) {
      precondition(!tokens.isEmpty && cache.count + tokens.count <= cache.capacity)
      let first = ranges.last?.upperBound ?? 0
      ranges.append(first..<first + tokens.count)
    }
    let positions = zip(caches, tokens).flatMap { cache, tokens in cache.count..<cache.count + tokens.count }
    let x = forward(tokens.flatMap(\.self), positions: positions) { block, layer in
      let stride = block.attentionInput.outputWidth
      return zip(caches, ranges).map { cache, rows in
        cache.store(
          Floats(activations.queriesKeysValues.pointer + rows.lowerBound * stride), rows: rows.count, layer: layer,
          block)
        return AttentionRun(firstRow: rows.lowerBound, rows: rows.count, spans: cache.spans(layer, added: rows.count))
      }
    }
    for (cache, rows) in zip(caches, ranges) { cache.count += rows.count }
    let classes = decoder.configuration.vocabularySize
    let logits = scores.ensure(caches.count * classes)
    head.logits(decoder, x, rows: ranges.map { $0.upperBound - 1 }, into: logits, compute)
    return UnsafeBufferPointer(start: logits, count: caches.count * classes)
  }

  private func forward(
    _ tokens: [Int32], positions: [Int], runs: (_ block: Block, _ layer: Int) -> [AttentionRun]
  ) -> Floats {
    let rows = tokens.count
    let width = decoder.configuration.width
    let last = output.ensure(rows * width)
    for block in decoder.blocks { activations.resize(rows: rows, block, rank: adapter?.configuration.rank ?? 0) }
    decoder.embed(tokens, positions: positions, activations.input.pointer)
    for (layer, block) in decoder.blocks.enumerated() {
      block.forward(activations, last, rows: rows, scratch: scratch, context) { runs(block, layer) }
      if layer + 1 < decoder.blocks.count { activations.input.pointer.update(from: last, count: rows * width) }
    }
    return Floats(last)
  }
}
