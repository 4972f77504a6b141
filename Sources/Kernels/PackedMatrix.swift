import CKernels
import Core

/// A frozen weight W[k, n] laid out once for the panel products: panels of 64 columns one after the other, each [k, 64] and
/// read from start to end; columns beyond n are zero.
///
/// Products x · W read a panel as it lies. Those by Wᵀ transpose it again in blocks of 64 × 64, of which each is one run of
/// memory, so that one copy serves both directions.
public final class PackedMatrix: Sendable {
  /// k and n.
  public let rows: Int
  public let columns: Int
  private nonisolated(unsafe) let values: FloatBuffer

  /// From W stored row-major with rows of `stride`.
  public convenience init(_ weight: Floats, stride: Int, rows: Int, columns: Int, _ compute: Compute) {
    nonisolated(unsafe) let weight = weight
    self.init(rows: rows, columns: columns, compute) { first, count, panel in
      sft_panel_pack(weight + first, stride, count, rows, 1, panel)
    }
  }

  /// From Wᵀ stored row-major with rows of `stride`. `consumed` is told which of its rows are done with, as it goes on.
  public convenience init(
    transposed weight: Floats, stride: Int, rows: Int, columns: Int, _ compute: Compute,
    consumed: (Range<Int>) -> Void = { _ in }
  ) {
    nonisolated(unsafe) let weight = weight
    self.init(rows: rows, columns: columns, compute, consumed: consumed) { first, count, panel in
      sft_panel_pack_transposed(weight + first * stride, stride, count, rows, 1, panel)
    }
  }

  /// `pack` lays out some columns from `first` on.
  private init(
    rows: Int, columns: Int, _ compute: Compute, consumed: (Range<Int>) -> Void = { _ in },
    pack: @Sendable (_ first: Int, _ count: Int, _ panel: MutableFloats) -> Void
  ) {
    (self.rows, self.columns) = (rows, columns)
    let width = ProductSum.panelColumns
    let panels = (columns + width - 1) / width
    let values = FloatBuffer(panels * rows * width)
    values.useLargePages()
    nonisolated(unsafe) let target = values.pointer
    for start in stride(from: 0, to: panels, by: Self.panelsAtOnce) {
      let end = min(start + Self.panelsAtOnce, panels)
      parallelFor(end - start, threads: compute.threads) { index in
        let first = (start + index) * width
        pack(first, min(width, columns - first), target + first * rows)
      }
      consumed(start * width..<min(end * width, columns))
    }
    self.values = values
  }

  private static let panelsAtOnce = 64

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
}
