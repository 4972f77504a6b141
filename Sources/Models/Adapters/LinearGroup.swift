import Core
import Kernels

/// Linears over one input, whose outputs lie side by side in the rows of one buffer: queries, keys and values, or gate and up,
/// whether they are one matrix or several.
struct LinearGroup: Sendable {
  var linears: [Linear]

  init(_ linears: [Linear]) { self.linears = linears }

  var outputWidth: Int { linears.reduce(0) { $0 + $1.outputWidth } }

  /// Each linear with the column that its outputs begin at.
  private var placed: [(linear: Linear, offset: Int)] {
    var offset = 0
    return linears.map { linear in
      defer { offset += linear.outputWidth }
      return (linear, offset)
    }
  }

  /// How much of a linear's outputs is partial.
  private enum Share {
    case none, some(PartialOutputs)
    case all([Int])
  }

  private func share(_ partial: PartialOutputs?, _ linear: Linear, _ offset: Int) -> Share {
    guard let partial, partial.columns > offset else { return .none }
    let columns = partial.columns - offset
    return columns < linear.outputWidth
      ? .some(PartialOutputs(columns: columns, rows: partial.rows)) : .all(partial.rows)
  }

  /// y[N, outputWidth] from x[N, in]; the first outputs may be `partial`. A linear that is partial as a whole keeps x · Aᵀ of
  /// its rows alone.
  func forward(
    _ x: Floats, _ y: MutableFloats, bottleneck: (Linear) -> MutableFloats, rows: Int, partial: PartialOutputs?,
    _ context: PassContext
  ) {
    if rows == 1, partial == nil { return Linear.forwardRow(placed, x, y, bottleneck: bottleneck, context) }
    let stride = outputWidth
    for (linear, offset) in placed {
      switch share(partial, linear, offset) {
      case .none:
        linear.forward(x, y + offset, stride: stride, bottleneck: bottleneck(linear), rows: rows, context)
      case .some(let partial):
        linear.forward(
          x, y + offset, stride: stride, bottleneck: bottleneck(linear), rows: rows, partial: partial, context)
      case .all(let selected):
        let input = gather(selected, of: x, width: linear.inputWidth, into: context.gathered.input, context.compute)
        let output = context.gathered.output.ensure(selected.count * linear.outputWidth)
        linear.forward(input, output, bottleneck: bottleneck(linear), rows: selected.count, context)
        RowMoves.scatter(
          output, to: selected, of: y + offset, stride: stride, width: linear.outputWidth, context.compute)
      }
    }
  }

  /// Accumulates all parameters' gradients from dy[N, outputWidth], and then sets dx, where it is given, as one running sum; it
  /// may be x.
  func backward(
    _ x: Floats, bottleneck: (Linear) -> MutableFloats, dy: Floats, dx: MutableFloats?, rows: Int,
    partial: PartialOutputs?, _ context: PassContext
  ) {
    let stride = outputWidth
    var pending: [PendingInputGradient] = []
    var gathered: (PendingInputGradient, rows: [Int])?
    for (number, (linear, offset)) in placed.enumerated() {
      func gradients(_ x: Floats, _ dy: Floats, stride: Int, rows: Int, _ partial: PartialOutputs?)
        -> PendingInputGradient?
      {
        linear.parameterGradients(
          x, bottleneck: bottleneck(linear), dy: dy, stride: stride, rows: rows, partial: partial, isNeeded: dx != nil,
          context.bottleneckGradients[number], context)
      }
      switch share(partial, linear, offset) {
      case .none: gradients(x, dy + offset, stride: stride, rows: rows, nil).map { pending.append($0) }
      case .some(let partial):
        gradients(x, dy + offset, stride: stride, rows: rows, partial).map { pending.append($0) }
      case .all(let selected):
        precondition(gathered == nil, "two linears are partial as a whole")
        let input = gather(selected, of: x, width: linear.inputWidth, into: context.gathered.input, context.compute)
        let upstream = gather(
          selected, of: dy + offset, width: linear.outputWidth, stride: stride, into: context.gathered.output,
          context.compute)
        gathered = gradients(input, upstream, stride: linear.outputWidth, rows: selected.count, nil).map {
          ($0, selected)
        }
      }
    }
    guard let dx else { return }
    for (number, gradient) in pending.enumerated() { gradient.add(to: dx, accumulate: number > 0, context) }
    if let (gradient, selected) = gathered {
      // In the place of what those rows put in.
      let dinput = context.gathered.input.pointer
      gradient.add(to: dinput, accumulate: false, context)
      RowMoves.scatterAdd(dinput, to: selected, of: dx, width: gradient.linear.inputWidth, context.compute)
    }
  }
}
