import Kernels
import TestSupport
import Testing

@Suite struct LinearAlgebraTests {
  struct Product: Sendable, CustomStringConvertible {
    var m: Int
    var n: Int
    var k: Int
    var transposeA = false
    var transposeB = false
    var alpha: Float = 1
    var beta: Float = 0
    /// Floats between the end of a row and the next.
    var gap = 0

    var description: String { "\(m)x\(n)x\(k) \(transposeA) \(transposeB) \(alpha) \(beta) \(gap)" }

    func evaluate(plain: Bool) -> [Float] {
      let (rowsA, columnsA) = transposeA ? (k, m) : (m, k)
      let (rowsB, columnsB) = transposeB ? (n, k) : (k, n)
      let a = noise(rowsA * (columnsA + gap), seed: 1)
      let b = noise(rowsB * (columnsB + gap), seed: 2)
      // What C holds must not matter where beta is 0, not even if it is no number.
      var c = noise(m * (n + gap), seed: 3)
      if beta == 0 {
        for row in 0..<m { for column in 0..<n { c[row * (n + gap) + column] = .nan } }
      }
      return c.changed { c in
        if plain {
          LinearAlgebra.multiplyPlain(
            m: m, n: n, k: k, alpha: alpha, a: a, lda: columnsA + gap, transposeA: transposeA, b: b,
            ldb: columnsB + gap,
            transposeB: transposeB, beta: beta, c: c, ldc: n + gap)
        } else {
          LinearAlgebra.multiply(
            m: m, n: n, k: k, alpha: alpha, a: a, lda: columnsA + gap, transposeA: transposeA, b: b,
            ldb: columnsB + gap,
            transposeB: transposeB, beta: beta, c: c, ldc: n + gap, threads: 2)
        }
      }
    }

    /// The columns between the rows: none of the product's business.
    func gaps(_ c: [Float]) -> [Float] { c.indices.filter { $0 % (n + gap) >= n }.map { c[$0] } }
  }

  static let sizes = [
    (1, 1, 1), (1, 17, 60), (1, 64, 1), (17, 1, 60), (15, 16, 17), (16, 15, 1), (2, 60, 64), (64, 64, 64),
    (60, 768, 17), (33, 5, 768), (129, 65, 31),
  ]

  static let products: [Product] = sizes.flatMap { m, n, k in
    [(false, false), (false, true), (true, false), (true, true)].flatMap { transposeA, transposeB in
      [(1, 0, 0), (0.5, 1, 0), (-2, 0.25, 3), (1, 0, 5)].map { alpha, beta, gap in
        Product(
          m: m, n: n, k: k, transposeA: transposeA, transposeB: transposeB, alpha: Float(alpha), beta: Float(beta),
          gap: gap)
      }
    }
  }

  /// The linear algebra's kernels are chosen by the first `Compute`, and no product may run meanwhile.
  init() { _ = compute(.auto) }

  @Test func fastAgreesWithPlain() {
    #expect(Self.products.count == 176)
    for product in Self.products {
      let (fast, plain) = (product.evaluate(plain: false), product.evaluate(plain: true))
      #expect(largestError(fast, plain) < 1e-5, "\(product)")
      #expect(sameBits(product.gaps(fast), product.gaps(plain)), "\(product)")
      #expect(sameBits(fast, product.evaluate(plain: false)), "\(product) repeats")
    }
  }

  @Test func nothingToDoChangesNothing() {
    for (m, n) in [(0, 3), (3, 0)] {
      let c: [Float] = [1, 2, 3].changed {
        LinearAlgebra.multiply(
          m: m, n: n, k: 2, a: [1, 2, 3, 4, 5, 6], lda: 2, b: [1, 2, 3, 4, 5, 6], ldb: 3, c: $0, ldc: 3, threads: 2)
      }
      #expect(c == [1, 2, 3])
    }
    // No inner dimension: C is only scaled.
    for plain in [false, true] {
      let scaled = Product(m: 3, n: 4, k: 0, beta: 0.5).evaluate(plain: plain)
      #expect(scaled == noise(12, seed: 3).map { $0 * 0.5 })
    }
  }
}
