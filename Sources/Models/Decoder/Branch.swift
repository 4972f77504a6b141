import Core
import Kernels

/// What stands around attention or MLP on their way off the stream and back: y = x + scale · drop(after(f(before(x)))).
struct Branch: Sendable {
  /// `before`; nil where f takes the stream as it is.
  var inputNorm: Norm?
  /// `after`; nil where f's output is added as it is.
  var outputNorm: Norm?
  var scale: Float

  /// What the backward pass needs.
  final class Activations {
    /// [2, N] of either norm.
    let inputStatistics = FloatBuffer()
    let outputStatistics = FloatBuffer()
    /// [S, C]: f's output, where there is a norm after it.
    let output = FloatBuffer()
  }

  /// What f gets of the stream x[N, C]: in the scratch's `normed`, or x itself.
  func enter(
    _ x: FloatBuffer, _ activations: Activations, rows: Int, width: Int, _ scratch: Block.Scratch,
    _ context: PassContext
  ) -> Floats {
    guard let inputNorm else { return Floats(x.pointer) }
    let output = scratch.normed.ensure(rows * width)
    inputNorm.forward(
      x.pointer, output, statistics: activations.inputStatistics.pointer, rows: rows, context.compute)
    return Floats(output)
  }

  /// Adds to `gradient`, the stream's [N, C], what dx, the gradient of what f got, says of it.
  func leave(
    _ x: FloatBuffer, _ activations: Activations, dx: Floats, _ gradient: MutableFloats, rows: Int, width: Int,
    _ context: PassContext
  ) {
    guard let inputNorm else {
      return Elementwise.add(dx, to: gradient, into: gradient, count: rows * width, context.compute)
    }
    inputNorm.backward(
      x.pointer, statistics: activations.inputStatistics.pointer, dy: dx, dx: gradient, rows: rows,
      gradients: context.weightGradients, context.compute)
  }

  /// Only a product is added, which can be done in the same pass as it is computed.
  private func addsInPlace(_ context: PassContext) -> Bool {
    addsInPlace(dropsStream: context.dropout?.coversStream == true)
  }

  func addsInPlace(dropsStream: Bool) -> Bool { outputNorm == nil && scale == 1 && !dropsStream }

  /// y[S, C] = stream + scale · drop(after(linear(x))), by f's last linear. Without y only what the backward pass needs.
  func add(
    _ linear: Linear, _ x: Floats, to stream: Floats, _ y: MutableFloats?, bottleneck: MutableFloats, rows: Int,
    _ selected: [Int]?, _ activations: Activations, _ scratch: Block.Scratch, _ context: PassContext
  ) {
    if outputNorm == nil, y == nil { return linear.forwardBottleneck(x, bottleneck: bottleneck, rows: rows, context) }
    if addsInPlace(context), let y {
      return linear.forward(x, y, bottleneck: bottleneck, rows: rows, addend: stream, context)
    }
    let count = rows * linear.outputWidth
    let compute = context.compute
    var added = outputNorm == nil ? scratch.dropped.ensure(count) : activations.output.pointer
    linear.forward(x, added, bottleneck: bottleneck, rows: rows, context)
    if let outputNorm {
      let normed = scratch.dropped.ensure(count)
      outputNorm.forward(added, normed, statistics: activations.outputStatistics.pointer, rows: rows, compute)
      added = normed
    }
    guard let y else { return }
    guard let dropout = context.dropout, dropout.coversStream else {
      return Elementwise.add(added, times: scale, to: stream, into: y, count: count, compute)
    }
    if scale != 1 { Elementwise.scale(added, by: scale, into: added, count: count, compute) }
    Elementwise.copy(stream, into: y, count: count, compute)
    dropout.apply(
      .output(linear), added, y, rows: rows, indices: selected, width: linear.outputWidth, accumulate: true, compute)
  }

  /// The gradient of the last linear's output from the stream's, [S, C]: in the scratch's `dropped`, or `gradient` itself.
  func upstream(
    of linear: Linear, _ gradient: Floats, rows: Int, _ selected: [Int]?, _ activations: Activations,
    _ scratch: Block.Scratch, _ context: PassContext
  ) -> Floats {
    if addsInPlace(context) { return gradient }
    let count = rows * linear.outputWidth
    let compute = context.compute
    var upstream = gradient
    if let dropout = context.dropout, dropout.coversStream {
      let masked = scratch.dropped.ensure(count)
      dropout.apply(
        .output(linear), gradient, masked, rows: rows, indices: selected, width: linear.outputWidth, compute)
      upstream = Floats(masked)
    }
    if scale != 1 {
      let scaled = scratch.dropped.ensure(count)
      Elementwise.scale(upstream, by: scale, into: scaled, count: count, compute)
      upstream = Floats(scaled)
    }
    guard let outputNorm else { return upstream }
    let result = scratch.branchGradient.ensure(count)
    outputNorm.backward(
      activations.output.pointer, statistics: activations.outputStatistics.pointer, dy: upstream, dx: result,
      accumulate: false, rows: rows, gradients: context.weightGradients, compute)
    return Floats(result)
  }
}
