import Core
import Kernels

/// Forward and backward over a packed batch, with all the buffers that takes: they are sized by the largest batch seen and
/// reused from step to step. Not for use from two threads at once.
public final class TrainingPass {
  public let decoder: Decoder
  public let trained: TrainedParameters
  public let compute: Compute
  /// Flat, as the trained parameters; accumulated into until `clearGradients`.
  public let gradients: FloatBuffer
  private let places: ActivationPlaces
  /// Probability of the base's own dropout; nil for none.
  private let dropout: Double?
  private let streamGradient = FloatBuffer()
  private let memory: PassMemory
  private let finalPlaces: [Int]

  /// Where weights are trained, `decoder` is theirs. Of so many of the lowest blocks, or of all, only the input is kept and the
  /// rest `recomputed` on the way back: the same bits in less memory, in far less and for a third more time where it is all.
  public init(
    _ decoder: Decoder, _ trained: TrainedParameters, _ compute: Compute, recomputed: Int = 0,
    dropout: Double? = nil, memory: PassMemory = PassMemory()
  ) {
    self.decoder = decoder
    self.trained = trained
    self.compute = compute
    gradients = FloatBuffer(trained.count)
    gradients.useLargePages()
    places = ActivationPlaces(recomputed: recomputed, blocks: decoder.blocks.count)
    self.dropout = dropout
    self.memory = memory
    finalPlaces = trained.finalPlaces(blocks: decoder.blocks.count)
  }

  /// Floats that were asked for of all buffers but the gradients'.
  package var requested: Int { memory.requested + streamGradient.requested }

  public func clearGradients() { Elementwise.clear(gradients.pointer, count: trained.count, compute) }

  /// Adds scale · ∂(Σ weight · nll)/∂parameters to `gradients` and returns the unscaled sums.
  ///
  /// With `scale` = 1 / supervised tokens of the effective batch, the gradient is that of its token-mean loss however it
  /// is cut into micro-batches. `dropoutSeed` differs from micro-batch to micro-batch; it matters only where there is
  /// dropout. With `trunk` the blocks below its layer, in which nothing may be trained or dropped out, are left out.
  /// `whenFinal` is told from which parameter on nothing more will be added, whenever that has come down; at the end all is.
  public func accumulate(
    _ batch: Batch, scale: Float, dropoutSeed: UInt64, trunk: TrunkStream? = nil,
    whenFinal: (_ place: Int) throws -> Void
  ) rethrows -> CrossEntropy.Totals {
    guard !batch.targets.isEmpty else { return CrossEntropy.Totals() }
    let rows = batch.tokens.count
    let width = decoder.configuration.width
    let ends = decoder.ends(with: trained.adapter)
    var context = self.context(dropoutSeed)
    context.angles = decoder.angles(batch, memory.angles, compute)
    let supervised = batch.supervisedRows
    // The plain engine takes all rows through the last block; there is nothing to select where all are supervised.
    let all = supervised.count == rows
    let selected = compute.engine == .auto && !all ? supervised : nil
    let gathers = selected == nil && !all
    precondition((trunk?.layer ?? 0) <= trained.adapter?.lowestLayer ?? 0, "something is trained below the trunk's end")
    precondition(trunk == nil || dropout == nil, "the base's dropout changes what the trunk gives")
    let stream = forward(batch, selected, trunk, ends, context)
    let x = gathers ? gather(supervised, of: stream, width: width, into: streamGradient, compute) : Floats(stream)
    let gradient = gathers ? stream : streamGradient.ensure(rows * width)
    let endGradients = self.endGradients
    let totals = memory.head.loss(
      ends, batch, x, gradientScale: scale, gradient: gradient, gradients: endGradients, compute)
    if gathers { RowMoves.spread(gradient, to: supervised, of: rows, width: width, compute) }
    try whenFinal(finalPlaces[decoder.blocks.count])
    // Below the weights of the first block there are the embeddings.
    let lowest = trained.adapter?.lowestLayer ?? 0
    let reachesEmbeddings = trained.adapter?.trainsEmbedding ?? true
    for layer in stride(from: decoder.blocks.count - 1, through: lowest, by: -1) {
      let block = decoder.blocks[layer]
      let activations = activations(layer)
      if places.isRecomputed(layer) { recompute(layer, batch, context) }
      block.backward(
        activations, gradient, rows: rows, selected: isLast(layer) ? selected : nil, scratch: memory.scratch,
        needsInputGradient: layer > lowest || reachesEmbeddings, context,
        block.forestRuns(batch, activations, selected: isLast(layer) ? selected : nil))
      try whenFinal(finalPlaces[layer])
    }
    if reachesEmbeddings, let endGradients {
      dropEmbeddings(gradient, rows: rows, context)
      ends.embedBack(gradient, batch.tokens, positions: batch.positions, gradients: endGradients, compute)
    }
    return totals
  }

