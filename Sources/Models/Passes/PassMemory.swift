import Kernels

/// The buffers of a pass over a decoder, sized by the largest batch seen and reused from call to call.
///
/// Passes that never run at the same time may share one: training and its validation do. What a pass leaves in it is the
/// next one's to overwrite.
public final class PassMemory {
  /// One for each block whose activations are kept; grows as asked for.
  private var activations: [Block.Activations] = []
  /// Input of each block of which only that is kept; grows as asked for.
  private var inputs: [FloatBuffer] = []
  /// [N, C]: a block's output on its way to the next, or the last one's.
  let output = FloatBuffer()
  let scratch = Block.Scratch()
  let panel = FloatBuffer()
  let head: LossHead
  let keepsAttention: Bool
  private let keepsAttentionInFirst: Bool
  private let usesLargePages: Bool
  let dropped = FloatBuffer()
  let bottleneckGradients = (0..<3).map { _ in FloatBuffer() }
  /// One for each rotation that a decoder may have.
  let angles = (0..<2).map { _ in FloatBuffer() }
  let gathered = GatheredRows()

  /// `logits`: how many exist at once, about. Fewer take less memory and, as the head's weights are read for each chunk,
  /// more time. `keepsAttention`: keep each block's attention output for the way back, where it is computed again otherwise;
  /// `keepsAttentionInFirst`: in the place that recomputed blocks share, at least.
  /// `usesLargePages`: some per cent faster where the batches are of one size, as in pretraining; else memory for nothing.
  public init(
    logits: Int = 3 << 20, keepsAttention: Bool = true, keepsAttentionInFirst: Bool = false,
    usesLargePages: Bool = false
  ) {
    head = LossHead(logits: logits, panel: panel)
    self.keepsAttention = keepsAttention
    self.keepsAttentionInFirst = keepsAttentionInFirst
    self.usesLargePages = usesLargePages
    if usesLargePages { for buffer in scratch.large + [output] { buffer.useLargePages() } }
  }

  /// Gives back what only a training step needs, so that validation and samples do not come on top of it.
  public func releaseActivations() {
    activations.removeLast(max(0, activations.count - 1))
    inputs = []
  }

  /// The buffers of what is kept of the blocks.
  var kept: [FloatBuffer] { activations.flatMap(\.all) + inputs }

  func activations(_ layer: Int) -> Block.Activations {
    while activations.count <= layer {
      let added = Block.Activations(
        keepsAttention: keepsAttention || (keepsAttentionInFirst && activations.isEmpty))
      if usesLargePages { for buffer in added.large { buffer.useLargePages() } }
      activations.append(added)
    }
    return activations[layer]
  }

  func input(_ layer: Int) -> FloatBuffer {
    while inputs.count <= layer { inputs.append(FloatBuffer()) }
    return inputs[layer]
  }

  func context(
    _ compute: Compute, _ adapter: Adapter?, gradients: MutableFloats? = nil, weightGradients: WeightGradients? = nil,
    dropoutSeed: UInt64? = nil, dropout: BaseDropout? = nil
  ) -> PassContext {
    PassContext(
      compute: compute, adapter: adapter, gradients: gradients, weightGradients: weightGradients,
      dropoutSeed: dropoutSeed, dropout: dropout, dropped: dropped, bottleneckGradients: bottleneckGradients,
      gathered: gathered,
      panel: panel)
  }
}
