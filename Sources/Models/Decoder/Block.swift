import Core
import Kernels

/// One block: attention, then an MLP, each a branch off the stream and back.
///
/// N rows, of which S are wanted after attention; C width, Q columns of queries, keys and values, F MLP width, r adapter rank.
struct Block: Sendable {
  var attentionBranch: Branch
  var attention: AttentionLayer
  var mlpBranch: Branch
  var mlp: MLPLayer

  var linears: [Linear] { attention.linears + mlp.linears }

  var width: Int { attention.output.outputWidth }

  /// What the backward pass needs, kept from the forward pass. Outputs of norms and the activation function are not among
  /// it: they are computed again, which is cheap, where keeping them would take a third of the memory.
  final class Activations {
    /// [N, C]: the block's input, and [S, C]: the stream after attention.
    var input = FloatBuffer()
    let middle = FloatBuffer()
    let attentionBranch = Branch.Activations()
    let attention: AttentionLayer.Activations
    let mlpBranch = Branch.Activations()
    /// [S, F], or gate and up [S, 2 F], before the activation function.
    let mlpInner = FloatBuffer()
    /// [N, r] for each linear: x · Aᵀ.
    let bottlenecks = FloatBuffer()

    init(keepsAttention: Bool) { attention = AttentionLayer.Activations(keepsAttention: keepsAttention) }

    /// Buffers of several numbers a row that each batch fills: the ones worth large pages.
    var large: [FloatBuffer] {
      [input, middle, attention.queriesKeysValues, mlpInner] + [attention.attended].compactMap(\.self)
    }

    /// `outputs` of the rows go through attention and MLP: fewer than `rows` where some are selected.
    func resize(rows: Int, outputs: Int, _ block: Block, rank: Int) {
      let size = Size(
        n: BlockRows(rows: rows, outputs: outputs), rank: rank, columns: block.attention.columns,
        inner: block.mlp.input.outputWidth)
      // Of one token after the other, as in decoding, nothing changes.
      if size == sized, input.capacity >= rows * block.width { return }
      for need in Self.needs(size.n, block, rank: rank) { need.allocate(self) }
      sized = size
    }

    private struct Size: Equatable {
      var n: BlockRows
      var rank: Int
      var columns: Int
      var inner: Int
    }
    private var sized: Size?

    func bottleneck(_ linear: Linear, rows: Int, rank: Int) -> MutableFloats {
      bottlenecks.pointer + linear.slot * rows * rank
    }
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
    /// [N, 2 F] of a gated MLP.
    let gatedGradient = FloatBuffer()
    /// [N, C]: what is added to the stream on its way there, or its gradient.
    let dropped = FloatBuffer()
    /// [N, C]: the gradient of what a norm after a branch gets.
    let branchGradient = FloatBuffer()

    /// Buffers of several numbers a row that each batch fills: the ones worth large pages.
    var large: [FloatBuffer] {
      [normed, attended, activated, attendedGradient, queriesKeysValuesGradient, gatedGradient]
    }
  }

  /// output[S, C] from `activations.input` [N, C]. The S `selected` rows, in order, are all whose output is wanted: the
  /// others give keys and values only; nil for all. `runs` is asked for after queries, keys and values are computed: it may
  /// move them into a cache first. Without `output` only what the backward pass needs is computed.
  func forward(
    _ activations: Activations, _ output: MutableFloats?, rows: Int, selected: [Int]?, scratch: Scratch,
    _ context: PassContext, runs: () -> [AttentionRun]
  ) {
    let outputs = selected?.count ?? rows
    let rank = context.rank
    func bottleneck(_ linear: Linear) -> MutableFloats { activations.bottleneck(linear, rows: rows, rank: rank) }

    let entering = attentionBranch.enter(
      activations.input, activations.attentionBranch, rows: rows, width: width, scratch, context)
    attention.project(entering, activations.attention, bottleneck: bottleneck, rows: rows, selected: selected, context)
    let attended = attention.buffers(activations.attention, rows: outputs, scratch, context)
    attention.attend(runs(), attended, scratch, context)
    // In the place of the norm's output, which is not needed any more.
    let input = selected.map {
      gather($0, of: activations.input.pointer, width: width, into: scratch.normed, context.compute)
    }
    attentionBranch.add(
      attention.output, attended.output, to: input ?? Floats(activations.input.pointer), activations.middle.pointer,
      bottleneck: bottleneck(attention.output), rows: outputs, selected, activations.attentionBranch, scratch, context)

    let between = mlpBranch.enter(
      activations.middle, activations.mlpBranch, rows: outputs, width: width, scratch, context)
    mlp.input.forward(
      between, activations.mlpInner.pointer, bottleneck: bottleneck, rows: outputs, partial: nil, context)
    let activated = mlp.activate(
      activations.mlpInner.pointer, rows: outputs, into: scratch.activated, context.compute)
    mlpBranch.add(
      mlp.output, activated, to: activations.middle.pointer, output, bottleneck: bottleneck(mlp.output), rows: outputs,
      selected, activations.mlpBranch, scratch, context)
  }

