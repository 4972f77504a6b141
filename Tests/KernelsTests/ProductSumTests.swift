import CKernels
import TestSupport
import Testing

import Kernels

@Suite struct ProductSumTests {
  static let levels: [Int32] = [1, 3, 4].filter { $0 <= max(1, sft_cpu_level()) }
  /// Of every kind: less than a vector, a vector, a tile, a panel, several, and what is left over beside them; k over
  /// several passes, and far more steps than a panel holds.
  static let shapes = [
    (1, 1, 1), (1, 133, 70), (2, 5, 3), (7, 16, 1), (3, 17, 33), (24, 48, 16), (25, 63, 15), (26, 64, 64),
    (23, 65, 100),
    (31, 130, 769), (50, 100, 1600), (3, 130, 6400), (30, 450, 6300), (100, 3, 7), (49, 16, 768), (16, 768, 31),
    (2, 4200, 3),
    // The last rows of each panel cut finer than those before: with 5 threads, with 32.
    (300, 200, 20), (200, 770, 20),
  ]

  /// A sum of two terms over operands of noise, with gaps between the rows.
  struct Case {
    let (m, n, k): (Int, Int, Int)
    var transposeA = false
    var transposeB = false
    var hasSecond = false
    var hasAddend = false
    var hasBias = false
    var secondK = 5
    /// Where B begins in what is stored.
    var firstRow = 0
    var firstColumn = 0
    let gap = 3

    /// C of `body`, and the sum of each element's magnitudes.
    func compute(_ body: (ProductSum, MutableFloats, _ stride: Int) -> Void) -> [Float] {
      let aRow = (transposeA ? m : k) + gap
      let (rows, columns) = (firstRow + k, firstColumn + n)
      let bRow = (transposeB ? rows : columns) + gap
      return withOperands { operand in
        let a = operand(noise((transposeA ? k : m) * aRow, seed: 1))
        let b = operand(noise((transposeB ? columns : rows) * bRow, seed: 2))
        let first = ProductTerm(
          a, rowStride: transposeA ? 1 : aRow, step: transposeA ? aRow : 1, k: k,
          transposeB ? .transposed(b, stride: bRow) : .stored(b, stride: bRow), firstRow: firstRow,
          firstColumn: firstColumn)
        let second = ProductTerm(
          operand(noise(m * secondK, seed: 3)), rowStride: secondK, k: secondK,
          .transposed(operand(noise(n * secondK, seed: 4)), stride: secondK), scale: 0.75)
        let sum = ProductSum(
          m: m, n: n, first, hasSecond ? second : nil,
          addend: hasAddend ? operand(noise(m * (n + 1), seed: 5)) : nil, addendStride: n + 1,
          bias: hasBias ? operand(noise(n, seed: 6)) : nil)
        return [Float](repeating: .nan, count: m * (n + gap)).changed { body(sum, $0, n + gap) }
      }
    }

    /// Written out, in double; or the same of the magnitudes, which bounds the rounding errors.
    func reference(ofMagnitudes: Bool) -> [Float] {
      compute { sum, c, stride in
        func value(_ x: Double) -> Double { ofMagnitudes ? abs(x) : x }
        for row in 0..<m {
          for column in 0..<n {
            var total = sum.addend.map { value(Double($0[row * sum.addendStride + column])) } ?? 0
            total += sum.bias.map { value(Double($0[column])) } ?? 0
            for term in [sum.first, sum.second].compactMap(\.self) {
              let a = term.a + row * term.rowStride
              let (b, step): (Floats, Int) =
                switch term.b {
                case .stored(let values, let stride):
                  (values + term.firstRow * stride + term.firstColumn + column, stride)
                case .transposed(let values, let stride):
                  (values + (term.firstColumn + column) * stride + term.firstRow, 1)
                case .panels, .panelsTransposed, .fourBit, .fourBitTransposed, .half, .halfTransposed, .blocks,
                  .blocksTransposed:
                  preconditionFailure("not among the cases")
                }
              for x in 0..<term.k {
                total += value(Double(a[x * term.step]) * Double(b[x * step]) * Double(term.scale))
              }
            }
            c[row * stride + column] = Float(total)
          }
        }
      }
    }

