import Core
import Kernels

/// The gradient of some of a linear's outputs at some rows, with what those rows put in. r is the adapter's rank.
struct OutputGradient {
  var columns: Range<Int>
  var rows: Int
  /// [rows, in].
  var x: Floats
  /// [rows, r].
  var bottleneck: Floats
  /// [rows, columns], with rows of `stride`.
  var dy: Floats
  var stride: Int
}

/// A linear with an adapter beside it, or trained itself. r is the adapter's rank, s its scale.
///
/// Where its outputs are `partial`, some columns are computed for some rows only, and in the backward pass their gradient is
/// zero at the others.
extension Linear {
  /// y = addend + x · W + b + s · (drop(x) · Aᵀ) · Bᵀ, with rows of `stride`, [N, out] unless given; the inner product
  /// drop(x) · Aᵀ [N, r] is kept in `bottleneck`. `addend` is laid out as y, and may be y.
  func forward(
    _ x: Floats, _ y: MutableFloats, stride: Int? = nil, bottleneck: MutableFloats?, rows: Int, addend: Floats? = nil,
    _ context: PassContext
  ) {
    context.observer?(index, x, rows)
    if let bottleneck { forwardBottleneck(x, bottleneck: bottleneck, rows: rows, context) }
    project(
      x, bottleneck: bottleneck.map { Floats($0) }, 0..<outputWidth, y, stride: stride ?? outputWidth, rows: rows,
      addend: addend, context)
  }

  /// As `forward` of each linear on a single row, its outputs from its offset on: their weights are read in one loop.
  static func forwardRow(
    _ linears: [(linear: Linear, offset: Int)], _ x: Floats, _ y: MutableFloats, bottleneck: (Linear) -> MutableFloats,
    _ context: PassContext
  ) {
    let sums = linears.map { linear, offset in
      let bottleneck = bottleneck(linear)
      context.observer?(linear.index, x, 1)
      linear.forwardBottleneck(x, bottleneck: bottleneck, rows: 1, context)
      let sum = linear.sum(
        x, adapted: linear.adapterTerms(bottleneck, 0..<linear.outputWidth, rows: 1, context).first?.term,
        0..<linear.outputWidth, stride: linear.outputWidth, rows: 1, addend: nil)
      return (sum.profiled(as: .weightsForward), y + offset)
    }
    withExtendedLifetime(linears) { ProductSum.computeRows(sums, scratch: context.panel, context.compute) }
  }

  /// y = x · W + b + s · (drop(x) · Aᵀ) · Bᵀ with rows of `stride`; the first `partial.columns` columns are computed for the
  /// rows `partial.rows` only, and left as they are in y elsewhere. drop(x) · Aᵀ [N, r] is kept in `bottleneck`.
  func forward(
    _ x: Floats, _ y: MutableFloats, stride: Int, bottleneck: MutableFloats, rows: Int, partial: PartialOutputs,
    _ context: PassContext
  ) {
    context.observer?(index, x, rows)
    forwardBottleneck(x, bottleneck: bottleneck, rows: rows, context)
    let columns = partial.columns
    project(x, bottleneck: bottleneck, columns..<outputWidth, y + columns, stride: stride, rows: rows, context)
    let gathered = gather(partial.rows, of: x, bottleneck: bottleneck, context)
    let output = context.gathered.output.ensure(partial.rows.count * columns)
    project(
      gathered.x, bottleneck: gathered.bottleneck, 0..<columns, output, stride: columns, rows: partial.rows.count,
      context)
    RowMoves.scatter(output, to: partial.rows, of: y, stride: stride, width: columns, context.compute)
  }