  /// As the other, with nobody to tell.
  public func accumulate(
    _ batch: Batch, scale: Float, dropoutSeed: UInt64, trunk: TrunkStream? = nil
  ) -> CrossEntropy.Totals {
    accumulate(batch, scale: scale, dropoutSeed: dropoutSeed, trunk: trunk) { _ in }
  }

  /// The gradients of embeddings, final norm and head; nil where nothing of them is trained.
  private var endGradients: WeightGradients? {
    switch trained {
    case .adapter(let adapter): adapter.ends.isEmpty ? nil : WeightGradients(adapter, gradients.pointer)
    case .weights(let weights): WeightGradients(weights, gradients.pointer)
    }
  }

  private func context(_ dropoutSeed: UInt64) -> PassContext {
    let dropout = dropout.map {
      BaseDropout(
        probability: Float($0), coversStream: decoder.configuration.dropout.coversStream, seed: dropoutSeed)
    }
    switch trained {
    case .adapter(let adapter):
      return memory.context(
        compute, adapter, gradients: gradients.pointer,
        dropoutSeed: adapter.configuration.dropout > 0 ? dropoutSeed : nil, dropout: dropout)
    case .weights(let weights):
      return memory.context(
        compute, nil, weightGradients: WeightGradients(weights, gradients.pointer), dropout: dropout)
    }
  }

  /// The mask over the embeddings, or over their gradient, in place.
  private func dropEmbeddings(_ x: MutableFloats, rows: Int, _ context: PassContext) {
    guard let dropout = context.dropout, dropout.coversStream else { return }
    dropout.apply(
      .embeddings, x, x, rows: rows, indices: nil, width: decoder.configuration.width, compute)
  }

  private func isLast(_ layer: Int) -> Bool { layer == decoder.blocks.count - 1 }

  /// The stream after the last block at the selected rows, [S, C], or at all of them; in a buffer of N rows.
  private func forward(
    _ batch: Batch, _ selected: [Int]?, _ trunk: TrunkStream?, _ ends: DecoderEnds,
    _ context: PassContext
  ) -> MutableFloats {
    let rows = batch.tokens.count
    let blocks = decoder.blocks
    let floats = rows * decoder.configuration.width
    let last = memory.output.ensure(floats)
    let layers = (trunk?.layer ?? 0)..<blocks.count
    for layer in layers { input(of: layer).ensure(floats) }
    if let trunk {
      Elementwise.copy(trunk.values, into: input(of: trunk.layer).pointer, count: floats, compute)
    } else {
      ends.embed(batch.tokens, positions: batch.positions, input(of: 0).pointer, compute)
      dropEmbeddings(input(of: 0).pointer, rows: rows, context)
    }
    for layer in layers {
      let selected = isLast(layer) ? selected : nil
      let activations = prepare(layer, rows: rows, selected)
      let next = isLast(layer) ? last : input(of: layer + 1).pointer
      blocks[layer].forward(
        activations, next, rows: rows, selected: selected, scratch: memory.scratch, context
      ) {
        blocks[layer].forestRuns(batch, activations, selected: selected)
      }
    }
    return last
  }

  private func activations(_ layer: Int) -> Block.Activations { memory.activations(places.place(layer)) }

  private func input(of layer: Int) -> FloatBuffer {
    places.isShared(layer) ? memory.input(layer) : activations(layer).input
  }

  /// A block's activations, sized, with the block's own input in place.
  private func prepare(_ layer: Int, rows: Int, _ selected: [Int]?) -> Block.Activations {
    let activations = activations(layer)
    if places.isShared(layer) { activations.input = memory.input(layer) }
    activations.resize(
      rows: rows, outputs: selected?.count ?? rows, decoder.blocks[layer],
      rank: trained.adapter?.configuration.rank ?? 0)
    return activations
  }

  /// The block's activations from its input, as the forward pass had them.
  private func recompute(_ layer: Int, _ batch: Batch, _ context: PassContext) {
    let activations = prepare(layer, rows: batch.tokens.count, nil)
    let block = decoder.blocks[layer]
    block.forward(activations, nil, rows: batch.tokens.count, selected: nil, scratch: memory.scratch, context) {
      block.forestRuns(batch, activations, selected: nil)
    }
  }
}
