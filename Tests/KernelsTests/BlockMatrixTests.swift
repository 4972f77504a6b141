import CKernels
import Files
import TestSupport
import Testing

import Kernels

/// Matrices in ggml's blocks: against what gguf-py decodes them to, and their products against those of the decoded ones.
@Suite struct BlockMatrixTests {
  static let levels = ProductSumTests.levels

  /// Memory of a matrix, at an odd address.
  private final class Bytes {
    private let memory: UnsafeMutablePointer<UInt8>
    var first: UnsafePointer<UInt8> { UnsafePointer(memory + 1) }

    init(_ values: [UInt8]) {
      memory = .allocate(capacity: values.count + 1)
      memory.initialize(to: 0)
      (memory + 1).initialize(from: values, count: values.count)
    }

    deinit { memory.deallocate() }
  }

  static func matrix(_ bytes: [UInt8], _ kind: BlockMatrix.Kind, outputs: Int, inputs: Int) -> BlockMatrix {
    let memory = Bytes(bytes)
    return BlockMatrix(memory.first, kind, outputs: outputs, inputs: inputs, keptBy: memory)
  }

  /// Random bytes with scales that make values of about 1, both signs among them.
  static func bytes(_ kind: BlockMatrix.Kind, _ blocks: Int, seed: UInt64 = 1) -> [UInt8] {
    var bytes = noise(blocks * kind.blockBytes, seed: seed).map { UInt8(truncatingIfNeeded: $0.bitPattern >> 3) }
    let (scale, scales): (Float, [Int]) =
      switch kind {
      case .q4_0, .q4_1: (0.2, kind == .q4_0 ? [0] : [0, 2])
      case .q8_0: (0.01, [0])
      case .q4_K, .q5_K: (0.003, [0, 2])
      case .q6_K: (0.0005, [208])
      }
    for block in 0..<blocks {
      for (number, place) in scales.enumerated() {
        // What is subtracted is half of the range that it is subtracted from.
        let sign: Float = block % 3 == 2 ? -1 : 1
        let factor: Float = number == 0 ? 1 : kind == .q4_1 ? -8 : 8
        let bits = Float16(scale * sign * factor * (1 + 0.1 * Float(block % 5))).bitPattern
        bytes[block * kind.blockBytes + place] = UInt8(truncatingIfNeeded: bits)
        bytes[block * kind.blockBytes + place + 1] = UInt8(bits >> 8)
      }
    }
    return bytes
  }

  static func decoded(_ matrix: BlockMatrix, level: Int32 = 0) -> [Float] {
    [Float](repeating: .nan, count: matrix.count).changed {
      matrix.decode(row: 0, column: 0, count: matrix.count, into: $0, level: level)
    }
  }

  /// What a `NAME.bin` of `Tests/Fixtures/ggml-blocks` holds.
  private static func fixture(_ kind: BlockMatrix.Kind) throws -> (blocks: [UInt8], values: [UInt32]) {
    let bytes = try readFile(fixturesFolder + "/ggml-blocks/" + kind.rawValue + ".bin")
    let count = bytes.count / (kind.blockBytes + 4 * kind.blockLength)
    let values = bytes[(count * kind.blockBytes)...]
    return (
      Array(bytes[..<(count * kind.blockBytes)]),
      stride(from: values.startIndex, to: values.endIndex, by: 4).map { place in
        (0..<4).reduce(0) { $0 | UInt32(bytes[place + $1]) << (8 * UInt32($1)) }
      }
    )
  }

  @Test(arguments: BlockMatrix.Kind.allCases)
  func `Every element has the bits that ggml gives it, at every level`(kind: BlockMatrix.Kind) throws {
    let (blocks, values) = try Self.fixture(kind)
    #expect(values.count >= 512 && values.count == blocks.count / kind.blockBytes * kind.blockLength)
    let matrix = Self.matrix(blocks, kind, outputs: values.count / kind.blockLength, inputs: kind.blockLength)
    for level in [0] + Self.levels {
      #expect(Self.decoded(matrix, level: level).map(\.bitPattern) == values, "level \(level)")
      // Parts that begin and end anywhere, within a run of codes and beyond a row.
      for range in [0..<1, 5..<6, 31..<33, 1..<64, 30..<97, 33..<values.count, 64..<128, 200..<511] {
        let part = [Float](repeating: -1, count: range.count + 1).changed {
          matrix.decode(row: 0, column: range.lowerBound, count: range.count, into: $0, level: level)
        }
        #expect(part.dropLast().map(\.bitPattern) == Array(values[range]) && part.last == -1, "\(range)")
      }
    }
    let rows = [Float](repeating: -1, count: 2 * kind.blockLength).changed {
      matrix.decode(rows: 1..<3, into: $0, compute(.auto))
    }
    #expect(rows.map(\.bitPattern) == Array(values[kind.blockLength..<3 * kind.blockLength]))
  }