  /// Some `columns` of the linear's outputs from x and drop(x) · Aᵀ: y[rows, columns], with rows of `stride`. `addend` is laid
  /// out as y.
  private func project(
    _ x: Floats, bottleneck: Floats?, _ columns: Range<Int>, _ y: MutableFloats, stride: Int, rows: Int,
    addend: Floats? = nil, _ context: PassContext
  ) {
    let terms = bottleneck.map { adapterTerms($0, columns, rows: rows, context) } ?? []
    // In one pass over y where one adapter is all rows'.
    let isOne = terms.count == 1 && terms[0].rows == 0..<rows
    let sum = sum(
      x, adapted: isOne ? terms[0].term : nil, columns, stride: stride, rows: rows, addend: addend)
    withExtendedLifetime(weight) {
      sum.profiled(as: .weightsForward).compute(into: y, stride: stride, scratch: context.panel, context.compute)
    }
    for (term, rows) in isOne ? [] : terms {
      let some = y + rows.lowerBound * stride
      ProductSum(m: rows.count, n: columns.count, term, addend: Floats(some), addendStride: stride)
        .profiled(as: .adapterForward)
        .compute(into: some, stride: stride, scratch: context.panel, context.compute)
    }
  }

  /// s · (drop(x) · Aᵀ) · Bᵀ of some columns, for the rows of each adapter that has a part in this linear.
  private func adapterTerms(
    _ bottleneck: Floats, _ columns: Range<Int>, rows: Int, _ context: PassContext
  ) -> [(term: ProductTerm, rows: Range<Int>)] {
    let stride = context.rank
    return context.adapters(of: rows).compactMap { adapter, rows in
      guard let pair = adapter.pair(of: self) else { return nil }
      let rank = adapter.configuration.rank
      let term = ProductTerm(
        bottleneck + rows.lowerBound * stride, rowStride: stride, k: rank,
        .transposed(adapter.parameters.pointer + pair.bOffset, stride: rank), firstColumn: columns.lowerBound,
        scale: adapter.configuration.scale)
      return (term, rows)
    }
  }

  private func sum(
    _ x: Floats, adapted: ProductTerm?, _ columns: Range<Int>, stride: Int, rows: Int, addend: Floats?
  ) -> ProductSum {
    ProductSum(
      m: rows, n: columns.count, forwardTerm(x, firstColumn: columns.lowerBound), adapted, addend: addend,
      addendStride: stride, bias: bias.map { Floats($0.pointer) + columns.lowerBound })
  }

  /// x and `bottleneck` at the selected rows.
  private func gather(
    _ selected: [Int], of x: Floats, bottleneck: Floats, _ context: PassContext
  ) -> (x: Floats, bottleneck: Floats) {
    let rank = context.rank
    return (
      Models.gather(selected, of: x, width: inputWidth, into: context.gathered.input, context.compute),
      Models.gather(selected, of: bottleneck, width: rank, into: context.gathered.bottleneck, context.compute)
    )
  }

  /// Only bottleneck[N, r] = drop(x) · Aᵀ, where there is an adapter.
  func forwardBottleneck(_ x: Floats, bottleneck: MutableFloats, rows: Int, _ context: PassContext) {
    let stride = context.rank
    for (adapter, rows) in context.adapters(of: rows) {
      guard let pair = adapter.pair(of: self) else { continue }
      let input = adapterInput(x + rows.lowerBound * inputWidth, rows: rows.count, adapter, context)
      let sum = ProductSum(
        m: rows.count, n: adapter.configuration.rank,
        ProductTerm(
          input, rowStride: inputWidth, k: inputWidth,
          .transposed(adapter.parameters.pointer + pair.aOffset, stride: inputWidth)))
      sum.profiled(as: .adapterForward).compute(
        into: bottleneck + rows.lowerBound * stride, stride: stride, scratch: context.panel, context.compute)
    }
  }

  /// Accumulates the gradients of A and B, or those of the weights, and sets dx = dy · Wᵀ + drop(s · dy · B · A) where `dx`
  /// is given; it may be x.
  func backward(
    _ x: Floats, bottleneck: Floats, dy: Floats, dx: MutableFloats?, rows: Int, _ context: PassContext
  ) {
    guard
      let pending = parameterGradients(
        x, bottleneck: bottleneck, dy: dy, stride: outputWidth, rows: rows, partial: nil, isNeeded: dx != nil,
        context.bottleneckGradients[0], context)
    else { return }
    if let dx { pending.add(to: dx, accumulate: false, context) }
  }

