import CKernels
import Core

/// A frozen matrix of 16-bit floats, row-major, where it is stored: decoded a panel at a time in products and a row at a time
/// elsewhere, so that it never exists as a whole in float32.
public struct HalfMatrix: Sendable {
  public enum Format: Sendable { case bfloat16, float16 }

  public let format: Format
  public let rows: Int
  public let columns: Int
  private nonisolated(unsafe) let values: UnsafePointer<UInt16>
  /// Whoever keeps the memory.
  private nonisolated(unsafe) let owner: AnyObject

  /// `values` are rows × columns, kept by `owner`.
  public init(_ values: UnsafePointer<UInt16>, _ format: Format, rows: Int, columns: Int, keptBy owner: AnyObject) {
    self.values = values
    self.format = format
    self.rows = rows
    self.columns = columns
    self.owner = owner
  }

  /// y = `count` values from a row and column on.
  public func decode(row: Int, column: Int = 0, count: Int, into y: MutableFloats) {
    let place = values + row * columns + column
    switch format {
    case .bfloat16: sft_bfloat16_decode(place, count, y)
    case .float16: sft_half_decode(place, count, y)
    }
  }

  /// panel[rows, 64] = some rows and at most 64 columns, zeros beyond them.
  func pack(_ rows: Range<Int>, columns: Range<Int>, into panel: MutableFloats) {
    let place = values + rows.lowerBound * self.columns + columns.lowerBound
    switch format {
    case .bfloat16: sft_bfloat16_pack(place, self.columns, rows.count, columns.count, panel)
    case .float16: sft_half_pack(place, self.columns, rows.count, columns.count, panel)
    }
  }

  /// panel[columns, 64] = scale · the transpose of at most 64 rows, zeros beyond them.
  func packTransposed(_ rows: Range<Int>, columns: Range<Int>, scale: Float, into panel: MutableFloats) {
    let place = values + rows.lowerBound * self.columns + columns.lowerBound
    switch format {
    case .bfloat16: sft_bfloat16_pack_transposed(place, self.columns, rows.count, columns.count, scale, panel)
    case .float16: sft_half_pack_transposed(place, self.columns, rows.count, columns.count, scale, panel)
    }
  }

  /// y[outputs] (+)= x[columns] · Wᵀ of some rows, on the caller's thread, with the instructions of an x86-64 level. Each is
  /// computed by itself: its bits do not depend on which others are asked for, nor, from AVX2 on, on how many x there are.
  func multiply(
    _ rows: Range<Int>, _ x: Floats, into y: MutableFloats, accumulate: Bool, level: Int32 = sft_cpu_level()
  ) {
    if sft_half_most_rows(level) > 1 {
      return multiply(rows, x, stride: 0, count: 1, into: y, stride: 0, accumulate: accumulate, level: level)
    }
    let place = values + rows.lowerBound * columns
    switch format {
    case .bfloat16: sft_bfloat16_row_products(place, columns, rows.count, columns, x, y, accumulate ? 1 : 0)
    case .float16: sft_half_row_products(place, columns, rows.count, columns, x, y, accumulate ? 1 : 0)
    }
  }

  /// y[count, outputs] (+)= x · Wᵀ of some rows, for 1 to 8 rows of x, with the instructions of an x86-64 level from 3 on.
  func multiply(
    _ rows: Range<Int>, _ x: Floats, stride: Int, count: Int, into y: MutableFloats, stride yStride: Int,
    accumulate: Bool, level: Int32
  ) {
    sft_half_few_rows(
      level, values + rows.lowerBound * columns, columns, rows.count, columns, format == .bfloat16 ? 1 : 0, x, stride,
      count, y, yStride, accumulate ? 1 : 0)
  }
}
