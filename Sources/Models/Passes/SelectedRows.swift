import Kernels

/// Outputs of a linear that only some rows need: its first `columns`, whole panels, for `rows`, which are in order. In the
/// last block those are queries: rows whose output nobody wants give keys and values only.
struct PartialOutputs {
  var columns: Int
  var rows: [Int]
}

/// Some rows of what a linear gets and gives, one after the other.
struct GatheredRows {
  /// [S, in]: x, and later its gradient.
  let input = FloatBuffer()
  /// [S, r]: x · Aᵀ, and later its gradient.
  let bottleneck = FloatBuffer()
  /// [S, columns]: y or its gradient.
  let output = FloatBuffer()
}

/// The selected rows of x[N, `width`], whose rows are `stride` apart, in `buffer`.
func gather(
  _ selected: [Int], of x: Floats, width: Int, stride: Int? = nil, into buffer: FloatBuffer, _ compute: Compute
) -> Floats {
  let gathered = buffer.ensure(selected.count * width)
  RowMoves.gather(selected, of: x, stride: stride ?? width, width: width, into: gathered, compute)
  return Floats(gathered)
}