  @Test(arguments: BlockMatrix.Kind.allCases)
  func `Infinite scales are found, and sizes that are none`(kind: BlockMatrix.Kind) {
    var bytes = Self.bytes(kind, 40)
    func isFinite() -> Bool {
      Self.matrix(bytes, kind, outputs: 8, inputs: 5 * kind.blockLength).isFinite(compute(.auto))
    }
    #expect(isFinite())
    let places: [Int] =
      switch kind {
      case .q4_0, .q8_0: [0]
      case .q4_1, .q4_K, .q5_K: [0, 2]
      case .q6_K: [208]
      }
    for place in places {
      let index = 37 * kind.blockBytes + place + 1
      let kept = bytes[index]
      // The exponent of infinities and of what is no number.
      bytes[index] |= 0x7c
      #expect(!isFinite())
      bytes[index] = kept
    }
    #expect(kind.bytes(outputs: 3, inputs: 2 * kind.blockLength) == 6 * kind.blockBytes)
    #expect(kind.bytes(outputs: 3, inputs: kind.blockLength + 16) == nil)
    #expect(kind.bytes(outputs: -1, inputs: kind.blockLength) == nil)
    #expect(kind.bytes(outputs: .max / 2, inputs: kind.blockLength) == nil)
  }

  private struct Case {
    let (m, outputs, inputs): (Int, Int, Int)
    let matrix: BlockMatrix
    let weight: [Float]

    /// A shape of rows, outputs and blocks of a row.
    init(_ shape: (Int, Int, Int), _ kind: BlockMatrix.Kind) {
      (m, outputs, inputs) = (shape.0, shape.1, shape.2 * kind.blockLength)
      let bytes = BlockMatrixTests.bytes(kind, outputs * shape.2)
      matrix = BlockMatrixTests.matrix(bytes, kind, outputs: outputs, inputs: inputs)
      weight = BlockMatrixTests.decoded(matrix)
    }

