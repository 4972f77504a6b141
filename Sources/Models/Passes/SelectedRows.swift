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
func gather(_ selected: [Int], of x: Floats, width: Int, stride: Int? = nil, into buffer: FloatBuffer) -> Floats {
  let gathered = buffer.ensure(selected.count * width)
  for (index, row) in selected.enumerated() {
    (gathered + index * width).update(from: x + row * (stride ?? width), count: width)
  }
  return Floats(gathered)
}

/// Moves the first rows of x[N, C] to the `selected` rows, which are in order, and clears the others.
func scatter(_ x: MutableFloats, to selected: [Int], of rows: Int, width: Int) {
  var index = selected.count - 1
  // From the end: a row never moves to a place that another one still has to leave.
  for row in stride(from: rows - 1, through: 0, by: -1) {
    if index >= 0, selected[index] == row {
      if index != row { (x + row * width).update(from: x + index * width, count: width) }
      index -= 1
    } else {
      (x + row * width).update(repeating: 0, count: width)
    }
  }
}

/// Writes x[S, `width`] to the selected rows of y, whose rows are `stride` apart.
func scatter(_ x: Floats, to selected: [Int], of y: MutableFloats, width: Int, stride: Int) {
  for (index, row) in selected.enumerated() { (y + row * stride).update(from: x + index * width, count: width) }
}

/// Adds x[S, `width`] to the selected rows of y[N, `width`].
func scatterAdd(_ x: Floats, to selected: [Int], of y: MutableFloats, width: Int) {
  for (index, row) in selected.enumerated() {
    for column in 0..<width { y[row * width + column] += x[index * width + column] }
  }
}
