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
  public init(_ weight: Floats, stride: Int, rows: Int, columns: Int, _ compute: Compute) {
    (self.rows, self.columns) = (rows, columns)
    let width = ProductSum.panelColumns
    let panels = (columns + width - 1) / width
    let values = FloatBuffer(panels * rows * width)
    values.useLargePages()
    nonisolated(unsafe) let (source, target) = (weight, values.pointer)
    parallelFor(panels, threads: compute.threads) { panel in
      sft_panel_pack(
        source + panel * width, stride, min(width, columns - panel * width), rows, 1, target + panel * rows * width)
    }
    self.values = values
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
