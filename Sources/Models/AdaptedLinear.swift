import Core
import Kernels

/// Everything a pass carries along besides activations.
struct PassContext {
  var compute: Compute
  /// nil for the bare base.
  var adapter: Adapter?
  /// The flat gradient of the adapter's parameters; nil outside training.
  var gradients: MutableFloats?
  /// Seed of this pass's dropout masks; nil where no dropout is active.
  var dropoutSeed: UInt64?
  /// [N, widest input] for dropped-out inputs, and [N, r] for a gradient; sized by the pass.
  var dropped: FloatBuffer
  var hiddenGradient: FloatBuffer
  /// Decoded rows of a quantised weight.
  var panel: FloatBuffer

  /// Each linear has masks of its own.
  func dropoutSeed(_ linear: Linear) -> UInt64? {
    dropoutSeed.map { SeededGenerator.mix($0 &+ UInt64(linear.index &+ 1) &* 0x9e37_79b9_7f4a_7c15) }
  }
}

/// A frozen linear with an adapter beside it. r is the adapter's rank, s its scale.
extension Linear {
  /// y = x · W + b + s · (drop(x) · Aᵀ) · Bᵀ; the inner product drop(x) · Aᵀ [N, r] is kept in `hidden`.
  func forward(
    _ x: Floats, _ y: MutableFloats, hidden: MutableFloats?, rows: Int, accumulate: Bool = false, _ context: PassContext
  ) {
    forward(x, y, rows: rows, accumulate: accumulate, panel: context.panel, context.compute)
    guard let adapter = context.adapter, let pair = adapter.pair(of: self), let hidden else { return }
    let rank = adapter.configuration.rank
    let parameters = adapter.parameters.pointer
    forwardHidden(x, hidden: hidden, rows: rows, context)
    LinearAlgebra.multiply(
      m: rows, n: outputWidth, k: rank, alpha: adapter.configuration.scale, a: hidden, lda: rank,
      b: parameters + pair.bOffset, ldb: rank, transposeB: true, beta: 1, c: y, ldc: outputWidth)
  }

  /// Only hidden[N, r] = drop(x) · Aᵀ, where there is an adapter.
  func forwardHidden(_ x: Floats, hidden: MutableFloats, rows: Int, _ context: PassContext) {
    guard let adapter = context.adapter, let pair = adapter.pair(of: self) else { return }
    let rank = adapter.configuration.rank
    let input = adapterInput(x, rows: rows, adapter, context)
    LinearAlgebra.multiply(
      m: rows, n: rank, k: inputWidth, a: input, lda: inputWidth, b: adapter.parameters.pointer + pair.aOffset,
      ldb: inputWidth, transposeB: true, c: hidden, ldc: rank)
  }

  /// Accumulates the gradients of A and B, and sets dx = dy · Wᵀ + drop(s · dy · B · A) where `dx` is given.
  func backward(_ x: Floats, hidden: Floats, dy: Floats, dx: MutableFloats?, rows: Int, _ context: PassContext) {
    if let dx { backwardInput(dy, dx, rows: rows, panel: context.panel, context.compute) }
    guard let adapter = context.adapter, let pair = adapter.pair(of: self), let gradients = context.gradients else {
      return
    }
    let (rank, scale) = (adapter.configuration.rank, adapter.configuration.scale)
    let parameters = adapter.parameters.pointer
    let dhidden = context.hiddenGradient.ensure(rows * rank)
    // dB[out, r] += s · dyᵀ · hidden
    LinearAlgebra.multiply(
      m: outputWidth, n: rank, k: rows, alpha: scale, a: dy, lda: outputWidth, transposeA: true, b: hidden, ldb: rank,
      beta: 1, c: gradients + pair.bOffset, ldc: rank)
    // dhidden[N, r] = s · dy · B
    LinearAlgebra.multiply(
      m: rows, n: rank, k: outputWidth, alpha: scale, a: dy, lda: outputWidth, b: parameters + pair.bOffset, ldb: rank,
      c: dhidden, ldc: rank)
    // dA[r, in] += dhiddenᵀ · drop(x)
    let input = adapterInput(x, rows: rows, adapter, context)
    LinearAlgebra.multiply(
      m: rank, n: inputWidth, k: rows, a: dhidden, lda: rank, transposeA: true, b: input, ldb: inputWidth, beta: 1,
      c: gradients + pair.aOffset, ldc: inputWidth)
    guard let dx else { return }
    guard let seed = context.dropoutSeed(self) else {
      LinearAlgebra.multiply(
        m: rows, n: inputWidth, k: rank, a: dhidden, lda: rank, b: parameters + pair.aOffset, ldb: inputWidth, beta: 1,
        c: dx, ldc: inputWidth)
      return
    }
    let through = context.dropped.ensure(rows * inputWidth)
    LinearAlgebra.multiply(
      m: rows, n: inputWidth, k: rank, a: dhidden, lda: rank, b: parameters + pair.aOffset, ldb: inputWidth,
      c: through, ldc: inputWidth)
    Elementwise.dropout(
      through, dx, count: rows * inputWidth, p: Float(adapter.configuration.dropout), seed: seed, accumulate: true,
      context.compute)
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
