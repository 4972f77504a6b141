import Core
import Kernels

/// What the buffers of a training pass will hold, worked out from the lists that size them, before anything is computed.
///
/// Buffers grow with the largest batch, each by itself: every batch is to be told.
public final class TrainingFootprint {
  /// A part of the memory, by what it is for.
  public enum Kind: String, Sendable, Codable, CaseIterable {
    /// What is kept between the ways forward and back, and what is used at once.
    case activations, scratch
    case logits
  }

  private struct Shape: Hashable {
    var rows: Int
    var supervised: Int
    /// Of the logits that exist at once, which fewer supervised rows may have more of.
    var scores: Int

    func covers(_ other: Shape) -> Bool {
      rows >= other.rows && supervised >= other.supervised && scores >= other.scores
    }
  }

  private let decoder: Decoder
  /// nil where all weights are trained.
  private let adapter: Adapter?
  private let compute: Compute
  private let places: ActivationPlaces
  private let dropsStream: Bool
  private let trunkLayer: Int
  /// Never written to: it says which buffers there are.
  private let memory: PassMemory
  private let streamGradient = FloatBuffer()
  private var updates: Set<Shape> = []
  private var validations: Set<Shape> = []

  /// `memory` is a new one, as the pass is going to be given. `trunkLayer` is the lowest block that is computed.
  public init(
    _ decoder: Decoder, _ adapter: Adapter?, _ compute: Compute, recomputed: Int, dropsStream: Bool = false,
    trunkLayer: Int? = nil, memory: PassMemory
  ) {
    (self.decoder, self.adapter, self.compute) = (decoder, adapter, compute)
    places = ActivationPlaces(recomputed: recomputed, blocks: decoder.blocks.count)
    (self.dropsStream, self.memory) = (dropsStream && decoder.configuration.dropout.coversStream, memory)
    self.trunkLayer = trunkLayer ?? 0
  }

  public func addUpdate(_ batch: Batch) { add(batch, to: &updates) }
  public func addValidation(_ batch: Batch) { add(batch, to: &validations) }

  private func add(_ batch: Batch, to shapes: inout Set<Shape>) {
    let supervised = batch.supervisedRows.count
    let shape = Shape(
      rows: batch.tokens.count, supervised: supervised,
      scores: memory.head.rowsAtOnce(supervised, decoder.configuration))
    if supervised == 0 || shapes.contains(where: { $0.covers(shape) }) { return }
    shapes = shapes.filter { !shape.covers($0) }
    shapes.insert(shape)
  }

  /// Rows of the largest batch.
  public var largestBatch: Int { updates.map(\.rows).max() ?? 0 }

  /// Bytes that are written to while updates are computed, after validations were; by kind.
  public var training: [Kind: Int] { bytes(sizes().values) }

  /// Bytes that are written to while a validation is computed, by kind; what only updates need is released before it.
  public var validation: [Kind: Int] { bytes(sizes().values.filter { !$0.isReleased }) }

  /// Floats of every buffer but the panels' that a pass would ask for, whether it writes to all of them or not. For tests.
  package var requested: Int { sizes().values.reduce(0) { $0 + $1.count } }

  private func bytes(_ sizes: some Sequence<Size>) -> [Kind: Int] {
    sizes.reduce(into: [.scratch: panelBytes]) { $0[$1.kind, default: 0] += $1.touched * MemoryLayout<Float>.stride }
  }

  // MARK: - Buffer by buffer

  private struct Size {
    var kind: Kind
    var count: Int
    var touched: Int
    /// Released before a validation.
    var isReleased: Bool
  }

  private func sizes() -> [ObjectIdentifier: Size] {
    var sizes: [ObjectIdentifier: Size] = [:]
    for shape in updates { note(shape, trains: true, &sizes) }
    for shape in validations { note(shape, trains: false, &sizes) }
    return sizes
  }

  private func note(
    _ buffer: FloatBuffer?, _ count: Int, touched: Int? = nil, _ kind: Kind, isReleased: Bool = false,
    _ sizes: inout [ObjectIdentifier: Size]
  ) {
    guard let buffer, count > 0 else { return }
    let known = sizes[ObjectIdentifier(buffer)]
    sizes[ObjectIdentifier(buffer)] = Size(
      kind: kind, count: max(known?.count ?? 0, count), touched: max(known?.touched ?? 0, touched ?? count),
      isReleased: isReleased)
  }