    /// Checks what is given to it against the reference.
    func checker() -> (_ result: [Float], _ name: String) -> Void {
      let (expected, magnitudes) = (reference(ofMagnitudes: false), reference(ofMagnitudes: true))
      return { result, name in
        let wrong = result.indices.first { index in
          if index % (n + gap) >= n { return !result[index].isNaN }
          let bound = Float(k + secondK + 3) * 0x1p-24 * magnitudes[index]
          return !(abs(result[index] - expected[index]) <= bound)
        }
        #expect(wrong == nil, "\(name), \(m)×\(n)×\(k)")
      }
    }
  }

  static func cases(_ shape: (Int, Int, Int)) -> [Case] {
    [
      Case(m: shape.0, n: shape.1, k: shape.2),
      Case(m: shape.0, n: shape.1, k: shape.2, transposeB: true, hasSecond: true, hasBias: true),
      Case(m: shape.0, n: shape.1, k: shape.2, transposeA: true, hasAddend: true),
      Case(m: shape.0, n: shape.1, k: shape.2, transposeB: true, hasSecond: true, hasAddend: true, hasBias: true),
      // A second term that does not fit a panel.
      Case(m: shape.0, n: shape.1, k: shape.2, hasSecond: true, hasBias: true, secondK: 800),
      // Of a part of what is stored.
      Case(m: shape.0, n: shape.1, k: shape.2, hasSecond: true, firstRow: 2, firstColumn: 7),
      Case(m: shape.0, n: shape.1, k: shape.2, transposeB: true, firstRow: 3, firstColumn: 5),
    ]
  }

  @Test(arguments: shapes)
  func `On panels it is the written-out sum, whatever the threads`(shape: (Int, Int, Int)) {
    for product in Self.cases(shape) {
      let check = product.checker()
      for level in Self.levels {
        let results = [1, 2, 5, 32].map { threads in
          product.compute { sum, c, stride in
            sum.computeOnPanels(
              into: c, stride: stride, scratch: FloatBuffer(), level: level, compute(.auto, threads: threads))
          }
        }
        check(results[0], "level \(level)")
        for result in results.dropFirst() {
          #expect(result.elementsEqual(results[0]) { $0.bitPattern == $1.bitPattern })
        }
      }
    }
  }

  @Test(arguments: shapes)
  func `By OpenBLAS it is the written-out sum`(shape: (Int, Int, Int)) {
    for product in Self.cases(shape) {
      let result = product.compute { sum, c, stride in
        sum.computeByOpenBLAS(into: c, stride: stride, scratch: FloatBuffer(), compute(.auto))
      }
      product.checker()(result, "OpenBLAS")
    }
  }

  /// A weight's gradient, in blocks on this project's threads: the same bits however many there are, with more steps than
  /// OpenBLAS sums at a time too.
  @Test(arguments: [(256, 256, 3), (320, 700, 449), (777, 257, 1000)])
  func `A weight's gradient is the written-out sum, whatever the threads`(shape: (Int, Int, Int)) {
    let product = Case(m: shape.0, n: shape.1, k: shape.2, transposeA: true, hasAddend: true)
    let results = [1, 2, 5, 32].map { threads in
      product.compute { sum, c, stride in
        sum.compute(into: c, stride: stride, scratch: FloatBuffer(), compute(.auto, threads: threads))
      }
    }
    product.checker()(results[0], "in blocks")
    for result in results.dropFirst() {
      #expect(result.elementsEqual(results[0]) { $0.bitPattern == $1.bitPattern })
    }
  }

