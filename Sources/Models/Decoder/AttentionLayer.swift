import Core
import Kernels

/// Projections, norms over heads, rotation, and attention. N rows, H query heads of width D; Q columns of queries, keys and
/// values side by side.
struct AttentionLayer: Sendable {
  /// C → Q: one linear, or one each for queries, keys and values.
  var projections: LinearGroup
  /// H·D → C.
  var output: Linear
  var queryNorm: HeadNorm?
  var keyNorm: HeadNorm?
  /// Which of the model's rotations; nil for none.
  var rotary: Int?
  var kernel: Attention

  var linears: [Linear] { projections.linears + [output] }

  /// Q.
  var columns: Int { projections.outputWidth }
  /// Columns of the queries, from which on the keys' and the values' begin.
  var keyOffset: Int { kernel.heads * kernel.headWidth }
  var valueOffset: Int { keyOffset + kernel.keyValueHeads * kernel.headWidth }

  /// Columns of keys and values together.
  var keyValueColumns: Int { 2 * (valueOffset - keyOffset) }

  /// What the backward pass needs, kept from the forward pass.
  final class Activations {
    /// [N, Q], normed and rotated; of rows that are not selected, queries are left as they were.
    let queriesKeysValues = FloatBuffer()
    /// [N, queries | keys] as they were projected, where there are norms over them, and 1 / deviation of each group.
    let projected = FloatBuffer()
    let queryDeviations = FloatBuffer()
    let keyDeviations = FloatBuffer()
    /// [H, S].
    let logSumExp = FloatBuffer()
    /// [S, H·D] after attention; nil to compute it again.
    let attended: FloatBuffer?

    init(keepsAttention: Bool) { attended = keepsAttention ? FloatBuffer() : nil }
  }

  /// Only the selected rows need queries; nil where all rows are selected, or where queries do not fill a panel of the linear
  /// that makes keys too. In whole panels even of a weight that is not laid out in them, so that either gives the same
  /// bits.
  func queries(of selected: [Int]?) -> PartialOutputs? {
    guard let selected else { return nil }
    let isApart = projections.linears.count > 1
    let columns = isApart ? keyOffset : keyOffset / PanelMatrix.panelColumns * PanelMatrix.panelColumns
    return columns > 0 ? PartialOutputs(columns: columns, rows: selected) : nil
  }

  /// Queries, keys and values of x[N, C], ready for attention.
  func project(
    _ x: Floats, _ activations: Activations, bottleneck: (Linear) -> MutableFloats, rows: Int, selected: [Int]?,
    _ context: PassContext
  ) {
    let all = activations.queriesKeysValues.pointer
    projections.forward(x, all, bottleneck: bottleneck, rows: rows, partial: queries(of: selected), context)
    if let queryNorm, let keyNorm {
      if let selected { clearQueries(all, rows: rows, but: selected) }
      let raw = activations.projected.pointer
      RowMoves.gather(
        Array(0..<rows), of: all, stride: columns, width: valueOffset, into: raw, context.compute)
      for (norm, offset, deviations) in norms(queryNorm, keyNorm, activations) {
        norm.norm.forward(
          raw + offset, stride: valueOffset, weight: norm.weight.pointer, all + offset, yStride: columns,
          rstd: deviations.pointer, rows: rows, context.compute)
      }
    }
    rotate(all, rows: rows, selected: selected, back: false, context)
  }

  /// From the gradients of queries, keys and values, [N, Q], which are spent, to those of x, if `dx` is given; it may be x.
  func projectBack(
    _ x: Floats, _ activations: Activations, _ gradients: MutableFloats, bottleneck: (Linear) -> MutableFloats,
    dx: MutableFloats?, rows: Int, selected: [Int]?, _ context: PassContext
  ) {
    rotate(gradients, rows: rows, selected: selected, back: true, context)
    if let queryNorm, let keyNorm {
      for (norm, offset, deviations) in norms(queryNorm, keyNorm, activations) {
        backwardNorm(norm, offset, deviations, activations, gradients, rows: rows, context)
      }
    }
    projections.backward(
      x, bottleneck: bottleneck, dy: gradients, dx: dx, rows: rows, partial: queries(of: selected), context)
  }

  /// Rows that are not selected have no queries; zeros in their place can be normed like the others.
  private func clearQueries(_ all: MutableFloats, rows: Int, but selected: [Int]) {
    var next = 0
    for row in 0..<rows {
      if next < selected.count, selected[next] == row {
        next += 1
      } else {
        (all + row * columns).update(repeating: 0, count: keyOffset)
      }
    }
  }

  private func backwardNorm(
    _ norm: HeadNorm, _ offset: Int, _ deviations: FloatBuffer, _ activations: Activations, _ gradients: MutableFloats,
    rows: Int, _ context: PassContext
  ) {
    let raw = activations.projected.pointer + offset
    if let weights = context.weightGradients {
      norm.norm.backwardWeight(
        raw, stride: valueOffset, rstd: deviations.pointer, dy: gradients + offset, dyStride: columns,
        dweight: weights.of(norm.weight), rows: rows, context.compute)
    }
    norm.norm.backward(
      raw, stride: valueOffset, weight: norm.weight.pointer, rstd: deviations.pointer, dy: gradients + offset,
      dyStride: columns, dx: gradients + offset, dxStride: columns, accumulate: false, rows: rows, context.compute)
  }

  private func norms(
    _ queries: HeadNorm, _ keys: HeadNorm, _ activations: Activations
  ) -> [(HeadNorm, offset: Int, FloatBuffer)] {
    [(queries, 0, activations.queryDeviations), (keys, keyOffset, activations.keyDeviations)]
  }

  private func rotate(
    _ x: MutableFloats, rows: Int, selected: [Int]?, back: Bool, _ context: PassContext
  ) {
    guard let rotary else { return }
    let angles = context.angles[rotary]
    func turn(_ offset: Int, _ heads: Int, _ selected: [Int]?) {
      angles.rotate(
        x + offset, stride: columns, heads: heads, headWidth: kernel.headWidth, count: rows, rows: selected, back: back,
        context.compute)
    }
    turn(0, kernel.heads, selected)
    turn(keyOffset, kernel.keyValueHeads, nil)
  }

  /// Where attention reads, and writes its output: a buffer that the next block takes too, unless it is kept.
  func buffers(
    _ activations: Activations, rows: Int, _ scratch: Block.Scratch, _ context: PassContext
  ) -> AttentionBuffers {
    AttentionBuffers(
      queries: Floats(activations.queriesKeysValues.pointer), queryStride: columns,
      output: (activations.attended ?? scratch.attended).ensure(rows * output.inputWidth),
      logSumExp: activations.logSumExp.pointer, rows: rows,
      dropout: context.dropout.map {
        AttentionDropout(probability: $0.probability, seed: $0.seed(.attention(projections.linears[0])))
      })
  }

  func attend(_ runs: [AttentionRun], _ buffers: AttentionBuffers, _ scratch: Block.Scratch, _ context: PassContext) {
    kernel.forward(
      runs, buffers, scratch: scratch.attention.ensure(kernel.scratchCount(context.compute)), context.compute)
  }
}
