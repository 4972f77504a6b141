import CKernels
import TestSupport
import Testing

import Kernels

/// Matrices of 16-bit floats against the same in float32.
@Suite struct HalfMatrixTests {
  static let formats: [HalfMatrix.Format] = [.bfloat16, .float16]

  /// Memory of a matrix.
  private final class Halves {
    let pointer: UnsafeMutablePointer<UInt16>

    init(_ values: [UInt16]) {
      pointer = .allocate(capacity: max(1, values.count))
      pointer.initialize(from: values, count: values.count)
    }

    deinit { pointer.deallocate() }
  }

  static func matrix(_ values: [UInt16], _ format: HalfMatrix.Format, rows: Int, columns: Int) -> HalfMatrix {
    let memory = Halves(values)
    return HalfMatrix(memory.pointer, format, rows: rows, columns: columns, keptBy: memory)
  }

  private static func value(_ bits: UInt16, _ format: HalfMatrix.Format) -> Float {
    switch format {
    case .bfloat16: Float(bitPattern: UInt32(bits) << 16)
    case .float16: Float(Float16(bitPattern: bits))
    }
  }

  /// Subnormal numbers, infinities and both zeros among them.
  @Test(arguments: formats) func everyValueIsDecodedExactly(_ format: HalfMatrix.Format) {
    let all = (0...UInt16.max).map(\.self)
    let matrix = Self.matrix(all, format, rows: 256, columns: 256)
    let decoded = [Float](repeating: -1, count: all.count).changed { matrix.decode(row: 0, count: all.count, into: $0) }
    for bits in all {
      let (actual, expected) = (decoded[Int(bits)], Self.value(bits, format))
      let isSame = expected.isNaN ? actual.isNaN : actual.bitPattern == expected.bitPattern
      if !isSame { Issue.record("\(bits): \(actual) instead of \(expected)") }
    }
    let part = [Float](repeating: -1, count: 7).changed { matrix.decode(row: 60, column: 250, count: 6, into: $0) }
    #expect(sameBits(Array(part.prefix(6)), Array(decoded[60 * 256 + 250..<61 * 256])) && part[6] == -1)
  }

  private struct Case {
    let (m, rows, columns): (Int, Int, Int)
    let format: HalfMatrix.Format
    let bits: [UInt16]
    let weight: [Float]

    init(_ shape: (Int, Int, Int), _ format: HalfMatrix.Format) {
      (m, rows, columns) = shape
      self.format = format
      bits = noise(rows * columns, seed: 7).map { value in
        format == .bfloat16 ? UInt16(value.bitPattern >> 16) : Float16(value).bitPattern
      }
      weight = bits.map { HalfMatrixTests.value($0, format) }
    }

    /// C of the matrix as it is, and of its transpose; all of it, and from some row and column on, with a second term and bias.
    func compare(_ tolerance: Double, _ body: (ProductSum, MutableFloats) -> Void) {
      let half = HalfMatrixTests.matrix(bits, format, rows: rows, columns: columns)
      withOperands { operand in
        let stored = operand(weight)
        let (a, a2) = (operand(noise(m * max(rows, columns), seed: 1)), operand(noise(m * 5, seed: 3)))
        let (b2, bias) = (
          operand(noise(5 * max(rows, columns), seed: 4)), operand(noise(max(rows, columns), seed: 6))
        )
        for (row, column) in [(0, 0), (rows / 3, columns / 2)] {
          for (factor, plain, n, k, first) in [
            (
              ProductFactor.half(half), ProductFactor.stored(stored, stride: columns), columns - column, rows - row,
              (row, column)
            ),
            (
              .halfTransposed(half), .transposed(stored, stride: columns), rows - row, columns - column, (column, row)
            ),
          ] {
            for isWhole in [true, false] {
              func result(_ factor: ProductFactor) -> [Float] {
                let term = ProductTerm(
                  a, rowStride: k, k: k, factor, firstRow: first.0, firstColumn: first.1)
                let second = ProductTerm(a2, rowStride: 5, k: 5, .stored(b2, stride: n))
                let sum = ProductSum(m: m, n: n, term, isWhole ? nil : second, bias: isWhole ? nil : bias)
                return [Float](repeating: .nan, count: m * n).changed { body(sum, $0) }
              }
              let (actual, expected) = (result(factor), result(plain))
              #expect(tolerance == 0 ? sameBits(actual, expected) : largestError(actual, expected) < tolerance)
            }
          }
        }
      }
    }
  }