  private func note(_ shape: Shape, trains: Bool, _ sizes: inout [ObjectIdentifier: Size]) {
    let (blocks, rows, width) = (decoder.blocks, shape.rows, decoder.configuration.width)
    let isPart = shape.supervised < rows
    let selects = isPart && compute.engine == .auto
    note(memory.output, rows * width, .scratch, &sizes)
    if trains {
      // All rows' gradients, or those gathered for the plain engine, which takes all rows through the last block.
      note(streamGradient, (isPart && !selects ? shape.supervised : rows) * width, .scratch, &sizes)
    }
    for layer in (trains ? trunkLayer : 0)..<blocks.count {
      let isLast = layer == blocks.count - 1
      let n = BlockRows(rows: rows, outputs: isLast && selects ? shape.supervised : rows)
      let (place, isShared) = trains ? (places.place(layer), places.isShared(layer)) : (0, false)
      let kept = memory.activations(place)
      let isReleased = place > 0
      if isShared {
        note(memory.input(layer), rows * width, .activations, isReleased: layer < blocks.count - 1, &sizes)
      }
      for need in Block.Activations.needs(n, blocks[layer], rank: rank, adapted: adapted(blocks[layer])) {
        let buffer = need.buffer(kept)
        if isShared, buffer === kept.input { continue }
        note(buffer, need.count, touched: need.touched, .activations, isReleased: isReleased, &sizes)
      }
      noteScratch(n, blocks[layer], isBack: trains && layer >= lowestLayer, &sizes)
      if isLast, selects { noteGathered(shape.supervised, blocks[layer], &sizes) }
    }
    for need in memory.head.needs(shape.supervised, decoder.configuration, backward: trains) {
      note(need.buffer(memory.head), need.count, touched: need.touched, .logits, &sizes)
    }
    for (rotary, buffer) in zip(decoder.rotaries, memory.angles) {
      note(buffer, 2 * rows * rotary.half, .scratch, &sizes)
    }
  }

  /// Panels of weights, decoded or laid out.
  private var panelBytes: Int {
    compute.engine == .auto && PanelMatrix.pays
      ? ProductSum.panelScratch(threads: compute.threads) * MemoryLayout<Float>.stride : 0
  }

  private var rank: Int { adapter?.configuration.rank ?? 0 }
  private var lowestLayer: Int { adapter?.lowestLayer ?? 0 }
  private func isAdapted(_ linear: Linear) -> Bool { adapter?.pair(of: linear) != nil }
  private func adapted(_ block: Block) -> Int { block.linears.count(where: isAdapted) }

  private func noteScratch(
    _ n: BlockRows, _ block: Block, isBack: Bool, _ sizes: inout [ObjectIdentifier: Size]
  ) {
    var needs = Block.Scratch.needs(
      forward: n, block, keepsAttention: memory.keepsAttention, dropsStream: dropsStream, compute)
    if isBack {
      needs += Block.Scratch.needs(
        backward: n, block, keepsAttention: memory.keepsAttention, dropsStream: dropsStream, compute)
      let projections = block.attention.projections.linears
      for (number, buffer) in zip(projections.indices, memory.bottleneckGradients) where isAdapted(projections[number])
      {
        // Queries by themselves are made of the rows that are wanted.
        let isPart = number == 0 && projections.count > 1
        note(buffer, (isPart ? n.outputs : n.rows) * rank, .scratch, &sizes)
      }
      for linears in [[block.attention.output], block.mlp.input.linears, [block.mlp.output]] {
        for (linear, buffer) in zip(linears, memory.bottleneckGradients) where isAdapted(linear) {
          note(buffer, n.outputs * rank, .scratch, &sizes)
        }
      }
    }
    for need in needs { note(need.buffer(memory.scratch), need.count, touched: need.touched, .scratch, &sizes) }
    if isBack, let adapter, adapter.configuration.dropout > 0 {
      let widest = block.linears.filter(isAdapted).map(\.inputWidth).max() ?? 0
      note(memory.dropped, n.rows * widest, .scratch, &sizes)
    }
  }

  private func noteGathered(_ rows: Int, _ block: Block, _ sizes: inout [ObjectIdentifier: Size]) {
    guard let partial = block.attention.queries(of: []) else { return }
    note(memory.gathered.input, rows * block.width, .scratch, &sizes)
    note(memory.gathered.output, rows * partial.columns, .scratch, &sizes)
    if block.attention.projections.linears.count == 1 {
      note(memory.gathered.bottleneck, rows * rank, .scratch, &sizes)
    }
  }
}
