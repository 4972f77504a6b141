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

  /// What the backward pass needs, kept from the forward pass. Outputs of norms and the activation function are not among
  /// it: they are computed again, which is cheap, where keeping them would take a third of the memory.
  final class Activations {
    /// [N, C]: the block's input, and the stream after attention.
    var input = FloatBuffer()
    let middle = FloatBuffer()
    /// 2 × [N]: mean and 1/deviation of each norm.
    let attentionStatistics = FloatBuffer()
    let mlpStatistics = FloatBuffer()
    /// [N, Q]; of rows that are not selected, whole panels of queries are left as they were.
    let queriesKeysValues = FloatBuffer()
    /// [H, N].
    let logSumExp = FloatBuffer()
    /// [N, F] before the activation function.
    let mlpHidden = FloatBuffer()
    /// [N, H·D] after attention; nil to compute it again.
    let attended: FloatBuffer?
    /// 4 × [N, r]: each linear's x · Aᵀ.
    let adapterHidden = FloatBuffer()

    init(keepsAttention: Bool) { attended = keepsAttention ? FloatBuffer() : nil }

    /// Those that are several numbers a row and filled by each batch.
    var large: [FloatBuffer] { [input, middle, queriesKeysValues, mlpHidden] + [attended].compactMap(\.self) }

    /// `outputs` of the rows go through attention and MLP: fewer than `rows` where some are selected.
    func resize(rows: Int, outputs: Int, _ block: Block, rank: Int) {
      let width = block.attentionInput.inputWidth
      input.ensure(rows * width)
      middle.ensure(outputs * width)
      attentionStatistics.ensure(rows * 2)
      mlpStatistics.ensure(outputs * 2)
      queriesKeysValues.ensure(rows * block.attentionInput.outputWidth)
      logSumExp.ensure(outputs * block.attention.heads)
      attended?.ensure(outputs * block.attentionOutput.inputWidth)
      mlpHidden.ensure(outputs * block.mlpInput.outputWidth)
      adapterHidden.ensure(rows * rank * 4)
    }

    func hidden(_ slot: Int, rows: Int, rank: Int) -> MutableFloats { adapterHidden.pointer + slot * rows * rank }

  }

  /// Buffers that no pass keeps: outputs that are used at once, and gradients on their way down.
  final class Scratch {
    /// [N, C] after a norm, [N, H·D] after attention, and [N, F] after the activation function.
    let normed = FloatBuffer()
    let attended = FloatBuffer()
    let activated = FloatBuffer()
    let attention = FloatBuffer()
    let attendedGradient = FloatBuffer()
    let queriesKeysValuesGradient = FloatBuffer()
    /// [N, C]: what is added to the stream, or its gradient, where dropout is active.
    let dropped = FloatBuffer()

    /// As above.
    var large: [FloatBuffer] { [normed, attended, activated, attendedGradient, queriesKeysValuesGradient] }
  }

  /// Columns of the queries, from which on the keys' and the values' begin.
  var keyOffset: Int { attention.heads * attention.headWidth }
  var valueOffset: Int { keyOffset + attention.keyValueHeads * attention.headWidth }

  /// Only the selected rows need queries; nil where all rows are selected, or queries do not fill a panel. In whole panels
  /// even of a weight that is not laid out in them, so that either gives the same bits.
  private func queries(of selected: [Int]?) -> PartialOutputs? {
    let columns = keyOffset / PackedMatrix.panelColumns * PackedMatrix.panelColumns
    guard let selected, columns > 0 else { return nil }
    return PartialOutputs(columns: columns, rows: selected)
  }

  /// output[S, C] from `activations.input` [N, C]. The S `selected` rows, in order, are all whose output is wanted: the
  /// others give keys and values only; nil for all. `runs` is asked for after queries, keys and values are computed: it may
  /// move them into a cache first. Without `output` only what the backward pass needs is computed.
  func forward(
    _ activations: Activations, _ output: MutableFloats?, rows: Int, selected: [Int]?, scratch: Scratch,
    _ context: PassContext, runs: () -> [AttentionRun]
  ) {
    let outputs = selected?.count ?? rows
    let rank = context.adapter?.configuration.rank ?? 0
    func hidden(_ slot: Int) -> MutableFloats { activations.hidden(slot, rows: rows, rank: rank) }

    let attentionNormed = normed(
      attentionNorm, activations.input, activations.attentionStatistics, rows: rows, scratch, context)
    attentionInput.forward(
      attentionNormed, activations.queriesKeysValues.pointer, hidden: hidden(0), rows: rows,
      partial: queries(of: selected), context)
    let attended = attentionBuffers(activations, rows: outputs, scratch, context)
    attend(runs(), attended, scratch, context)
    // In the place of the norm's output, which is not needed any more.
    let input = selected.map {
      gather($0, of: activations.input.pointer, width: attentionInput.inputWidth, into: scratch.normed)
    }
    add(
      attentionOutput, attended.output, to: input ?? Floats(activations.input.pointer),
      activations.middle.pointer, hidden: hidden(1), rows: outputs, selected, scratch, context)

    let mlpNormed = normed(
      mlpNorm, activations.middle, activations.mlpStatistics, rows: outputs, scratch, context)
    mlpInput.forward(mlpNormed, activations.mlpHidden.pointer, hidden: hidden(2), rows: outputs, context)
    let activated = activate(activations, rows: outputs, scratch, context)
    guard let output else {
      mlpOutput.forwardHidden(activated, hidden: hidden(3), rows: outputs, context)
      return
    }
    add(
      mlpOutput, activated, to: activations.middle.pointer, output, hidden: hidden(3), rows: outputs, selected, scratch,
      context)
  }

  /// y[S, C] = stream + drop(linear(x)).
  private func add(
    _ linear: Linear, _ x: Floats, to stream: Floats, _ y: MutableFloats, hidden: MutableFloats, rows: Int,
    _ selected: [Int]?, _ scratch: Scratch, _ context: PassContext
  ) {
    guard let dropout = context.dropout else {
      return linear.forward(x, y, hidden: hidden, rows: rows, addend: stream, context)
    }
    let added = scratch.dropped.ensure(rows * linear.outputWidth)
    linear.forward(x, added, hidden: hidden, rows: rows, context)
    y.update(from: stream, count: rows * linear.outputWidth)
    dropout.apply(
      .output(linear), added, y, rows: rows, indices: selected, width: linear.outputWidth, accumulate: true,
      context.compute)
  }

  /// The gradient of what a linear adds to the stream, from the stream's.
  private func upstream(
    of linear: Linear, _ gradient: Floats, rows: Int, _ selected: [Int]?, _ scratch: Scratch, _ context: PassContext
  ) -> Floats {
    guard let dropout = context.dropout else { return gradient }
    let masked = scratch.dropped.ensure(rows * linear.outputWidth)
    dropout.apply(
      .output(linear), gradient, masked, rows: rows, indices: selected, width: linear.outputWidth, context.compute)
    return Floats(masked)
  }

  /// Where attention reads, and writes its output: a buffer that the next block takes too, unless it is kept.
  private func attentionBuffers(
    _ activations: Activations, rows: Int, _ scratch: Scratch, _ context: PassContext
  ) -> AttentionBuffers {
    AttentionBuffers(
      queries: Floats(activations.queriesKeysValues.pointer), queryStride: attentionInput.outputWidth,
      output: (activations.attended ?? scratch.attended).ensure(rows * attentionOutput.inputWidth),
      logSumExp: activations.logSumExp.pointer,
      rows: rows,
      dropout: context.dropout.map {
        AttentionDropout(probability: $0.probability, seed: $0.seed(.attention(attentionInput)))
      })
  }

  private func attend(
    _ runs: [AttentionRun], _ buffers: AttentionBuffers, _ scratch: Scratch, _ context: PassContext
  ) {
    attention.forward(
      runs, buffers, scratch: scratch.attention.ensure(attention.scratchCount(context.compute)), context.compute)
  }

  /// norm(x), and its statistics; for the attention's or the MLP's linear.
  private func normed(
    _ norm: Norm, _ x: FloatBuffer, _ statistics: FloatBuffer, rows: Int, _ scratch: Scratch, _ context: PassContext
  ) -> MutableFloats {
    let output = scratch.normed.ensure(rows * norm.weight.count)
    norm.forward(
      x.pointer, output, mean: statistics.pointer, rstd: statistics.pointer + rows, rows: rows, context.compute)
    return output
  }

  private func activate(
    _ activations: Activations, rows: Int, _ scratch: Scratch, _ context: PassContext
  ) -> MutableFloats {
    let output = scratch.activated.ensure(rows * mlpInput.outputWidth)
    GELU.forward(activations.mlpHidden.pointer, output, count: rows * mlpInput.outputWidth, context.compute)
    return output
  }

  /// `gradient` [S, C] is the loss's gradient with respect to the output, and becomes that with respect to the input,
  /// [N, C]; `selected` is as it was in the forward pass. Where `needsInputGradient` is false nothing below the block's
  /// lowest linear is computed, and `gradient` is spent.
  func backward(
    _ activations: Activations, _ gradient: MutableFloats, rows: Int, selected: [Int]?, scratch: Scratch,
    needsInputGradient: Bool, _ context: PassContext, runs: (_ gradients: MutableFloats) -> [AttentionRun]
  ) {
    let rank = context.adapter?.configuration.rank ?? 0
    let compute = context.compute
    let width = attentionInput.inputWidth
    let statistics = activations.attentionStatistics.pointer
    func hidden(_ slot: Int) -> MutableFloats { activations.hidden(slot, rows: rows, rank: rank) }

    let outputs = selected?.count ?? rows
    backwardMLP(activations, gradient, rows: outputs, selected, scratch, hidden, context)

    let dqkv = scratch.queriesKeysValuesGradient.ensure(rows * attentionInput.outputWidth)
    Elementwise.clear(dqkv, count: rows * attentionInput.outputWidth, compute)
    let runs = runs(dqkv)
    let attended = attentionBuffers(activations, rows: outputs, scratch, context)
    if activations.attended == nil { attend(runs, attended, scratch, context) }
    let dattended = scratch.attendedGradient.ensure(outputs * attentionOutput.inputWidth)
    attentionOutput.backward(
      attended.output, hidden: hidden(1),
      dy: upstream(of: attentionOutput, gradient, rows: outputs, selected, scratch, context), dx: dattended,
      rows: outputs, context)
    attention.backward(
      runs, attended, upstream: dattended, queryGradients: dqkv,
      scratch: scratch.attention.ensure(attention.scratchCount(compute)), compute)
    let dnormed = normed(
      attentionNorm, activations.input, activations.attentionStatistics, rows: rows, scratch, context)
    attentionInput.backward(
      dnormed, hidden: hidden(0), dy: dqkv, dx: needsInputGradient ? dnormed : nil, rows: rows,
      partial: queries(of: selected), context)
    if needsInputGradient {
      if let selected { spread(gradient, to: selected, of: rows, width: width) }
      attentionNorm.backward(
        activations.input.pointer, mean: statistics, rstd: statistics + rows, dy: dnormed, dx: gradient, rows: rows,
        gradients: context.weightGradients, compute)
    }
  }

  /// From the gradient of the output to that of the stream between attention and MLP, in place.
  private func backwardMLP(
    _ activations: Activations, _ gradient: MutableFloats, rows: Int, _ selected: [Int]?, _ scratch: Scratch,
    _ hidden: (Int) -> MutableFloats, _ context: PassContext
  ) {
    let compute = context.compute
    let statistics = activations.mlpStatistics.pointer
    // A linear's input is not needed any more once its parameters have their gradients: the input's gradient takes its
    // place.
    let dmlp = activate(activations, rows: rows, scratch, context)
    mlpOutput.backward(
      dmlp, hidden: hidden(3), dy: upstream(of: mlpOutput, gradient, rows: rows, selected, scratch, context), dx: dmlp,
      rows: rows, context)
    GELU.backward(activations.mlpHidden.pointer, dy: dmlp, dx: dmlp, count: rows * mlpInput.outputWidth, compute)
    let dnormed = normed(
      mlpNorm, activations.middle, activations.mlpStatistics, rows: rows, scratch, context)
    mlpInput.backward(dnormed, hidden: hidden(2), dy: dmlp, dx: dnormed, rows: rows, context)
    mlpNorm.backward(
      activations.middle.pointer, mean: statistics, rstd: statistics + rows, dy: dnormed, dx: gradient, rows: rows,
      gradients: context.weightGradients, compute)
  }
}
