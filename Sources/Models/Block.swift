import Core
import Kernels

/// One pre-norm block: x + attention(norm(x)), then + mlp(norm(·)).
///
/// N rows, C width, Q = (H + 2·keyValueHeads)·D columns of queries, keys and values, F MLP width, r adapter rank.
struct Block: Sendable {
  var attentionNorm: Norm
  var attentionInput: Linear
  var attentionOutput: Linear
  var mlpNorm: Norm
  var mlpInput: Linear
  var mlpOutput: Linear
  var attention: Attention

  var linears: [Linear] { [attentionInput, attentionOutput, mlpInput, mlpOutput] }

  /// What the backward pass needs, kept from the forward pass. Outputs of norms and of the activation function are not
  /// among it: they are computed again, which is cheap, where keeping them would take a third of the memory.
  final class Activations {
    /// [N, C]: the block's input, and the stream after attention.
    var input = FloatBuffer()
    let middle = FloatBuffer()
    /// 4 × [N]: mean and 1/deviation of both norms.
    let statistics = FloatBuffer()
    /// [N, Q].
    let queriesKeysValues = FloatBuffer()
    /// [N, H·D], and [H, N].
    let attended = FloatBuffer()
    let logSumExp = FloatBuffer()
    /// [N, F] before the activation function.
    let mlpHidden = FloatBuffer()
    /// 4 × [N, r]: each linear's x · Aᵀ.
    let adapterHidden = FloatBuffer()

    func resize(rows: Int, _ block: Block, rank: Int) {
      let width = block.attentionInput.inputWidth
      input.ensure(rows * width)
      middle.ensure(rows * width)
      statistics.ensure(rows * 4)
      queriesKeysValues.ensure(rows * block.attentionInput.outputWidth)
      attended.ensure(rows * block.attentionOutput.inputWidth)
      logSumExp.ensure(rows * block.attention.heads)
      mlpHidden.ensure(rows * block.mlpInput.outputWidth)
      adapterHidden.ensure(rows * rank * 4)
    }

    func hidden(_ slot: Int, rows: Int, rank: Int) -> MutableFloats { adapterHidden.pointer + slot * rows * rank }

    func attentionBuffers(_ block: Block, rows: Int) -> AttentionBuffers {
      AttentionBuffers(
        queries: Floats(queriesKeysValues.pointer), queryStride: block.attentionInput.outputWidth,
        output: attended.pointer, logSumExp: logSumExp.pointer, rows: rows)
    }
  }

  /// Buffers that no pass keeps: outputs that are used at once, and gradients on their way down.
  final class Scratch {
    /// [N, C] after a norm, and [N, F] after the activation function.
    let normed = FloatBuffer()
    let activated = FloatBuffer()
    let attention = FloatBuffer()
    let mlpGradient = FloatBuffer()
    let normedGradient = FloatBuffer()
    let attendedGradient = FloatBuffer()
    let queriesKeysValuesGradient = FloatBuffer()
  }

  /// Columns of the queries, from which on the keys' and the values' begin.
  var keyOffset: Int { attention.heads * attention.headWidth }
  var valueOffset: Int { keyOffset + attention.keyValueHeads * attention.headWidth }

  /// output[N, C] from `activations.input`. `runs` is asked for after queries, keys and values are computed: it may move
  /// them into a cache first. Without `output` only what the backward pass needs is computed.
  func forward(
    _ activations: Activations, _ output: MutableFloats?, rows: Int, scratch: Scratch, _ context: PassContext,
    runs: () -> [AttentionRun]
  ) {
    let rank = context.adapter?.configuration.rank ?? 0
    func hidden(_ slot: Int) -> MutableFloats { activations.hidden(slot, rows: rows, rank: rank) }

    let attentionNormed = normForAttention(activations, rows: rows, scratch, context)
    attentionInput.forward(
      attentionNormed, activations.queriesKeysValues.pointer, hidden: hidden(0), rows: rows, context)
    attention.forward(
      runs(), activations.attentionBuffers(self, rows: rows), scratch: scratch.attention.ensure(attention.scratchCount),
      context.compute)
    attentionOutput.forward(
      activations.attended.pointer, activations.middle.pointer, hidden: hidden(1), rows: rows,
      addend: activations.input.pointer, context)

    let mlpNormed = normForMLP(activations, rows: rows, scratch, context)
    mlpInput.forward(mlpNormed, activations.mlpHidden.pointer, hidden: hidden(2), rows: rows, context)
    let activated = activate(activations, rows: rows, scratch, context)
    guard let output else {
      mlpOutput.forwardHidden(activated, hidden: hidden(3), rows: rows, context)
      return
    }
    mlpOutput.forward(
      activated, output, hidden: hidden(3), rows: rows, addend: activations.middle.pointer, context)
  }

