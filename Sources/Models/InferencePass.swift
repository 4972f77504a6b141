import Core
import Kernels

/// Forward only: losses over packed batches, and logits with a key/value cache. One block's activations serve all blocks.
/// Not for use from two threads at once.
public final class InferencePass {
  public let decoder: Decoder
  /// nil for the bare base; may be exchanged between calls.
  public var adapter: Adapter?
  public let compute: Compute
  private let memory: PassMemory
  private let scores = FloatBuffer()

  public init(_ decoder: Decoder, _ adapter: Adapter?, _ compute: Compute, memory: PassMemory = PassMemory()) {
    self.decoder = decoder
    self.adapter = adapter
    self.compute = compute
    self.memory = memory
  }

  /// Sums over the batch's targets.
  public func loss(_ batch: Batch) -> CrossEntropy.Totals {
    guard !batch.targets.isEmpty else { return CrossEntropy.Totals() }
    let x = forward(batch, rows: batch.supervisedRows)
    return memory.head.loss(decoder, batch, x, gradientScale: nil, gradient: nil, compute)
  }

  /// [rows.count, V] logits at rows of the batch, which are in order.
  public func logits(_ batch: Batch, rows: [Int]) -> [Float] {
    let x = forward(batch, rows: rows)
    let count = rows.count * decoder.configuration.vocabularySize
    return [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      if let base = buffer.baseAddress { memory.head.logits(decoder, x, rows: rows.count, into: base, compute) }
      initialized = count
    }
  }

  /// Runs the blocks over every row of the batch, without the head, and shows `observer` what each linear gets on the way.
  public func observe(_ batch: Batch, _ observer: @escaping LinearObserver) {
    if !batch.tokens.isEmpty { _ = forward(batch, rows: Array(batch.tokens.indices), observer) }
  }

  /// Appends `tokens` to the sequence in `cache` and returns the logits [V] after the last of them, valid until the next
  /// call. The cache must have room for them.
  public func extend(_ cache: KeyValueCache, with tokens: [Int32]) -> UnsafeBufferPointer<Float> {
    precondition(!tokens.isEmpty && cache.count + tokens.count <= cache.capacity)
    let past = cache.count
    let positions = Array(past..<past + tokens.count)
    let x = forward(tokens, positions: positions, rows: [tokens.count - 1]) { block, layer, selected in
      cache.store(
        memory.activations(0).queriesKeysValues.pointer, rows: tokens.count, layer: layer, block)
      let first = selected?.first ?? 0
      return [
        AttentionRun(
          firstRow: 0, queryRow: first, rows: selected?.count ?? tokens.count,
          spans: [cache.span(layer, past + first, tokens.count - first)])
      ]
    }
    cache.count += tokens.count
    let classes = decoder.configuration.vocabularySize
    let logits = scores.ensure(classes)
    memory.head.logits(decoder, x, rows: 1, into: logits, compute)
    return UnsafeBufferPointer(start: logits, count: classes)
  }

  private func forward(_ batch: Batch, rows: [Int], _ observer: LinearObserver? = nil) -> Floats {
    forward(batch.tokens, positions: batch.positions, rows: rows, observer) { block, _, selected in
      block.forestRuns(batch, memory.activations(0), selected: selected, gradients: nil)
    }
  }

  /// The stream after the last block at some of the rows, [rows.count, C]; only they go through the last block, but with
  /// the plain engine, which takes all. One block's activations serve all blocks.
  private func forward(
    _ tokens: [Int32], positions: [Int], rows wanted: [Int], _ observer: LinearObserver? = nil,
    runs: (_ block: Block, _ layer: Int, _ selected: [Int]?) -> [AttentionRun]
  ) -> Floats {
    let (rows, width) = (tokens.count, decoder.configuration.width)
    let (activations, output) = (memory.activations(0), memory.output.ensure(rows * width))
    var context = memory.context(compute, adapter)
    context.observer = observer
    let sparse = compute.engine == .auto && wanted.count < rows
    activations.input.ensure(rows * width)
    decoder.embed(tokens, positions: positions, activations.input.pointer)
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