  /// `gradient` [S, C] is the loss's gradient with respect to the output, and becomes that with respect to the input,
  /// [N, C]; `selected` is as it was in the forward pass. Where `needsInputGradient` is false nothing below the block's
  /// lowest linear is computed, and `gradient` is spent.
  func backward(
    _ activations: Activations, _ gradient: MutableFloats, rows: Int, selected: [Int]?, scratch: Scratch,
    needsInputGradient: Bool, _ context: PassContext, _ runs: [AttentionRun]
  ) {
    let rank = context.adapter?.configuration.rank ?? 0
    let compute = context.compute
    func bottleneck(_ linear: Linear) -> MutableFloats { activations.bottleneck(linear, rows: rows, rank: rank) }

    let outputs = selected?.count ?? rows
    backwardMLP(activations, gradient, rows: outputs, selected, scratch, bottleneck, context)

    let dqkv = scratch.queriesKeysValuesGradient.ensure(rows * attention.columns)
    Elementwise.clear(dqkv, count: rows * attention.columns, compute)
    let attended = attention.buffers(activations.attention, rows: outputs, scratch, context)
    if activations.attention.attended == nil { attention.attend(runs, attended, scratch, context) }
    let dattended = scratch.attendedGradient.ensure(outputs * attention.output.inputWidth)
    attention.output.backward(
      attended.output, bottleneck: bottleneck(attention.output),
      dy: attentionBranch.upstream(
        of: attention.output, gradient, rows: outputs, selected, activations.attentionBranch, scratch, context),
      dx: dattended, rows: outputs, context)
    attention.kernel.backward(
      runs, attended, upstream: dattended,
      AttentionGradients(
        queries: dqkv, keys: dqkv + attention.keyOffset, values: dqkv + attention.valueOffset,
        stride: attention.columns), rows: rows,
      scratch: scratch.attention.ensure(attention.kernel.backwardScratchCount(rows: rows, compute)), compute)
    let entering = attentionBranch.enter(
      activations.input, activations.attentionBranch, rows: rows, width: width, scratch, context)
    let dentering = scratch.normed.ensure(rows * width)
    attention.projectBack(
      entering, activations.attention, dqkv, bottleneck: bottleneck, dx: needsInputGradient ? dentering : nil,
      rows: rows,
      selected: selected, context)
    if needsInputGradient {
      if let selected { RowMoves.spread(gradient, to: selected, of: rows, width: width, compute) }
      attentionBranch.leave(
        activations.input, activations.attentionBranch, dx: dentering, gradient, rows: rows, width: width, context)
    }
  }

  /// From the gradient of the output to that of the stream between attention and MLP, in place.
  private func backwardMLP(
    _ activations: Activations, _ gradient: MutableFloats, rows: Int, _ selected: [Int]?, _ scratch: Scratch,
    _ bottleneck: (Linear) -> MutableFloats, _ context: PassContext
  ) {
    let compute = context.compute
    // A linear's input is not needed any more once its parameters have their gradients: the input's gradient takes its
    // place.
    let dmlp = mlp.activate(activations.mlpInner.pointer, rows: rows, into: scratch.activated, compute)
    mlp.output.backward(
      dmlp, bottleneck: bottleneck(mlp.output),
      dy: mlpBranch.upstream(
        of: mlp.output, gradient, rows: rows, selected, activations.mlpBranch, scratch, context),
      dx: dmlp, rows: rows, context)
    let dinner = mlp.activateBack(activations.mlpInner.pointer, dmlp, rows: rows, scratch, compute)
    let between = mlpBranch.enter(
      activations.middle, activations.mlpBranch, rows: rows, width: width, scratch, context)
    let dbetween = scratch.normed.ensure(rows * width)
    mlp.input.backward(between, bottleneck: bottleneck, dy: dinner, dx: dbetween, rows: rows, partial: nil, context)
    mlpBranch.leave(
      activations.middle, activations.mlpBranch, dx: dbetween, gradient, rows: rows, width: width, context)
  }
}