    /// C of the matrix as it is, and of its transpose; all of it, and from some row and column on, with a second term and bias.
    func compare(_ tolerance: Double, _ body: (ProductSum, MutableFloats) -> Void) {
      withOperands { operand in
        let stored = operand(weight)
        let (a, a2) = (operand(noise(m * max(outputs, inputs), seed: 1)), operand(noise(m * 5, seed: 3)))
        let most = max(outputs, inputs)
        let (b2, bias) = (operand(noise(5 * most, seed: 4)), operand(noise(most, seed: 6)))
        for (row, column) in [(0, 0), (outputs / 3, 0), (outputs / 3, inputs / 2 + 5)] {
          let (rows, columns) = (outputs - row, inputs - column)
          for (factor, plain, n, k, first) in [
            (
              ProductFactor.blocks(matrix), ProductFactor.stored(stored, stride: inputs), columns, rows, (row, column)
            ),
            (.blocksTransposed(matrix), .transposed(stored, stride: inputs), rows, columns, (column, row)),
          ] {
            for isWhole in [true, false] {
              func result(_ factor: ProductFactor) -> [Float] {
                let term = ProductTerm(a, rowStride: k, k: k, factor, firstRow: first.0, firstColumn: first.1)
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

  /// Rows, outputs, and blocks of 256 elements' worth of inputs.
  static let shapes = [(1, 1, 1), (1, 133, 3), (2, 5, 2), (7, 65, 1), (26, 64, 4), (31, 70, 5), (40, 300, 1)]

  @Test(arguments: shapes, BlockMatrix.Kind.allCases)
  func `On panels it is the decoded weight's sum`(shape: (Int, Int, Int), kind: BlockMatrix.Kind) {
    let product = Case(shape, kind)
    for level in Self.levels {
      for threads in [1, 2] {
        product.compare(0) { sum, c in
          sum.computeOnPanels(
            into: c, stride: sum.n, scratch: FloatBuffer(), level: level, compute(.auto, threads: threads))
        }
      }
    }
  }

  @Test(arguments: shapes, BlockMatrix.Kind.allCases)
  func `By OpenBLAS it is the decoded weight's sum`(shape: (Int, Int, Int), kind: BlockMatrix.Kind) {
    Case(shape, kind).compare(1e-5) { sum, c in
      sum.computeByOpenBLAS(into: c, stride: sum.n, scratch: FloatBuffer(), compute(.auto))
    }
  }

  /// The way that is chosen, one row and a few among them.
  @Test(arguments: shapes, BlockMatrix.Kind.allCases)
  func `The product is the decoded weight's`(shape: (Int, Int, Int), kind: BlockMatrix.Kind) {
    let product = Case(shape, kind)
    for engine in Engine.allCases {
      for threads in [1, 2] {
        product.compare(1e-5) { sum, c in
          sum.compute(into: c, stride: sum.n, scratch: FloatBuffer(), compute(engine, threads: threads))
        }
      }
    }
  }

  /// 1 to 17 rows of x, of a part of the outputs; against sums in double precision, and with AVX-512 each against itself alone.
  @Test(arguments: [(37, 1), (26, 3), (51, 18)], BlockMatrix.Kind.allCases)
  func `A few rows at once are each row alone`(shape: (Int, Int), kind: BlockMatrix.Kind) {
    let (outputs, inputs) = (shape.0, kind.blockLength == 32 ? shape.1 * 32 : min(shape.1, 5) * 256)
    let matrix = Self.matrix(
      Self.bytes(kind, outputs * inputs / kind.blockLength), kind, outputs: outputs, inputs: inputs)
    let weights = Self.decoded(matrix)
    for m in 1...17 {
      let (x, start) = (noise(m * inputs, seed: 32), noise(m * (outputs + 2), seed: 33))
      for (first, accumulates) in [(0, false), (4, true)] {
        let n = outputs - first
        func product(_ rows: Range<Int>, _ y: MutableFloats, threads: Int) {
          withOperands { operand in
            let term = ProductTerm(
              operand(x) + rows.lowerBound * inputs, rowStride: inputs, k: inputs, .blocksTransposed(matrix),
              firstColumn: first)
            let y = y + rows.lowerBound * (outputs + 2)
            ProductSum(m: rows.count, n: n, term, addend: accumulates ? Floats(y) : nil, addendStride: outputs + 2)
              .compute(into: y, stride: outputs + 2, scratch: FloatBuffer(), compute(.auto, threads: threads))
          }
        }
        let products = [1, 2].map { threads in start.changed { product(0..<m, $0, threads: threads) } }
        #expect(sameBits(products[0], products[1]))
        if sft_cpu_level() >= 4, m <= 16 {
          let alone = start.changed { y in for row in 0..<m { product(row..<row + 1, y, threads: 2) } }
          #expect(sameBits(alone, products[0]), "\(m) rows")
        }
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

  /// One row of x at every level, of all outputs and of some: the same bits.
  @Test(arguments: [(1, 1), (13, 2), (40, 7)], BlockMatrix.Kind.allCases)
  func `An output does not depend on the others`(shape: (Int, Int), kind: BlockMatrix.Kind) {
    let (outputs, inputs) = (shape.0, shape.1 * kind.blockLength)
    let matrix = Self.matrix(Self.bytes(kind, outputs * shape.1), kind, outputs: outputs, inputs: inputs)
    let (weights, x) = (Self.decoded(matrix), noise(inputs, seed: 41))
    for level in Self.levels {
      func product(_ rows: Range<Int>) -> [Float] {
        [Float](repeating: .nan, count: rows.count).changed { y in
          withOperands {
            matrix.multiply(
              rows, $0(x), stride: inputs, count: 1, into: y, stride: rows.count, accumulate: false, level: level)
          }
        }
      }
      let all = product(0..<outputs)
      for rows in [0..<1, outputs / 3..<outputs, outputs / 2..<outputs * 3 / 4] {
        #expect(sameBits(product(rows), Array(all[rows])), "level \(level)")
      }
      for row in 0..<outputs {
        let terms = (0..<inputs).map { Double(weights[row * inputs + $0]) * Double(x[$0]) }
        let bound = Double(inputs + 2) * 0x1p-24 * terms.reduce(0) { $0 + abs($1) }
        #expect(abs(Double(all[row]) - terms.reduce(0, +)) <= bound, "level \(level)")
      }
    }
  }

  @Test(arguments: BlockMatrix.Kind.allCases)
  func `Embeddings are its rows`(kind: BlockMatrix.Kind) {
    let width = 2 * kind.blockLength
    let matrix = Self.matrix(Self.bytes(kind, 14), kind, outputs: 7, inputs: width)
    let weights = Self.decoded(matrix)
    let x = [Float](repeating: .nan, count: 6 * width).changed {
      Embedding.forward(
        words: .blockRows(matrix), places: nil, tokens: EmbeddingTests.tokens, positions: [], $0, width: width,
        compute(.auto))
    }
    #expect(sameBits(x, EmbeddingTests.tokens.flatMap { weights[Int($0) * width..<(Int($0) + 1) * width] }))
  }
}
