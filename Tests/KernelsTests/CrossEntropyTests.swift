import Core
import Glibc
import Kernels
import TestSupport
import Testing

@Suite struct CrossEntropyTests {
  /// Rows of V logits, some with several targets, one with none; `firstRow` is what a chunk's rows are counted from.
  struct Case {
    let (rows, classes, firstRow): (Int, Int, Int)
    var logits: [Float]
    let targets: [Batch.Target]

    init(rows: Int, classes: Int, scale: Double = 2, firstRow: Int = 0) {
      (self.rows, self.classes, self.firstRow) = (rows, classes, firstRow)
      logits = noise(rows * classes, seed: 11, scale: scale)
      targets = (0..<rows).flatMap { row -> [Batch.Target] in
        if row % 5 == 3 { return [] }
        let tokens = Set((0...row % 3).map { ($0 * 7 + row * 13) % classes }).sorted()
        return tokens.enumerated().map { index, token in
          Batch.Target(row: firstRow + row, token: Int32(token), weight: Float(1 + (row + index) % 4))
        }
      }
    }

    func evaluate(_ scale: Float?, _ compute: Compute) -> (totals: CrossEntropy.Totals, logits: [Float]) {
      var totals = CrossEntropy.Totals()
      let after = logits.changed {
        totals = CrossEntropy.rows(
          $0, rows: rows, classes: classes, firstRow: firstRow, targets: targets[...], gradientScale: scale, compute)
      }
      return (totals, after)
    }

    /// Σ weight · nll in double.
    func loss(_ logits: [Double]) -> Double {
      targets.reduce(0) { total, target in
        let first = (target.row - firstRow) * classes
        let row = logits[first..<first + classes]
        let largest = row.max() ?? 0
        let sum = row.reduce(0) { $0 + exp($1 - largest) }
        return total + Double(target.weight) * (largest + log(sum) - logits[first + Int(target.token)])
      }
    }
  }

  @Test(arguments: [1, 2, 15, 16, 17, 60, 64, 768, 50_257]) func fastAgreesWithPlain(_ classes: Int) {
    let test = Case(rows: 7, classes: classes, firstRow: 5)
    let (fast, gradient) = test.evaluate(0.125, compute(.auto))
    let (plain, expected) = test.evaluate(0.125, compute(.plain))
    #expect(relativeError(fast.loss, test.loss(test.logits.map(Double.init))) < 1e-6 || classes == 1)
    #expect(abs(fast.loss - plain.loss) < 1e-5 * max(1, plain.loss))
    #expect(fast.weight == test.targets.reduce(0) { $0 + Double($1.weight) } && fast.correct == plain.correct)
    #expect(largestError(gradient, expected) < 2e-6 || classes == 1)
    let (single, bits) = test.evaluate(0.125, compute(.auto, threads: 1))
    #expect(single == fast && sameBits(bits, gradient))
    let (kept, untouched) = test.evaluate(nil, compute(.auto))
    #expect(kept == fast && sameBits(untouched, test.logits))
  }

  @Test(arguments: Engine.allCases) func gradientAgreesWithFiniteDifferences(_ engine: Engine) {
    let test = Case(rows: 9, classes: 23)
    let expected = finiteDifferences(at: test.logits) { 0.25 * test.loss($0) }
    #expect(largestError(test.evaluate(0.25, compute(engine)).logits, expected) < 1e-6)
    // Rows without a target have none.
    #expect(expected[3 * 23..<4 * 23].allSatisfy { $0 == 0 })
  }

  @Test(arguments: Engine.allCases) func hugeAndTinyLogits(_ engine: Engine) {
    for scale in [1e-30, 1e-6, 300, 1e6, 1e30] {
      let test = Case(rows: 6, classes: 17, scale: scale)
      let (totals, gradient) = test.evaluate(1, compute(engine))
      #expect(relativeError(totals.loss, test.loss(test.logits.map(Double.init))) < 1e-5, "scale \(scale)")
      #expect(gradient.allSatisfy { $0.isFinite })
    }
  }

  /// The first of equals is the prediction, as `argmax` of NumPy and PyTorch have it.
  @Test(arguments: Engine.allCases) func tiesGoToTheFirst(_ engine: Engine) {
    var test = Case(rows: 2, classes: 64)
    let weights = test.targets.map { Double($0.weight) }
    #expect(test.targets.map(\.token) == [0, 13, 20] && weights == [1, 2, 3])
    test.logits = [Float](repeating: -1, count: 128)
    for tied in [0, 1, 63, 64 + 20, 64 + 21] { test.logits[tied] = 5 }
    #expect(test.evaluate(nil, compute(engine)).totals.correct == 1 + 3)
    test.logits[64 + 13] = 5
    #expect(test.evaluate(nil, compute(engine)).totals.correct == 1 + 2)
    test.logits = [Float](repeating: 0, count: 128)
    #expect(test.evaluate(nil, compute(engine)).totals.correct == 1)
  }

  @Test(arguments: Engine.allCases) func whatIsNoNumberShows(_ engine: Engine) {
    for value in [Float.nan, .infinity] {
      var test = Case(rows: 1, classes: 33)
      test.logits[20] = value
      #expect(!test.evaluate(nil, compute(engine)).totals.loss.isFinite)
    }
  }
}