  /// A weight laid out beforehand, in both directions: the bits of the same weight as it is stored, and OpenBLAS's numbers.
  @Test(arguments: shapes)
  func `Laid out beforehand it is the same sum`(shape: (Int, Int, Int)) {
    let (m, rows, columns) = shape
    withOperands { operand in
      let weight = operand(noise(rows * (columns + 3), seed: 7))
      let a = operand(noise(m * max(rows, columns), seed: 1))
      let (a2, b2) = (operand(noise(m * 5, seed: 3)), operand(noise(5 * max(rows, columns), seed: 4)))
      let packed = PanelMatrix(
        weight, stride: columns + 3, rows: rows, columns: columns, compute(.auto, threads: 2))
      var consumed: [Range<Int>] = []
      let transposed = PanelMatrix(
        transposed: weight, stride: columns + 3, rows: columns, columns: rows, compute(.auto, threads: 2)
      ) { consumed.append($0) }
      #expect(consumed.flatMap { $0 } == Array(0..<rows))
      let back = [Float](repeating: .nan, count: rows * columns).changed { transposed.unpack(into: $0) }
      #expect((0..<rows * columns).allSatisfy { back[$0] == weight[$0 % rows * (columns + 3) + $0 / rows] })
      let unpacked = [Float](repeating: .nan, count: rows * columns).changed { packed.unpack(into: $0) }
      #expect(
        (0..<rows * columns).allSatisfy { unpacked[$0] == weight[$0 / columns * (columns + 3) + $0 % columns] })
      // All of the weight, and a part of it that begins at a panel.
      let stored = ProductFactor.stored(weight, stride: columns + 3)
      let turned = ProductFactor.transposed(weight, stride: columns + 3)
      let (panel, row) = (columns > 64 ? 64 : 0, rows / 2)
      for (n, k, asStored, laidOut, firstRow, firstColumn) in [
        (columns, rows, stored, ProductFactor.panels(packed), 0, 0),
        (rows, columns, turned, .panelsTransposed(packed), 0, 0),
        (columns - panel, rows - row, stored, .panels(packed), row, panel),
        (rows - row, columns - panel, turned, .panelsTransposed(packed), panel, row),
      ] {
        func result(_ factor: ProductFactor, _ body: (ProductSum, MutableFloats) -> Void) -> [Float] {
          let second = ProductTerm(a2, rowStride: 5, k: 5, .stored(b2, stride: n))
          let first = ProductTerm(
            a, rowStride: k, k: k, factor, firstRow: firstRow, firstColumn: firstColumn)
          let sum = ProductSum(m: m, n: n, first, second)
          return [Float](repeating: .nan, count: m * n).changed { body(sum, $0) }
        }
        for level in Self.levels {
          func onPanels(threads: Int) -> (ProductSum, MutableFloats) -> Void {
            { sum, c in
              sum.computeOnPanels(
                into: c, stride: n, scratch: FloatBuffer(), level: level, compute(.auto, threads: threads))
            }
          }
          let expected = result(asStored, onPanels(threads: 2))
          for threads in [2, 32] {
            #expect(sameBits(result(laidOut, onPanels(threads: threads)), expected), "level \(level)")
          }
        }
        func byOpenBLAS(_ sum: ProductSum, _ c: MutableFloats) {
          sum.computeByOpenBLAS(into: c, stride: n, scratch: FloatBuffer(), compute(.auto))
        }
        #expect(largestError(result(laidOut, byOpenBLAS), result(asStored, byOpenBLAS)) < 1e-4)
      }
    }
  }

  @Test func `A row's result does not depend on the other rows`() {
    let (m, n, k) = (61, 130, 900)
    let (a, b) = (noise(m * k, seed: 1), noise(n * k, seed: 2))
    func rows(_ range: Range<Int>) -> [Float] {
      withOperands { operand in
        let term = ProductTerm(
          operand(a) + range.lowerBound * k, rowStride: k, k: k, .stored(operand(b), stride: n))
        return [Float](repeating: 0, count: range.count * n).changed {
          ProductSum(m: range.count, n: n, term).computeOnPanels(
            into: $0, stride: n, scratch: FloatBuffer(), level: sft_cpu_level(), compute(.auto))
        }
      }
    }
    let all = rows(0..<m)
    for range in [0..<2, 5..<12, 30..<61] {
      #expect(rows(range) == Array(all[range.lowerBound * n..<range.upperBound * n]))
    }
  }
}
