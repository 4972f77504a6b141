import CKernels
import TestSupport
import Testing

import Kernels

/// The largest product found by a shortlist, against all products.
@Suite struct HeadShortlistTests {
  /// A matrix in 16 bits of [rows, columns] values.
  private static func matrix(_ values: [Float], _ format: HalfMatrix.Format, columns: Int) -> HalfMatrix {
    let bits = values.map { format == .bfloat16 ? UInt16($0.bitPattern >> 16) : Float16($0).bitPattern }
    return HalfMatrixTests.matrix(bits, format, rows: values.count / columns, columns: columns)
  }

  /// The first row with the largest of all products, as decoding computes them.
  private static func largest(_ matrix: HalfMatrix, _ x: [Float], excluding: Set<Int> = []) -> (
    row: Int, product: Float
  ) {
    let products = [Float](repeating: .nan, count: matrix.rows).changed { y in
      withOperands { operand in
        let sum = ProductSum(
          m: 1, n: matrix.rows,
          ProductTerm(operand(x), rowStride: matrix.columns, k: matrix.columns, .halfTransposed(matrix)))
        sum.compute(into: y, stride: matrix.rows, scratch: FloatBuffer(), compute(.auto))
      }
    }
    var best: Int?
    for row in 0..<matrix.rows
    where !excluding.contains(row) && !(products[row] <= best.map { products[$0] } ?? -.infinity) {
      best = row
    }
    return (best ?? 0, products[best ?? 0])
  }

  private static let shapes = [(40, 1), (300, 7), (257, 64), (1000, 65), (500, 576), (129, 1031)]

  @Test(arguments: shapes, HalfMatrixTests.formats)
  func itIsTheSameRowAndBits(_ shape: (Int, Int), _ format: HalfMatrix.Format) throws {
    let (rows, columns) = shape
    // Some rows are far larger than others, as in real heads.
    var values = noise(rows * columns, seed: 3, scale: 0.05)
    for row in 0..<rows where row % 7 == 0 { for i in 0..<columns { values[row * columns + i] *= 4 } }
    let matrix = Self.matrix(values, format, columns: columns)
    let excluded = Array(rows / 2..<rows / 2 + 3)
    var found = 0
    for threads in [1, 2] {
      let shortlist = try #require(HeadShortlist(matrix, excluding: excluded, compute(.auto, threads: threads)))
      for seed in 0..<40 as Range<UInt64> {
        // Along a row, so that one stands out, as it does where a model is sure; and in any direction.
        var x = noise(columns, seed: 100 + seed)
        if seed % 2 == 0 {
          let row = Int(seed) * 31 % rows
          for i in 0..<columns { x[i] += values[row * columns + i] * 200 }
        }
        let expected = Self.largest(matrix, x, excluding: Set(excluded))
        let actual = withOperands { shortlist.largest($0(x), compute(.auto, threads: threads)) }
        guard let actual else { continue }
        found += 1
        #expect(actual.row == expected.row && actual.product.bitPattern == expected.product.bitPattern)
      }
    }
    #expect(found >= 40, "the shortlist found the largest \(found) times of 80")
  }

  @Test func equalsGiveTheFirst() throws {
    var values = noise(64 * 50, seed: 1)
    for i in 0..<64 { (values[41 * 64 + i], values[17 * 64 + i]) = (2 * values[3 * 64 + i], 2 * values[3 * 64 + i]) }
    let matrix = Self.matrix(values, .bfloat16, columns: 64)
    let x = (0..<64).map { values[3 * 64 + $0] }
    let all = try #require(HeadShortlist(matrix, excluding: [], compute(.auto)))
    #expect(withOperands { all.largest($0(x), compute(.auto))?.row } == 17)
    let some = try #require(HeadShortlist(matrix, excluding: [17], compute(.auto)))
    #expect(withOperands { some.largest($0(x), compute(.auto))?.row } == 41)
  }

  /// Largest and smallest numbers among them: what cannot be told apart is left to the caller.
  @Test(arguments: [-149, -130, -60, 0, 60, 100]) func theBoundsHold(_ exponent: Int) throws {
    let (rows, columns, size) = (60, 77, Float(sign: .plus, exponent: exponent, significand: 1))
    let values = noise(rows * columns, seed: 9).map { $0 * size }
    let x = noise(columns, seed: 10)
    let norm = Float(x.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot() * 1.000001)
    var bytes = [Int8](repeating: 0, count: rows * columns)
    var (scales, errors) = ([Float](repeating: 0, count: rows), [Float](repeating: 0, count: rows))
    for row in 0..<rows {
      let part = Array(values[row * columns..<(row + 1) * columns])
      var encoded = [Int8](repeating: 0, count: columns)
      #expect(sft_shortlist_encode(part, columns, &encoded, &scales[row], &errors[row]) != 0)
      bytes.replaceSubrange(row * columns..<(row + 1) * columns, with: encoded)
    }
    var upper = [Float](repeating: 0, count: rows)
    var words = [Int16](repeating: 0, count: columns)
    var (unit, error): (Float, Float) = (0, 0)
    sft_shortlist_query(x, columns, &words, &unit, &error)
    let lower = sft_shortlist_bounds(bytes, scales, errors, rows, columns, words, unit, norm, error, &upper)
    let exact = (0..<rows).map { row in
      (0..<columns).reduce(0.0) { $0 + Double(values[row * columns + $1]) * Double(x[$1]) }
    }
    for row in 0..<rows { #expect(Double(upper[row]) >= exact[row]) }
    #expect(Double(lower) <= exact.max() ?? 0)
    // Not for nothing: the bounds are near.
    if exponent >= -60 { #expect(Double(upper.max() ?? 0) <= (exact.max() ?? 0) * 1.2) }
  }

  @Test func whatIsNotFiniteIsLeftToTheCaller() throws {
    var values = noise(40 * 8, seed: 2)
    let matrix = Self.matrix(values, .bfloat16, columns: 8)
    let shortlist = try #require(HeadShortlist(matrix, excluding: [], compute(.auto)))
    for bad in [Float.nan, .infinity, -.infinity] {
      #expect(withOperands { shortlist.largest($0([1, 2, bad, 4, 5, 6, 7, 8]), compute(.auto)) } == nil)
      values[77] = bad
      #expect(HeadShortlist(Self.matrix(values, .bfloat16, columns: 8), excluding: [], compute(.auto)) == nil)
      #expect(HeadShortlist(Self.matrix(values, .bfloat16, columns: 8), excluding: [9], compute(.auto)) != nil)
    }
    // All products are equal, so all are candidates.
    let zeros = [Float](repeating: 0, count: 8)
    #expect(withOperands { shortlist.largest($0(zeros), compute(.auto)) } == nil)
  }
}
