import Glibc
import Kernels
import TestSupport
import Testing

@Suite struct ElementwiseTests {
  static let counts = [1, 15, 16, 17, 60, 64, 768, 70_001]

  private static func dropout(
    _ x: [Float], p: Float, seed: UInt64, onto before: [Float]? = nil, threads: Int = 2
  ) -> [Float] {
    (before ?? [Float](repeating: .nan, count: x.count)).changed {
      Elementwise.dropout(
        x, $0, count: x.count, p: p, seed: seed, accumulate: before != nil, compute(.auto, threads: threads))
    }
  }

  @Test(arguments: counts) func sums(_ count: Int) {
    let x = noise(count, seed: 1)
    let squares = x.reduce(0.0) { $0 + Double($1) * Double($1) }
    #expect(relativeError(Elementwise.sumOfSquares(x, count: count, compute(.auto)), squares) < 1e-12)
  }

  /// cap · tanh(x / cap), and what its slope makes of a gradient.
  @Test(arguments: counts, Engine.allCases) func softCaps(_ count: Int, _ engine: Engine) {
    let (x, dy) = (noise(count, seed: 1, scale: 4), noise(count, seed: 2))
    for threads in [1, 2] {
      let compute = compute(engine, threads: threads)
      let y = x.changed { Elementwise.softCap($0, count: count, cap: 2.5, compute) }
      #expect(largestError(y, x.map { 2.5 * tanh(Double($0) / 2.5) }) < 1e-6)
      #expect(y.allSatisfy { abs($0) <= 2.5 })
      let dx = dy.changed { Elementwise.softCapBack(y, $0, count: count, cap: 2.5, compute) }
      let expected = zip(x, dy).map { x, dy in
        let t = tanh(Double(x) / 2.5)
        return Double(dy) * (1 - t * t)
      }
      #expect(largestError(dx, expected) < 3e-6)
    }
  }

  @Test func `A sum of squares does not depend on the threads`() {
    let x = noise(200_003, seed: 3)
    let one = Elementwise.sumOfSquares(x, count: x.count, compute(.auto, threads: 1))
    #expect(relativeError(one, x.reduce(0.0) { $0 + Double($1) * Double($1) }) < 1e-12)
    for threads in [2, 3, 7] {
      #expect(Elementwise.sumOfSquares(x, count: x.count, compute(.auto, threads: threads)) == one)
    }
  }

  @Test(arguments: [1, 15, 16, 17, 60, 768], [1, 3, 130]) func biases(_ width: Int, rows: Int) {
    let (bias, y) = (noise(width, seed: 1), noise(rows * width, seed: 2))
    for threads in [1, 2] {
      let sum = y.changed {
        Elementwise.addBias(bias, to: $0, rows: rows, width: width, compute(.auto, threads: threads))
      }
      #expect(sum == y.indices.map { y[$0] + bias[$0 % width] })
    }
  }

  @Test(arguments: [1, 15, 16, 17, 60, 768], [1, 3, 130]) func sumsOfRows(_ width: Int, rows: Int) {
    let (x, before) = (noise(rows * width, seed: 1), noise(width, seed: 2))
    let expected = (0..<width).map { column in
      (0..<rows).reduce(Double(before[column])) { $0 + Double(x[$1 * width + column]) }
    }
    let results = [1, 2].map { threads in
      before.changed { Elementwise.sumRows(x, into: $0, rows: rows, width: width, compute(.auto, threads: threads)) }
    }
    #expect(largestError(results[0], expected) < 1e-5)
    #expect(sameBits(results[0], results[1]))
  }

  /// Selected rows have the masks that they have among all.
  @Test func dropoutOfSelectedRows() {
    let (width, indices) = (17, [0, 2, 3, 9])
    let x = noise(10 * width, seed: 3).map { $0 + 10 }
    func rows(_ x: [Float], _ indices: [Int]?) -> [Float] {
      [Float](repeating: .nan, count: x.count).changed {
        Elementwise.dropout(
          x, $0, rows: x.count / width, indices: indices, width: width, p: 0.4, seed: 5, compute(.auto))
      }
    }
    let selected = indices.flatMap { x[$0 * width..<($0 + 1) * width] }
    let all = rows(x, nil)
    #expect(sameBits(rows(selected, indices), indices.flatMap { all[$0 * width..<($0 + 1) * width] }))
    #expect(sameBits(all, Self.dropout(x, p: 0.4, seed: 5)))
  }

  @Test(arguments: [Float(0.1), 0.5, 0.9]) func dropoutKeepsRateAndMean(_ p: Float) {
    let count = 200_000
    let y = Self.dropout([Float](repeating: 1, count: count), p: p, seed: 7)
    let kept = y.count { $0 != 0 }
    // Five standard deviations of a binomial.
    let deviation = (Double(count) * Double(p) * Double(1 - p)).squareRoot()
    #expect(abs(Double(kept) - Double(count) * Double(1 - p)) < 5 * deviation)
    #expect(y.allSatisfy { $0 == 0 || $0 == 1 / (1 - p) })
    let mean = y.reduce(0.0) { $0 + Double($1) } / Double(count)
    #expect(abs(mean - 1) < 5 * deviation / Double(count) / Double(1 - p))
    // Neighbours are independent.
    let pairs = zip(y, y.dropFirst()).count { $0 != 0 && $1 != 0 }
    let expected = Double(count) * Double(1 - p) * Double(1 - p)
    #expect(abs(Double(pairs) - expected) < 8 * expected.squareRoot())
  }

  @Test(arguments: counts) func masksAreAFunctionOfSeedAndIndex(_ count: Int) {
    let (x, before) = (noise(count, seed: 3).map { $0 + 10 }, noise(count, seed: 4))
    let y = Self.dropout(x, p: 0.3, seed: 9)
    #expect(sameBits(y, Self.dropout(x, p: 0.3, seed: 9, threads: 1)))
    #expect(zip(x, y).allSatisfy { $1 == 0 || abs($1 - $0 / 0.7) < 1e-5 })
    let doubled = Self.dropout(x.map { $0 * 2 }, p: 0.3, seed: 9)
    #expect(sameBits(doubled, y.map { $0 * 2 }))
    let sum = Self.dropout(x, p: 0.3, seed: 9, onto: before)
    #expect(zip(sum, zip(before, y)).allSatisfy { abs($0 - ($1.0 + $1.1)) < 1e-5 })
    // A prefix has the same mask, and no seed shares it.
    #expect(sameBits(Self.dropout(Array(x.prefix(9)), p: 0.3, seed: 9), Array(y.prefix(9))))
    if count >= 60 {
      for seed in [10, 11, 9 << 32] as [UInt64] {
        #expect(Self.dropout(x, p: 0.3, seed: seed).map { $0 == 0 } != y.map { $0 == 0 })
      }
    }
    #expect(sameBits(Self.dropout(x, p: 0, seed: 9), x))
  }
}
