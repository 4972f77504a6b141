import CKernels
import Core

/// A frozen weight W[k, n] laid out once for the panel products: panels of 64 columns one after the other, each [k, 64] and
/// read from start to end; columns beyond n are zero.
///
/// Products x · W read a panel as it lies. Those by Wᵀ transpose it again in blocks of 64 × 64, of which each is one run of
/// memory, so that one copy serves both directions.
public final class PanelMatrix: Sendable {
  public static let panelColumns = ProductSum.panelColumns

  /// k and n.
  public let rows: Int
  public let columns: Int
  private nonisolated(unsafe) let values: FloatBuffer

  private init(rows: Int, columns: Int) {
    (self.rows, self.columns) = (rows, columns)
    values = FloatBuffer(Self.floats(rows: rows, columns: columns))
    values.useLargePages()
  }

  /// Floats that a k × n weight takes when it is laid out.
  public static func floats(rows: Int, columns: Int) -> Int {
    (columns + ProductSum.panelColumns - 1) / ProductSum.panelColumns * rows * ProductSum.panelColumns
  }

  /// From W stored row-major with rows of `stride`.
  public convenience init(_ weight: Floats, stride: Int, rows: Int, columns: Int, _ compute: Compute) {
    self.init(rows: rows, columns: columns)
    let width = ProductSum.panelColumns
    nonisolated(unsafe) let (source, target) = (weight, values.pointer)
    // A few whole rows after the others: a panel after the other would go through all of the file for each.
    let (few, some) = (8, 64)
    parallelFor((rows + some - 1) / some, threads: compute.threads) { block in
      for row in Swift.stride(from: block * some, to: min((block + 1) * some, rows), by: few) {
        for column in Swift.stride(from: 0, to: columns, by: width) {
          sft_panel_pack(
            source + row * stride + column, stride, min(width, columns - column), min(few, rows - row), 1,
            target + column * rows + row * width)
        }
      }
    }
  }

  /// From Wᵀ stored row-major with rows of `stride`. `consumed` is told which of its rows are done with, as it goes on.
  public convenience init(
    transposed weight: Floats, stride: Int, rows: Int, columns: Int, _ compute: Compute,
    consumed: (Range<Int>) -> Void = { _ in }
  ) {
    self.init(rows: rows, columns: columns)
    let width = ProductSum.panelColumns
    nonisolated(unsafe) let (source, target) = (weight, values.pointer)
    for start in Swift.stride(from: 0, to: columns, by: Self.columnsAtOnce) {
      let end = min(start + Self.columnsAtOnce, columns)
      parallelFor((end - start + width - 1) / width, threads: compute.threads) { index in
        let column = start + index * width
        sft_panel_pack_transposed(
          source + column * stride, stride, min(width, columns - column), rows, 1, target + column * rows)
      }
      consumed(start..<end)
    }
  }

  /// Of a transposed weight, before its pages are given back.
  private static let columnsAtOnce = 4096

  /// A column: its first element, and the distance from one to the next.
  func column(_ column: Int) -> (first: Floats, step: Int) {
    let width = ProductSum.panelColumns
    return (panel(column / width, row: 0) + column % width, width)
  }

  /// Whether the panel products are used on this machine, so that a weight laid out for them pays.
  public static var pays: Bool { ProductSum.panelsWin(m: 2, level: sft_cpu_level()) }

  /// W(row, 64 · panel), of rows of 64.
  func panel(_ panel: Int, row: Int) -> Floats {
    Floats(values.pointer) + (panel * rows + row) * ProductSum.panelColumns
  }

  /// W as it was, row-major.
  public func unpack(into weight: MutableFloats) {
    let width = ProductSum.panelColumns
    for first in stride(from: 0, to: columns, by: width) {
      for row in 0..<rows {
        (weight + row * columns + first).update(
          from: panel(first / width, row: row), count: min(width, columns - first))
      }
    }
  }

  /// Wᵀ as it was, row-major.
  public func unpackTransposed(into weight: MutableFloats) {
    for output in 0..<columns {
      let (first, step) = column(output)
      for row in 0..<rows { weight[output * rows + row] = first[row * step] }
    }
  }
}
