import CKernels
import Core
import Glibc

/// Finds the largest of W · x without reading all of W, exactly: for greedy decoding, where a head of many tokens is half of
/// what a step reads.
///
/// An 8-bit copy of W, a step for each row, and x in 16 bits give each product up to an error of at most ‖row − copy‖ ·
/// ‖x‖ + ‖copy‖ · ‖x − its copy‖ (Cauchy–Schwarz), to which the rounding of the product is added; theirs is of
/// integers, and exact. Only rows that may be the largest by that are multiplied in full, by the very kernel that
/// multiplies all: the result is the same to the bit, ties included. That is half of what W in 16 bits takes to read;
/// it costs one byte a weight of memory.
public final class HeadShortlist: Sendable {
  /// More candidates than one in so many rows take longer than multiplying all.
  private static let fewest = 8
  /// Elements of a part of the work.
  private static let grain = 1 << 16

  private let matrix: HalfMatrix
  /// Holds `bytes`.
  private nonisolated(unsafe) let memory: FloatBuffer
  /// [rows] each.
  private nonisolated(unsafe) let scales: FloatBuffer
  private nonisolated(unsafe) let errors: FloatBuffer

  /// Of W[V, C], leaving out some rows; nil where a row that counts is not finite.
  public init?(_ matrix: HalfMatrix, excluding excluded: [Int], _ compute: Compute) {
    self.matrix = matrix
    let (rows, width) = (matrix.rows, matrix.columns)
    memory = FloatBuffer((rows * width + 3) / 4)
    memory.useLargePages()
    scales = FloatBuffer(rows)
    errors = FloatBuffer(rows)
    nonisolated(unsafe) let (bytes, scales, errors) = (bytes, scales.pointer, errors.pointer)
    let some = Self.rowsAtOnce(width)
    parallelFor((rows + some - 1) / some, threads: compute.threads) { part in
      withUnsafeTemporaryAllocation(of: Float.self, capacity: max(1, width)) { row in
        guard let decoded = row.baseAddress else { return }
        for index in part * some..<min(rows, (part + 1) * some) {
          matrix.decode(row: index, count: width, into: decoded)
          let isFinite = sft_shortlist_encode(
            decoded, width, bytes + index * width, scales + index, errors + index)
          if isFinite == 0 { errors[index] = .infinity }
        }
      }
    }
    for row in excluded where row < rows { errors[row] = .nan }
    if (0..<rows).contains(where: { errors[$0] == .infinity }) { return nil }
  }

  /// [rows, columns].
  private var bytes: UnsafeMutablePointer<Int8> {
    UnsafeMutableRawPointer(memory.pointer).assumingMemoryBound(to: Int8.self)
  }

  private static func rowsAtOnce(_ width: Int) -> Int { max(1, grain / max(1, width)) }

  /// The first row with the largest product with x[C], and the product; nil where that is not found faster than by
  /// multiplying all, or x is not finite.
  public func largest(_ x: Floats, _ compute: Compute) -> (row: Int, product: Float)? {
    let (rows, width) = (matrix.rows, matrix.columns)
    let timing = compute.time(.headForward, flop: 2 * Double(rows * width))
    defer { timing?.end() }
    let square = (0..<width).reduce(0.0) { $0 + Double(x[$1]) * Double(x[$1]) }
    let norm = Float(square.squareRoot() * (1 + 1e-6))
    guard norm.isFinite else { return nil }
    return withUnsafeTemporaryAllocation(of: Float.self, capacity: rows) { upper in
      guard let upper = upper.baseAddress else { return nil }
      let least = bounds(x, norm, upper, compute)
      let candidates = (0..<rows).filter { upper[$0] >= least }
      guard !candidates.isEmpty, candidates.count <= max(16, rows / Self.fewest) else { return nil }
      return best(of: candidates, x, products: upper, compute)
    }
  }

  /// Sets `upper` [V], and returns what the largest product is at least.
  private func bounds(_ x: Floats, _ norm: Float, _ upper: MutableFloats, _ compute: Compute) -> Float {
    let (rows, width, some) = (matrix.rows, matrix.columns, Self.rowsAtOnce(matrix.columns))
    let parts = (rows + some - 1) / some
    return withUnsafeTemporaryAllocation(of: Float.self, capacity: parts + width / 2 + 1) { scratch in
      guard let start = scratch.baseAddress else { return -.infinity }
      nonisolated(unsafe) let least = UnsafeMutableBufferPointer(start: start, count: parts)
      nonisolated(unsafe) let words = UnsafeMutableRawPointer(start + parts).assumingMemoryBound(to: Int16.self)
      var (unit, error): (Float, Float) = (0, 0)
      sft_shortlist_query(x, width, words, &unit, &error)
      nonisolated(unsafe) let (upper, bytes) = (upper, bytes)
      let query = (unit: unit, error: error)
      parallelFor(parts, threads: compute.threads) { part in
        let first = part * some
        least[part] = sft_shortlist_bounds(
          bytes + first * width, scales.pointer + first, errors.pointer + first, min(some, rows - first), width,
          words, query.unit, norm, query.error, upper + first)
      }
      return least.max() ?? -.infinity
    }
  }

  /// `products` is for their products.
  private func best(
    of candidates: [Int], _ x: Floats, products: MutableFloats, _ compute: Compute
  ) -> (row: Int, product: Float) {
    nonisolated(unsafe) let (x, products) = (x, products)
    compute.overRanges(candidates.count, grain: Self.rowsAtOnce(matrix.columns)) { range in
      for row in candidates[range] { matrix.multiply(row..<row + 1, x, into: products + row, accumulate: false) }
    }
    var best = candidates[0]
    for row in candidates where products[row] > products[best] { best = row }
    return (best, products[best])
  }
}