  /// Accumulates the gradients of A and B, or those of the weights, from dy[N, out] with rows of `stride`, and returns what
  /// is still to be done for the input's; nil where nothing is trained here and that is not needed either.
  func parameterGradients(
    _ x: Floats, bottleneck: Floats, dy: Floats, stride: Int, rows: Int, partial: PartialOutputs?, isNeeded: Bool,
    _ hiddenGradient: FloatBuffer, _ context: PassContext
  ) -> PendingInputGradient? {
    let pair = context.gradients == nil ? nil : context.adapter?.pair(of: self)
    if !isNeeded, pair == nil, context.weightGradients == nil { return nil }
    var whole = OutputGradient(
      columns: 0..<outputWidth, rows: rows, x: x, bottleneck: bottleneck, dy: dy, stride: stride)
    let some = partial.map { separate($0, from: &whole, context) }
    if let gradients = context.weightGradients {
      for part in [whole, some?.part].compactMap(\.self) { backwardWeight(part, gradients, context) }
      if let bias {
        Elementwise.sumRows(
          dy, stride: stride, into: gradients.of(bias), rows: rows, width: outputWidth, context.compute)
      }
    }
    var through: ProductTerm?
    if let adapter = context.adapter, let pair, let gradients = context.gradients {
      let dbottleneck = adapterGradients(whole, some, adapter, pair, gradients, hiddenGradient, context)
      let rank = adapter.configuration.rank
      through = ProductTerm(
        dbottleneck, rowStride: rank, k: rank,
        .stored(adapter.parameters.pointer + pair.aOffset, stride: inputWidth))
    }
    return PendingInputGradient(linear: self, whole: whole, some: some, through: through)
  }

  /// Takes the partial outputs' columns out of the gradient, and returns what they have at their rows.
  private func separate(
    _ partial: PartialOutputs, from whole: inout OutputGradient, _ context: PassContext
  ) -> (part: OutputGradient, rows: [Int]) {
    let columns = partial.columns
    let gathered = gather(partial.rows, of: whole.x, bottleneck: whole.bottleneck, context)
    let part = OutputGradient(
      columns: 0..<columns, rows: partial.rows.count, x: gathered.x, bottleneck: gathered.bottleneck,
      dy: Models.gather(
        partial.rows, of: whole.dy, width: columns, stride: whole.stride, into: context.gathered.output,
        context.compute),
      stride: columns)
    whole.columns = columns..<outputWidth
    whole.dy += columns
    return (part, partial.rows)
  }

  /// dx[rows, in] = addend + dy · Wᵀ + `added`, of some outputs; `addend` is dx or nothing.
  fileprivate func inputGradient(
    of part: OutputGradient, _ added: ProductTerm?, _ dx: MutableFloats, accumulate: Bool, _ context: PassContext
  ) {
    let sum = ProductSum(
      m: part.rows, n: inputWidth, backwardTerm(part.dy, columns: part.columns, stride: part.stride), added,
      addend: accumulate ? Floats(dx) : nil, addendStride: inputWidth)
    withExtendedLifetime(weight) {
      sum.profiled(as: .weightsBackward).compute(into: dx, stride: inputWidth, scratch: context.panel, context.compute)
    }
  }

  /// Accumulates the gradients of A and B, and returns dbottleneck[N, r] = s · dy · B, at all rows.
  private func adapterGradients(
    _ whole: OutputGradient, _ some: (part: OutputGradient, rows: [Int])?, _ adapter: Adapter, _ pair: Adapter.Pair,
    _ gradients: MutableFloats, _ hiddenGradient: FloatBuffer, _ context: PassContext
  ) -> Floats {
    let rank = adapter.configuration.rank
    let dbottleneck = hiddenGradient.ensure(whole.rows * rank)
    backwardThroughB(whole, into: dbottleneck, adapter, pair, gradients, context)
    if let (part, selected) = some {
      // In the place of what it is the gradient of.
      let gathered = context.gathered.bottleneck.pointer
      backwardThroughB(part, into: gathered, adapter, pair, gradients, context)
      RowMoves.scatterAdd(gathered, to: selected, of: dbottleneck, width: rank, context.compute)
    }
    // dA[r, in] += dhiddenᵀ · drop(x)
    let da = gradients + pair.aOffset
    let input = adapterInput(whole.x, rows: whole.rows, adapter, context)
    let sum = ProductSum(
      m: rank, n: inputWidth,
      ProductTerm(dbottleneck, rowStride: 1, step: rank, k: whole.rows, .stored(input, stride: inputWidth)),
      addend: da, addendStride: inputWidth)
    sum.profiled(as: .adapterBackward)
      .compute(into: da, stride: inputWidth, scratch: context.panel, context.compute)
    return Floats(dbottleneck)
  }

