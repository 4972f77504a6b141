import Core
import Kernels

/// Is shown what a linear of the blocks gets: its place among the decoder's linears, and x[rows, in], valid during the call.
public typealias LinearObserver = (_ linear: Int, _ x: Floats, _ rows: Int) -> Void

/// Everything a pass carries along besides activations.
struct PassContext {
  var compute: Compute
  /// nil for the bare base.
  var adapter: Adapter?
  /// The flat gradient of the adapter's parameters; nil where no adapter is trained.
  var gradients: MutableFloats?
  /// nil where the weights are frozen.
  var weightGradients: WeightGradients?
  /// Seed of the adapter's dropout masks; nil where it has none.
  var dropoutSeed: UInt64?
  /// The base's own dropout; nil where it is not active.
  var dropout: BaseDropout?
  /// [N, widest input] for dropped-out inputs, and [N, r] for a gradient; sized by the pass.
  var dropped: FloatBuffer
  var hiddenGradient: FloatBuffer
  /// Panels of weights, for products.
  var panel: FloatBuffer
  /// Sees the input of every linear in a forward pass; nil where nobody looks.
  var observer: LinearObserver?

  /// Each linear has masks of its own.
  func dropoutSeed(_ linear: Linear) -> UInt64? {
    dropoutSeed.map { SeededGenerator.mix($0 &+ UInt64(linear.index &+ 1) &* 0x9e37_79b9_7f4a_7c15) }
  }
}

/// A linear with an adapter beside it, or trained itself. r is the adapter's rank, s its scale.
extension Linear {
  /// y = addend + x · W + b + s · (drop(x) · Aᵀ) · Bᵀ; the inner product drop(x) · Aᵀ [N, r] is kept in `hidden`.
  /// `addend` is [N, out], and may be y.
  func forward(
    _ x: Floats, _ y: MutableFloats, hidden: MutableFloats?, rows: Int, addend: Floats? = nil, _ context: PassContext
  ) {
    context.observer?(index, x, rows)
    var adapted: ProductTerm?
    if let adapter = context.adapter, let pair = adapter.pair(of: self), let hidden {
      forwardHidden(x, hidden: hidden, rows: rows, context)
      let rank = adapter.configuration.rank
      adapted = ProductTerm(
        hidden, rowStride: rank, k: rank, .transposed(adapter.parameters.pointer + pair.bOffset, stride: rank),
        scale: adapter.configuration.scale)
    }
    let sum = ProductSum(
      m: rows, n: outputWidth, forwardTerm(x), adapted, addend: addend, addendStride: outputWidth,
      bias: bias.map { Floats($0.pointer) })
    withExtendedLifetime(weight) {
      sum.profiled(as: .weightsForward).compute(into: y, stride: outputWidth, scratch: context.panel, context.compute)
    }
  }

  /// Only hidden[N, r] = drop(x) · Aᵀ, where there is an adapter.
  func forwardHidden(_ x: Floats, hidden: MutableFloats, rows: Int, _ context: PassContext) {
    guard let adapter = context.adapter, let pair = adapter.pair(of: self) else { return }
    let rank = adapter.configuration.rank
    let input = adapterInput(x, rows: rows, adapter, context)
    let sum = ProductSum(
      m: rows, n: rank,
      ProductTerm(
        input, rowStride: inputWidth, k: inputWidth,
        .transposed(adapter.parameters.pointer + pair.aOffset, stride: inputWidth)))
    sum.profiled(as: .adapterForward).compute(into: hidden, stride: rank, scratch: context.panel, context.compute)
  }

  /// Accumulates the gradients of A and B, or those of the weights, and sets dx = dy · Wᵀ + drop(s · dy · B · A) where `dx`
  /// is given; it may be x.
  func backward(_ x: Floats, hidden: Floats, dy: Floats, dx: MutableFloats?, rows: Int, _ context: PassContext) {
    backwardWeights(x, dy: dy, rows: rows, context)
    var through: ProductTerm?
    if let adapter = context.adapter, let pair = adapter.pair(of: self), let gradients = context.gradients {
      let dhidden = adapterGradients(x, hidden: hidden, dy: dy, rows: rows, adapter, pair, gradients, context)
      let rank = adapter.configuration.rank
      through = ProductTerm(
        dhidden, rowStride: rank, k: rank,
        .stored(adapter.parameters.pointer + pair.aOffset, stride: inputWidth))
    }
    guard let dx else { return }
    // A dropped-out term has to be made by itself, so that the mask can be laid over it.
    let masked = context.dropoutSeed(self)
    let sum = ProductSum(m: rows, n: inputWidth, backwardTerm(dy), masked == nil ? through : nil)
    withExtendedLifetime(weight) {
      sum.profiled(as: .weightsBackward).compute(into: dx, stride: inputWidth, scratch: context.panel, context.compute)
    }
    guard let masked, let through, let dropout = context.adapter?.configuration.dropout else { return }
    let unmasked = context.dropped.ensure(rows * inputWidth)
    ProductSum(m: rows, n: inputWidth, through).profiled(as: .adapterBackward)
      .compute(into: unmasked, stride: inputWidth, scratch: context.panel, context.compute)
    Elementwise.dropout(
      unmasked, dx, count: rows * inputWidth, p: Float(dropout), seed: masked, accumulate: true, context.compute)
  }

  /// Accumulates the gradients of A and B, and returns dhidden[N, r] = s · dy · B.
  private func adapterGradients(
    _ x: Floats, hidden: Floats, dy: Floats, rows: Int, _ adapter: Adapter, _ pair: Adapter.Pair,
    _ gradients: MutableFloats, _ context: PassContext
  ) -> Floats {
    let (rank, scale) = (adapter.configuration.rank, adapter.configuration.scale)
    func compute(_ sum: ProductSum, into c: MutableFloats, stride: Int) {
      sum.profiled(as: .adapterBackward).compute(into: c, stride: stride, scratch: context.panel, context.compute)
    }
    // dB[out, r] += s · dyᵀ · hidden
    let db = gradients + pair.bOffset
    compute(
      ProductSum(
        m: outputWidth, n: rank,
        ProductTerm(dy, rowStride: 1, step: outputWidth, k: rows, .stored(hidden, stride: rank), scale: scale),
        addend: db, addendStride: rank), into: db, stride: rank)
    let dhidden = context.hiddenGradient.ensure(rows * rank)
    compute(
      ProductSum(
        m: rows, n: rank,
        ProductTerm(
          dy, rowStride: outputWidth, k: outputWidth,
          .stored(adapter.parameters.pointer + pair.bOffset, stride: rank), scale: scale)),
      into: dhidden, stride: rank)
    // dA[r, in] += dhiddenᵀ · drop(x)
    let da = gradients + pair.aOffset
    let input = adapterInput(x, rows: rows, adapter, context)
    compute(
      ProductSum(
        m: rank, n: inputWidth,
        ProductTerm(dhidden, rowStride: 1, step: rank, k: rows, .stored(input, stride: inputWidth)),
        addend: da, addendStride: inputWidth), into: da, stride: inputWidth)
    return Floats(dhidden)
  }

  /// x, or x with dropout where it is active; the backward pass gets the same mask again.
  private func adapterInput(_ x: Floats, rows: Int, _ adapter: Adapter, _ context: PassContext) -> Floats {
    guard let seed = context.dropoutSeed(self) else { return x }
    let dropped = context.dropped.ensure(rows * inputWidth)
    Elementwise.dropout(
      x, dropped, count: rows * inputWidth, p: Float(adapter.configuration.dropout), seed: seed, context.compute)
    return Floats(dropped)
  }
}
