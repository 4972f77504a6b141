import Core
import Kernels

/// Forward and backward over a packed batch, with all the buffers that takes: they are sized by the largest batch seen and
/// reused from step to step. Not for use from two threads at once.
public final class TrainingPass {
  public let decoder: Decoder
  public let adapter: Adapter
  public let compute: Compute
  /// Flat, as the adapter's parameters; accumulated into until `clearGradients`.
  public let gradients: FloatBuffer
  /// Keep only each block's input and compute the rest again on the way back: the same bits in far less memory, for a
  /// third more time.
  public let checkpointing: Bool
  /// One a block; the same for all where checkpointing.
  private let activations: [Block.Activations]
  /// Each block's input, where checkpointing.
  private let inputs: [FloatBuffer]
  private let output = FloatBuffer()
  private let streamGradient = FloatBuffer()
  private let scratch = Block.Scratch()
  private let head: LossHead
  private let dropped = FloatBuffer()
  private let hiddenGradient = FloatBuffer()
  private let panel = FloatBuffer()

  public init(_ decoder: Decoder, _ adapter: Adapter, _ compute: Compute, checkpointing: Bool = false) {
    self.decoder = decoder
    self.adapter = adapter
    self.compute = compute
    head = LossHead(panel: panel)
    gradients = FloatBuffer(adapter.count)
    self.checkpointing = checkpointing
    let shared = Block.Activations()
    activations = decoder.blocks.map { _ in checkpointing ? shared : Block.Activations() }
    inputs = checkpointing ? decoder.blocks.map { _ in FloatBuffer() } : []
  }

  public func clearGradients() { gradients.clear(adapter.count) }

  /// Adds scale · ∂(Σ weight · nll)/∂parameters to `gradients` and returns the unscaled sums.
  ///
  /// With `scale` = 1 / supervised tokens of the effective batch, the gradient is that of its token-mean loss however it
  /// is cut into micro-batches. `dropoutSeed` differs from micro-batch to micro-batch; it matters only where the adapter
  /// has dropout.
  public func accumulate(_ batch: Batch, scale: Float, dropoutSeed: UInt64) -> CrossEntropy.Totals {
    guard !batch.targets.isEmpty else { return CrossEntropy.Totals() }
    let rows = batch.tokens.count
    let width = decoder.configuration.width
    let context = PassContext(
      compute: compute, adapter: adapter, gradients: gradients.pointer,
      dropoutSeed: adapter.configuration.dropout > 0 ? dropoutSeed : nil, dropped: dropped,
      hiddenGradient: hiddenGradient, panel: panel)
    let x = forward(batch, context)
    let gradient = streamGradient.ensure(rows * width)
    let totals = head.loss(decoder, batch, x, gradientScale: scale, gradient: gradient, compute)
    let lowest = adapter.lowestLayer
    for layer in stride(from: decoder.blocks.count - 1, through: lowest, by: -1) {
      let block = decoder.blocks[layer]
      if checkpointing { recompute(layer, batch, context) }
      block.backward(
        activations[layer], gradient, rows: rows, scratch: scratch, needsInputGradient: layer > lowest, context
      ) { gradients in
        block.forestRuns(batch, activations[layer], gradients: gradients)
      }
    }
    return totals
  }

  /// The stream after the last block, [N, C].
  private func forward(_ batch: Batch, _ context: PassContext) -> Floats {
    let rows = batch.tokens.count
    let blocks = decoder.blocks
    for layer in blocks.indices { prepare(layer, rows: rows) }
    let last = output.ensure(rows * decoder.configuration.width)
    decoder.embed(batch.tokens, positions: batch.positions, input(of: 0))
    for layer in blocks.indices {
      prepare(layer, rows: rows)
      let next = layer + 1 < blocks.count ? input(of: layer + 1) : last
      blocks[layer].forward(activations[layer], next, rows: rows, scratch: scratch, context) {
        blocks[layer].forestRuns(batch, activations[layer], gradients: nil)
      }
    }
    return Floats(last)
  }

  /// A block's activations, sized, with the block's own input in place.
  private func prepare(_ layer: Int, rows: Int) {
    if checkpointing { activations[layer].input = inputs[layer] }
    activations[layer].resize(rows: rows, decoder.blocks[layer], rank: adapter.configuration.rank)
  }

  private func input(of layer: Int) -> MutableFloats {
    checkpointing ? inputs[layer].pointer : activations[layer].input.pointer
  }

  /// The block's activations from its input, as the forward pass had them.
  private func recompute(_ layer: Int, _ batch: Batch, _ context: PassContext) {
    let rows = batch.tokens.count
    prepare(layer, rows: rows)
    // The last block's are still there.
    if layer == decoder.blocks.count - 1 { return }
    let block = decoder.blocks[layer]
    block.forward(activations[layer], nil, rows: rows, scratch: scratch, context) {
      block.forestRuns(batch, activations[layer], gradients: nil)
    }
  }
}