  private func normForAttention(
    _ activations: Activations, rows: Int, _ scratch: Scratch, _ context: PassContext
  ) -> Floats {
    let output = scratch.normed.ensure(rows * attentionInput.inputWidth)
    let statistics = activations.statistics.pointer
    attentionNorm.forward(
      activations.input.pointer, output, mean: statistics, rstd: statistics + rows, rows: rows, context.compute)
    return Floats(output)
  }

  private func normForMLP(
    _ activations: Activations, rows: Int, _ scratch: Scratch, _ context: PassContext
  ) -> Floats {
    let output = scratch.normed.ensure(rows * mlpInput.inputWidth)
    let statistics = activations.statistics.pointer
    mlpNorm.forward(
      activations.middle.pointer, output, mean: statistics + 2 * rows, rstd: statistics + 3 * rows, rows: rows,
      context.compute)
    return Floats(output)
  }

  private func activate(
    _ activations: Activations, rows: Int, _ scratch: Scratch, _ context: PassContext
  ) -> Floats {
    let output = scratch.activated.ensure(rows * mlpInput.outputWidth)
    GELU.forward(activations.mlpHidden.pointer, output, count: rows * mlpInput.outputWidth, context.compute)
    return Floats(output)
  }

  /// `gradient` [N, C] is the loss's gradient with respect to the output, and becomes that with respect to the input.
  /// Where `needsInputGradient` is false nothing below the block's lowest linear is computed, and `gradient` is spent.
  func backward(
    _ activations: Activations, _ gradient: MutableFloats, rows: Int, scratch: Scratch, needsInputGradient: Bool,
    _ context: PassContext, runs: (_ gradients: MutableFloats) -> [AttentionRun]
  ) {
    let rank = context.adapter?.configuration.rank ?? 0
    let compute = context.compute
    let statistics = activations.statistics.pointer
    func hidden(_ slot: Int) -> MutableFloats { activations.hidden(slot, rows: rows, rank: rank) }
    let dmlp = scratch.mlpGradient.ensure(rows * mlpInput.outputWidth)
    let dnormed = scratch.normedGradient.ensure(rows * attentionInput.inputWidth)

    let activated = activate(activations, rows: rows, scratch, context)
    mlpOutput.backward(activated, hidden: hidden(3), dy: gradient, dx: dmlp, rows: rows, context)
    GELU.backward(activations.mlpHidden.pointer, dy: dmlp, dx: dmlp, count: rows * mlpInput.outputWidth, compute)
    let mlpNormed = normForMLP(activations, rows: rows, scratch, context)
    mlpInput.backward(mlpNormed, hidden: hidden(2), dy: dmlp, dx: dnormed, rows: rows, context)
    mlpNorm.backward(
      activations.middle.pointer, mean: statistics + 2 * rows, rstd: statistics + 3 * rows, dy: dnormed, dx: gradient,
      rows: rows, compute)

    let dattended = scratch.attendedGradient.ensure(rows * attentionOutput.inputWidth)
    attentionOutput.backward(
      activations.attended.pointer, hidden: hidden(1), dy: gradient, dx: dattended, rows: rows, context)
    let dqkv = scratch.queriesKeysValuesGradient.ensure(rows * attentionInput.outputWidth)
    dqkv.update(repeating: 0, count: rows * attentionInput.outputWidth)
    attention.backward(
      runs(dqkv), activations.attentionBuffers(self, rows: rows), upstream: dattended, queryGradients: dqkv,
      scratch: scratch.attention.ensure(attention.scratchCount), compute)
    let attentionNormed = normForAttention(activations, rows: rows, scratch, context)
    attentionInput.backward(
      attentionNormed, hidden: hidden(0), dy: dqkv, dx: needsInputGradient ? dnormed : nil, rows: rows, context)
    if needsInputGradient {
      attentionNorm.backward(
        activations.input.pointer, mean: statistics, rstd: statistics + rows, dy: dnormed, dx: gradient, rows: rows,
        compute)
    }
  }

  /// What each segment of a forest attends to, inside the block's own [N, Q] activations.
  func forestRuns(_ batch: Batch, _ activations: Activations, gradients: MutableFloats?) -> [AttentionRun] {
    let stride = attentionInput.outputWidth
    let base = activations.queriesKeysValues.pointer
    func span(_ rows: Range<Int>, causalOffset: Int) -> KeySpan {
      let offset = rows.lowerBound * stride
      return KeySpan(
        keys: base + offset + keyOffset, values: base + offset + valueOffset,
        keyGradients: gradients.map { $0 + offset + keyOffset },
        valueGradients: gradients.map { $0 + offset + valueOffset }, count: rows.count, stride: stride,
        causalOffset: causalOffset)
    }
    return batch.segments.indices.map { index in
      let segment = batch.segments[index]
      let ancestors = batch.ancestors(of: index).map {
        span(batch.segments[$0].rows, causalOffset: KeySpan.everything)
      }
      return AttentionRun(
        firstRow: segment.rows.lowerBound, rows: segment.rows.count,
        spans: ancestors + [span(segment.rows, causalOffset: 0)])
    }
  }
}
