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
    ends.embed(batch.tokens, positions: batch.positions, input, compute)
    var context = memory.context(compute, adapter)
    context.angles = decoder.angles(batch, memory.angles, compute)
    for block in decoder.blocks[..<layer] {
      activations.resize(rows: rows, outputs: rows, block, rank: adapter?.configuration.rank ?? 0)
      block.forward(
        activations, output, rows: rows, selected: nil, scratch: memory.scratch, context
      ) { block.forestRuns(batch, activations, selected: nil) }
      input.update(from: output, count: rows * width)
    }
    return Floats(input)
  }

  private func forward(_ batch: Batch, rows: [Int], _ observer: LinearObserver? = nil) -> Floats {
    forward(
      batch.tokens, positions: batch.positions, decoder.angles(batch, memory.angles, compute), rows: rows, observer
    ) { block, _, selected in
      block.forestRuns(batch, memory.activations(0), selected: selected)
    }
  }

  /// The stream after the last block at some of the rows, [rows.count, C]; only they go through the last block, but with
  /// the plain engine, which takes all. One block's activations serve all blocks. `shares`: whose rows are whose, where not all
  /// are `adapter`'s.
  func forward(
    _ tokens: [Int32], positions: [Int], _ angles: [RotaryAngles], rows wanted: [Int],
    _ observer: LinearObserver? = nil, shares: [AdapterShare]? = nil, kernels: RowKernels = .fastest,
    runs: (_ block: Block, _ layer: Int, _ selected: [Int]?) -> [AttentionRun]
  ) -> Floats {
    let (rows, width) = (tokens.count, decoder.configuration.width)
    let (activations, output) = (memory.activations(0), memory.output.ensure(rows * width))
    var context = memory.context(compute.with(kernels), shares == nil ? adapter : nil)
    context.shares = shares ?? []
    context.observer = observer
    context.angles = angles
    let sparse = compute.engine == .auto && wanted.count < rows
    let input = activations.input.ensure(rows * width)
    for (ends, share) in ends(shares, count: rows, \.rows) {
      ends.embed(Array(tokens[share]), positions: Array(positions[share]), input + share.lowerBound * width, compute)
    }
    for (layer, block) in decoder.blocks.enumerated() {
      let isLast = layer == decoder.blocks.count - 1
      let selected = isLast && sparse ? wanted : nil
      activations.resize(rows: rows, outputs: selected?.count ?? rows, block, rank: context.rank)
      block.forward(activations, output, rows: rows, selected: selected, scratch: memory.scratch, context) {
        runs(block, layer, selected)
      }
      if !isLast { activations.input.pointer.update(from: output, count: rows * width) }
    }
    return sparse || wanted.count == rows
      ? Floats(output) : gather(wanted, of: output, width: width, into: activations.middle, compute)
  }
}
