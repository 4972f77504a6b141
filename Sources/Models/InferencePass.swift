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
  private let head: LossHead
  private let dropped = FloatBuffer()
  private let hiddenGradient = FloatBuffer()
  private let panel = FloatBuffer()
  private let scores = FloatBuffer()

  public init(_ decoder: Decoder, _ adapter: Adapter?, _ compute: Compute) {
    self.decoder = decoder
    self.adapter = adapter
    self.compute = compute
    head = LossHead(panel: panel)
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
    let x = forward(batch.tokens, positions: batch.positions) { block, _ in
      block.forestRuns(batch, activations, gradients: nil)
    }
    let count = rows.count * decoder.configuration.vocabularySize
    return [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      if let base = buffer.baseAddress { head.logits(decoder, x, rows: rows, into: base, compute) }
      initialized = count
    }
  }

  /// Appends `tokens` to the sequence in `cache` and returns the logits [V] after the last of them, valid until the next
  /// call. The cache must have room for them.
  public func extend(_ cache: KeyValueCache, with tokens: [Int32]) -> UnsafeBufferPointer<Float> {
    precondition(!tokens.isEmpty && cache.count + tokens.count <= cache.capacity)
    let past = cache.count
    let positions = Array(past..<past + tokens.count)
    let x = forward(tokens, positions: positions) { block, layer in
      cache.store(activations.queriesKeysValues.pointer, rows: tokens.count, layer: layer, block)
      return [AttentionRun(firstRow: 0, rows: tokens.count, spans: [cache.span(layer, past, tokens.count)])]
    }
    cache.count += tokens.count
    let classes = decoder.configuration.vocabularySize
    let logits = scores.ensure(classes)
    head.logits(decoder, x, rows: [tokens.count - 1], into: logits, compute)
    return UnsafeBufferPointer(start: logits, count: classes)
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

/// Keys and values of one sequence, kept so that each new token costs one row.
public final class KeyValueCache {
  /// Tokens in it.
  public internal(set) var count = 0
  /// Tokens it has room for.
  public let capacity: Int
  private let keyWidth: Int
  /// A layer: [capacity, keys | values].
  private let layers: [FloatBuffer]

  public init(_ decoder: Decoder, capacity: Int) {
    let configuration = decoder.configuration
    self.capacity = min(capacity, configuration.contextLength)
    keyWidth = configuration.keyValueHeads * configuration.headWidth
    let floats = self.capacity * keyWidth * 2
    layers = decoder.blocks.map { _ in FloatBuffer(floats) }
  }

  /// Forgets all but the first `count` tokens, for another sequence that begins with them.
  public func truncate(to count: Int) { self.count = min(self.count, count) }

  func store(_ queriesKeysValues: Floats, rows: Int, layer: Int, _ block: Block) {
    let stride = block.attentionInput.outputWidth
    for row in 0..<rows {
      // Keys and values lie side by side in the activations as they do here.
      (layers[layer].pointer + (count + row) * 2 * keyWidth)
        .update(from: queriesKeysValues + row * stride + block.keyOffset, count: 2 * keyWidth)
    }
  }

  func span(_ layer: Int, _ past: Int, _ added: Int) -> KeySpan {
    let base = layers[layer].pointer
    return KeySpan(
      keys: base, values: base + keyWidth, count: past + added, stride: 2 * keyWidth, causalOffset: past)
  }
}
