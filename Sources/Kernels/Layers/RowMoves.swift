/// Rows of a matrix that are picked out of it, and put back. N rows, S selected ones, which are in order.
public enum RowMoves {
  /// Floats that a thread moves at least.
  private static let grain = 1 << 13

  /// y[S, `width`] = the selected rows of x, whose rows are `stride` apart.
  public static func gather(
    _ selected: [Int], of x: Floats, stride: Int, width: Int, into y: MutableFloats, _ compute: Compute
  ) {
    nonisolated(unsafe) let (x, y) = (x, y)
    compute.overRanges(selected.count, grain: max(1, grain / max(1, width))) { range in
      for index in range { (y + index * width).update(from: x + selected[index] * stride, count: width) }
    }
  }

  /// The selected rows of y, whose rows are `stride` apart, = x[S, `width`].
  public static func scatter(
    _ x: Floats, to selected: [Int], of y: MutableFloats, stride: Int, width: Int, _ compute: Compute
  ) {
    nonisolated(unsafe) let (x, y) = (x, y)
    compute.overRanges(selected.count, grain: max(1, grain / max(1, width))) { range in
      for index in range { (y + selected[index] * stride).update(from: x + index * width, count: width) }
    }
  }

  /// The selected rows of y[N, `width`] += x[S, `width`].
  public static func scatterAdd(
    _ x: Floats, to selected: [Int], of y: MutableFloats, width: Int, _ compute: Compute
  ) {
    nonisolated(unsafe) let (x, y) = (x, y)
    compute.overRanges(selected.count, grain: max(1, grain / max(1, width))) { range in
      for index in range {
        let row = selected[index]
        for column in 0..<width { y[row * width + column] += x[index * width + column] }
      }
    }
  }

  /// Moves the first rows of x[N, `width`] to the selected rows, and clears the others. The threads share out the columns.
  public static func spread(
    _ x: MutableFloats, to selected: [Int], of rows: Int, width: Int, _ compute: Compute
  ) {
    nonisolated(unsafe) let x = x
    compute.overRanges(width, grain: max(16, grain / max(1, rows) / 16 * 16)) { columns in
      let place = x + columns.lowerBound
      var index = selected.count - 1
      // From the end: a row never moves to a place that another one still has to leave.
      for row in stride(from: rows - 1, through: 0, by: -1) {
        if index >= 0, selected[index] == row {
          if index != row { (place + row * width).update(from: place + index * width, count: columns.count) }
          index -= 1
        } else {
          (place + row * width).update(repeating: 0, count: columns.count)
        }
      }
    }
  }
}