  /// Accumulates the gradient of B, and sets dbottleneck[rows, r] = s · dy · B, of some outputs; it may be in
  /// `bottleneck`'s place.
  private func backwardThroughB(
    _ part: OutputGradient, into dbottleneck: MutableFloats, _ adapter: Adapter, _ pair: Adapter.Pair,
    _ gradients: MutableFloats, _ context: PassContext
  ) {
    let (rank, scale) = (adapter.configuration.rank, adapter.configuration.scale)
    func compute(_ sum: ProductSum, into c: MutableFloats) {
      sum.profiled(as: .adapterBackward).compute(into: c, stride: rank, scratch: context.panel, context.compute)
    }
    // dB[out, r] += s · dyᵀ · bottleneck
    let first = part.columns.lowerBound * rank
    let db = gradients + pair.bOffset + first
    compute(
      ProductSum(
        m: part.columns.count, n: rank,
        ProductTerm(
          part.dy, rowStride: 1, step: part.stride, k: part.rows, .stored(part.bottleneck, stride: rank), scale: scale),
        addend: db, addendStride: rank), into: db)
    compute(
      ProductSum(
        m: part.rows, n: rank,
        ProductTerm(
          part.dy, rowStride: part.stride, k: part.columns.count,
          .stored(adapter.parameters.pointer + pair.bOffset + first, stride: rank), scale: scale)),
      into: dbottleneck)
  }

  /// x, or x with dropout where it is active; the backward pass gets the same mask again.
  fileprivate func adapterInput(_ x: Floats, rows: Int, _ adapter: Adapter, _ context: PassContext) -> Floats {
    guard let seed = context.dropoutSeed(self) else { return x }
    let dropped = context.dropped.ensure(rows * inputWidth)
    Elementwise.dropout(
      x, dropped, count: rows * inputWidth, p: Float(adapter.configuration.dropout), seed: seed, context.compute)
    return Floats(dropped)
  }
}

/// The input's gradient of a linear whose parameters have theirs: what it reads may lie in the input's place.
struct PendingInputGradient {
  var linear: Linear
  var whole: OutputGradient
  /// Outputs of some rows only, gathered.
  var some: (part: OutputGradient, rows: [Int])?
  /// The adapter's part, s · dy · B · A.
  var through: ProductTerm?

  /// dx[N, in] = or += dy · Wᵀ + drop(s · dy · B · A).
  func add(to dx: MutableFloats, accumulate: Bool, _ context: PassContext) {
    // A dropped-out term has to be made by itself, so that the mask can be laid over it.
    let masked = context.dropoutSeed(linear)
    let (rows, width) = (whole.rows, linear.inputWidth)
    linear.inputGradient(of: whole, masked == nil ? through : nil, dx, accumulate: accumulate, context)
    if let (part, selected) = some {
      // In the place of what those rows put in.
      let dinput = context.gathered.input.pointer
      linear.inputGradient(of: part, nil, dinput, accumulate: false, context)
      RowMoves.scatterAdd(dinput, to: selected, of: dx, width: width, context.compute)
    }
    guard let masked, let through, let dropout = context.adapter?.configuration.dropout else { return }
    let unmasked = context.dropped.ensure(rows * width)
    ProductSum(m: rows, n: width, through).profiled(as: .adapterBackward)
      .compute(into: unmasked, stride: width, scratch: context.panel, context.compute)
    Elementwise.dropout(
      unmasked, dx, count: rows * width, p: Float(dropout), seed: masked, accumulate: true, context.compute)
  }
}
