import CKernels
import Core
import Glibc

/// Sums and dropout.
public enum Elementwise {
  /// y = 0, `count` elements.
  public static func clear(_ y: MutableFloats, count: Int, _ compute: Compute) {
    nonisolated(unsafe) let y = y
    compute.overRanges(count, grain: 1 << 16) { (y + $0.lowerBound).update(repeating: 0, count: $0.count) }
  }

  /// y = x, `count` elements.
  public static func copy(_ x: Floats, into y: MutableFloats, count: Int, _ compute: Compute) {
    nonisolated(unsafe) let (x, y) = (x, y)
    compute.overRanges(count, grain: 1 << 15) { (y + $0.lowerBound).update(from: x + $0.lowerBound, count: $0.count) }
  }

  /// y = factor · x, `count` elements; y may be x.
  public static func scale(_ x: Floats, by factor: Float, into y: MutableFloats, count: Int, _ compute: Compute) {
    nonisolated(unsafe) let (x, y) = (x, y)
    compute.overRanges(count, grain: 1 << 15) { range in for i in range { y[i] = factor * x[i] } }
  }

  /// y = x + factor · added, `count` elements; y may be x.
  public static func add(
    _ added: Floats, times factor: Float = 1, to x: Floats, into y: MutableFloats, count: Int, _ compute: Compute
  ) {
    nonisolated(unsafe) let (added, x, y) = (added, x, y)
    compute.overRanges(count, grain: 1 << 15) { range in for i in range { y[i] = x[i] + factor * added[i] } }
  }

  /// x becomes cap · tanh(x / cap), in place.
  public static func softCap(_ x: MutableFloats, count: Int, cap: Float, _ compute: Compute) {
    nonisolated(unsafe) let x = x
    compute.overRanges(count, grain: 1 << 14) { range in
      switch compute.engine {
      case .auto: sft_soft_cap(x + range.lowerBound, range.count, cap)
      case .plain: for i in range { x[i] = cap * tanhf(x[i] / cap) }
      }
    }
  }

  /// The gradient before the cap from that after it, in place; `capped` is what `softCap` gave.
  public static func softCapBack(
    _ capped: Floats, _ gradient: MutableFloats, count: Int, cap: Float, _ compute: Compute
  ) {
    nonisolated(unsafe) let (capped, gradient) = (capped, gradient)
    compute.overRanges(count, grain: 1 << 14) { range in
      sft_soft_cap_back(capped + range.lowerBound, gradient + range.lowerBound, range.count, cap)
    }
  }

  /// y[N, C] += bias[C].
  public static func addBias(_ bias: Floats, to y: MutableFloats, rows: Int, width: Int, _ compute: Compute) {
    nonisolated(unsafe) let (bias, y) = (bias, y)
    compute.overRanges(rows, grain: max(1, (1 << 15) / width)) { range in
      sft_add_bias(bias, y + range.lowerBound * width, range.count, width)
    }
  }

  /// y = x or 0, the kept ones scaled by 1/(1−p) (Srivastava et al. 2014). Which ones are kept is a function of `seed`
  /// and the index alone, so the backward pass calls this again and nothing is stored.
  public static func dropout(
    _ x: Floats, _ y: MutableFloats, count: Int, p: Float, seed: UInt64, accumulate: Bool = false, _ compute: Compute
  ) {
    let timing = compute.time(.dropout)
    defer { timing?.end() }
    nonisolated(unsafe) let (x, y) = (x, y)
    compute.overRanges(count, grain: 1 << 14) { range in
      let first = range.lowerBound
      sft_dropout(x + first, y + first, range.count, seed, UInt64(first), p, accumulate ? 1 : 0)
    }
  }

  /// y = x [rows, width] with dropout p, each row with the mask of row `indices` of a larger matrix; nil for 0 ..< rows. Or +=
  /// where it accumulates.
  public static func dropout(
    _ x: Floats, _ y: MutableFloats, rows: Int, indices: [Int]?, width: Int, p: Float, seed: UInt64,
    accumulate: Bool = false, _ compute: Compute
  ) {
    guard let indices else {
      return dropout(x, y, count: rows * width, p: p, seed: seed, accumulate: accumulate, compute)
    }
    let timing = compute.time(.dropout)
    defer { timing?.end() }
    nonisolated(unsafe) let (x, y) = (x, y)
    compute.overRanges(rows, grain: max(1, (1 << 14) / width)) { range in
      for row in range {
        sft_dropout(x + row * width, y + row * width, width, seed, UInt64(indices[row] * width), p, accumulate ? 1 : 0)
      }
    }
  }

  /// sums[C] += Σ over the rows of x[N, C], which are `stride` apart if that is given: a bias's gradient. Each is summed in the
  /// order of the rows.
  public static func sumRows(
    _ x: Floats, stride: Int? = nil, into sums: MutableFloats, rows: Int, width: Int, _ compute: Compute
  ) {
    nonisolated(unsafe) let (x, sums) = (x, sums)
    compute.overRanges(width, grain: 16) { columns in
      let first = columns.lowerBound
      sft_sum_rows(x + first, sums + first, rows, stride ?? width, columns.count)
    }
  }

  /// Σ x², in double: the sums of pieces of a fixed length, added in order, so that threads change nothing.
  public static func sumOfSquares(_ x: Floats, count: Int, _ compute: Compute) -> Double {
    sumsOfSquares(x, count: count, pieces: 0..<squarePieces(count), compute).reduce(0, +)
  }

  /// Elements of the pieces in which squares are summed.
  public static let squarePiece = 1 << 16

  /// How many pieces `count` elements have.
  public static func squarePieces(_ count: Int) -> Int { (count + squarePiece - 1) / squarePiece }

  /// Σ x² of each of some pieces of the `count` elements: what `sumOfSquares` adds.
  public static func sumsOfSquares(_ x: Floats, count: Int, pieces: Range<Int>, _ compute: Compute) -> [Double] {
    [Double](unsafeUninitializedCapacity: pieces.count) { sums, initialized in
      nonisolated(unsafe) let (x, sums) = (x, sums)
      parallelFor(pieces.count, threads: compute.threads) { index in
        let first = (pieces.lowerBound + index) * squarePiece
        sums.initializeElement(at: index, to: sumOfSquares(x + first, count: min(squarePiece, count - first)))
      }
      initialized = pieces.count
    }
  }

  private static func sumOfSquares(_ x: Floats, count: Int) -> Double {
    var sums = (0.0, 0.0, 0.0, 0.0)
    var i = 0
    while i + 4 <= count {
      sums.0 += Double(x[i]) * Double(x[i])
      sums.1 += Double(x[i + 1]) * Double(x[i + 1])
      sums.2 += Double(x[i + 2]) * Double(x[i + 2])
      sums.3 += Double(x[i + 3]) * Double(x[i + 3])
      i += 4
    }
    while i < count {
      sums.0 += Double(x[i]) * Double(x[i])
      i += 1
    }
    return sums.0 + sums.1 + sums.2 + sums.3
  }
}