  static let shapes = [
    (1, 1, 1), (1, 133, 70), (1, 64, 768), (1, 500, 70), (2, 5, 3), (7, 16, 1), (3, 17, 33), (26, 64, 64),
    (23, 65, 100), (31, 70, 769), (40, 300, 65),
  ]

  @Test(arguments: shapes, formats) func onPanelsItIsTheSameSum(_ shape: (Int, Int, Int), _ format: HalfMatrix.Format) {
    let product = Case(shape, format)
    for level in ProductSumTests.levels {
      product.compare(0) { sum, c in
        sum.computeOnPanels(into: c, stride: sum.n, scratch: FloatBuffer(), level: level, compute(.auto))
      }
    }
  }

  @Test(arguments: shapes, formats) func byOpenBLASItIsTheSameSum(
    _ shape: (Int, Int, Int), _ format: HalfMatrix.Format
  ) {
    Case(shape, format).compare(1e-5) { sum, c in
      sum.computeByOpenBLAS(into: c, stride: sum.n, scratch: FloatBuffer(), compute(.auto))
    }
  }

  /// The way that is chosen, one row among them.
  @Test(arguments: shapes, formats) func theProductIsTheSame(_ shape: (Int, Int, Int), _ format: HalfMatrix.Format) {
    let product = Case(shape, format)
    for engine in Engine.allCases {
      for threads in [1, 2] {
        product.compare(1e-5) { sum, c in
          sum.compute(into: c, stride: sum.n, scratch: FloatBuffer(), compute(engine, threads: threads))
        }
      }
    }
  }

  /// 1 to 17 rows of x, of widths that fill no vector, and of a part of the outputs; against sums in double precision.
  @Test(arguments: [(37, 16), (26, 100), (51, 577)], formats)
  func aFewRowsAtOnce(_ shape: (Int, Int), _ format: HalfMatrix.Format) {
    let (outputs, inputs) = shape
    let bits = noise(outputs * inputs, seed: 31).map { value in
      format == .bfloat16 ? UInt16(value.bitPattern >> 16) : Float16(value).bitPattern
    }
    let weights = bits.map { Self.value($0, format) }
    let matrix = Self.matrix(bits, format, rows: outputs, columns: inputs)
    for m in 1...17 {
      let (x, start) = (noise(m * inputs, seed: 32), noise(m * (outputs + 2), seed: 33))
      for (first, accumulates) in [(0, false), (4, true)] {
        let n = outputs - first
        let products = [1, 2].map { threads in
          start.changed { y in
            withOperands { operand in
              let term = ProductTerm(
                operand(x), rowStride: inputs, k: inputs, .halfTransposed(matrix), firstColumn: first)
              ProductSum(m: m, n: n, term, addend: accumulates ? Floats(y) : nil, addendStride: outputs + 2)
                .compute(into: y, stride: outputs + 2, scratch: FloatBuffer(), compute(.auto, threads: threads))
            }
          }
        }
        #expect(sameBits(products[0], products[1]))
        for row in 0..<m {
          for column in 0..<outputs + 2 {
            let place = row * (outputs + 2) + column
            if column >= n {
              #expect(products[0][place] == start[place], "wrote beyond its columns")
              continue
            }
            var (sum, magnitude) = (accumulates ? Double(start[place]) : 0, Double(abs(start[place])))
            for i in 0..<inputs {
              let each = Double(weights[(first + column) * inputs + i]) * Double(x[row * inputs + i])
              (sum, magnitude) = (sum + each, magnitude + abs(each))
            }
            #expect(abs(Double(products[0][place]) - sum) <= Double(inputs + 2) * 0x1p-24 * magnitude, "\(m) rows")
          }
        }
      }
    }
  }
}
