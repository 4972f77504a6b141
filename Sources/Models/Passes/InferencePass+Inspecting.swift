import Core
import Kernels

extension InferencePass {
  /// Computes `tokens`, one sequence of at least one, and shows `body` what every part gives on the way. Only logits, of which
  /// there may be too many at once, come in several calls, some rows in each.
  ///
  /// Each block runs as it does for losses. What it keeps for a backward pass is shown as it is; the rest is computed again
  /// from that by the same parts, as a backward pass does.
  public func inspect(_ tokens: [Int32], _ body: @escaping (PartOutput) -> Void) {
    let (rows, width) = (tokens.count, decoder.configuration.width)
    let batch = Batch(sequence: tokens, shortLength: decoder.configuration.shortLength)
    let ends = ends
    var context = memory.context(compute, adapter)
    context.angles = decoder.angles(batch, memory.angles, compute)
    let (activations, output) = (memory.activations(0), memory.output.ensure(rows * width))
    let input = activations.input.ensure(rows * width)
    func show(_ part: DecoderPart, _ values: Floats, rows: Int, width: Int) {
      body(PartOutput(layer: nil, part: part, values: values, rows: rows, width: width, stride: width))
    }
    ends.embed(tokens, positions: batch.positions, input, compute)
    show(.embeddings, input, rows: rows, width: width)
    for (layer, block) in decoder.blocks.enumerated() {
      activations.resize(rows: rows, outputs: rows, block, rank: adapter?.configuration.rank ?? 0)
      block.forward(activations, output, rows: rows, selected: nil, scratch: memory.scratch, context) {
        block.forestRuns(batch, activations, selected: nil)
      }
      let inspection = BlockInspection(
        block: block, layer: layer, activations: activations, rows: rows, scratch: memory.scratch, context: context,
        body: body)
      inspection.showAttention()
      inspection.showMLP(output)
      input.update(from: output, count: rows * width)
    }
    let statistics = FloatBuffer(rows * Norm.statisticsWidth)
    ends.finalNorm.forward(input, output, statistics: statistics.pointer, rows: rows, compute)
    show(.finalNorm, output, rows: rows, width: width)
    let classes = decoder.configuration.vocabularySize
    let chunk = memory.head.chunkRows(decoder.configuration)
    for first in stride(from: 0, to: rows, by: chunk) {
      let count = min(chunk, rows - first)
      let logits = scores.ensure(count * classes)
      memory.head.logits(ends, input + first * width, rows: count, into: logits, compute)
      show(.logits, logits, rows: count, width: classes)
    }
  }
}

/// What one block's parts gave, after its forward pass over all rows.
private struct BlockInspection {
  let block: Block
  let layer: Int
  let activations: Block.Activations
  let rows: Int
  let scratch: Block.Scratch
  let context: PassContext
  let body: (PartOutput) -> Void

  private let linearOutput = FloatBuffer()
  private let normOutput = FloatBuffer()

  init(
    block: Block, layer: Int, activations: Block.Activations, rows: Int, scratch: Block.Scratch, context: PassContext,
    body: @escaping (PartOutput) -> Void
  ) {
    (self.block, self.layer, self.activations, self.rows) = (block, layer, activations, rows)
    (self.scratch, self.context, self.body) = (scratch, context, body)
  }

  private var width: Int { block.attention.output.outputWidth }

  private func show(_ part: DecoderPart, _ values: Floats, width: Int, stride: Int? = nil) {
    body(PartOutput(layer: layer, part: part, values: values, rows: rows, width: width, stride: stride ?? width))
  }

  private func bottleneck(_ linear: Linear) -> MutableFloats {
    activations.bottleneck(linear, rows: rows, rank: context.adapter?.configuration.rank ?? 0)
  }

  func showAttention() {
    let entering = block.attentionBranch.enter(
      activations.input, activations.attentionBranch, rows: rows, width: width, scratch, context)
    if block.attentionBranch.inputNorm != nil { show(.attentionInputNorm, entering, width: width) }
    // The layer by and by: bare, with its norms, and as it is.
    let layer = block.attention
    var (bare, normed) = (layer, layer)
    (bare.queryNorm, bare.keyNorm, bare.rotary, normed.rotary) = (nil, nil, nil, nil)
    showProjections(of: bare, entering, .queries, .keys)
    show(.values, projected + layer.valueOffset, width: layer.columns - layer.valueOffset, stride: layer.columns)
    if layer.queryNorm != nil { showProjections(of: normed, entering, .queriesNormed, .keysNormed) }
    if layer.rotary != nil { showProjections(of: layer, entering, .queriesRotated, .keysRotated) }
    let attended = layer.buffers(activations.attention, rows: rows, scratch, context).output
    show(.attended, attended, width: layer.output.inputWidth)
    showEnd(
      of: block.attentionBranch, activations.attentionBranch, layer.output, attended, .attentionOutput,
      .attentionOutputNorm)
    show(.afterAttention, activations.middle.pointer, width: width)
  }

  func showMLP(_ output: Floats) {
    let between = block.mlpBranch.enter(
      activations.middle, activations.mlpBranch, rows: rows, width: width, scratch, context)
    if block.mlpBranch.inputNorm != nil { show(.mlpInputNorm, between, width: width) }
    let inner = Floats(activations.mlpInner.pointer)
    let (columns, half) = (block.mlp.input.outputWidth, block.mlp.output.inputWidth)
    if block.mlp.isGated { show(.gate, inner, width: half, stride: columns) }
    show(.up, inner + (columns - half), width: half, stride: columns)
    let activated = block.mlp.activate(inner, rows: rows, into: scratch.activated, context.compute)
    show(.activated, activated, width: half)
    showEnd(
      of: block.mlpBranch, activations.mlpBranch, block.mlp.output, activated, .mlpOutput, .mlpOutputNorm)
    show(.afterMLP, output, width: width)
  }

  private var projected: Floats { Floats(activations.attention.queriesKeysValues.pointer) }

  private func showProjections(of layer: AttentionLayer, _ x: Floats, _ queries: DecoderPart, _ keys: DecoderPart) {
    layer.project(x, activations.attention, bottleneck: bottleneck, rows: rows, selected: nil, context)
    show(queries, projected, width: layer.keyOffset, stride: layer.columns)
    show(
      keys, projected + layer.keyOffset, width: layer.valueOffset - layer.keyOffset, stride: layer.columns)
  }

  /// What a branch's last linear gives, and the norm after it.
  private func showEnd(
    of branch: Branch, _ kept: Branch.Activations, _ linear: Linear, _ x: Floats, _ product: DecoderPart,
    _ normed: DecoderPart
  ) {
    let output = linearOutput.ensure(rows * linear.outputWidth)
    linear.forward(x, output, bottleneck: bottleneck(linear), rows: rows, context)
    show(product, output, width: linear.outputWidth)
    guard let norm = branch.outputNorm else { return }
    let result = normOutput.ensure(rows * linear.outputWidth)
    norm.forward(output, result, statistics: kept.outputStatistics.pointer, rows: rows, context.compute)
    show(normed, result, width: linear.outputWidth)
  }
}
