import CKernels
import TestSupport
import Testing
import Weights

import Kernels
import Quantizing

/// The fast kernels against the plain ones, at every level of instructions that this CPU has.
struct FourBitKernelTests {
  static let levels: [Int32] = [1, 3, 4].filter { $0 <= max(1, sft_cpu_level()) }
  static let shapes = [
    (1, 1), (3, 7), (5, 13), (2, 64), (9, 60), (24, 64), (33, 192), (21, 80), (5, 240), (40, 500), (7, 1025),
    (257, 768),
  ]
  static let plain = Compute(engine: .plain, threads: 1)

  @Test(arguments: shapes, FourBitCode.allCases)
  func `Decoding is exact at every level`(shape: (Int, Int), kind: FourBitCode) throws {
    let (rows, columns) = shape
    for double in [false, true] {
      let quantized = try QuantizedMatrix(noise(7, rows * columns), rows, columns, kind: kind, double: double)
      let expected = quantized.decoded(Self.plain).array
      for level in Self.levels {
        for range in [0..<rows * columns, 1..<rows * columns, rows * columns / 3..<rows * columns * 2 / 3] {
          var values = [Float](repeating: .nan, count: range.count + 1)
          values.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            for threads in [1, 2] {
              FourBit.decode(
                quantized.matrix, elements: range, into: base, level: level, Compute(engine: .auto, threads: threads))
            }
          }
          #expect(values.dropLast().elementsEqual(expected[range]), "level \(level), \(range)")
          #expect(values.last?.isNaN == true, "wrote past the end")
        }
      }
    }
  }

  @Test(arguments: shapes)
  func `A product is the plain one's to rounding, whatever the threads`(shape: (Int, Int)) throws {
    let (rows, columns) = shape
    let quantized = try QuantizedMatrix(noise(8, rows * columns), rows, columns)
    let (x, start) = (noise(9, columns), noise(10, rows))
    let weights = quantized.decoded(Self.plain).array
    func product(_ compute: Compute, _ level: Int32, accumulate: Bool) -> [Float] {
      var y = start
      FourBit.multiply(
        quantized.matrix, outputs: 0..<rows, x, into: &y, accumulate: accumulate, level: level, compute)
      return y
    }
    for accumulate in [false, true] {
      let expected = product(Self.plain, 1, accumulate: accumulate)
      for level in Self.levels {
        let one = product(Compute(engine: .auto, threads: 1), level, accumulate: accumulate)
        #expect(one == product(Compute(engine: .auto, threads: 2), level, accumulate: accumulate))
        // The upper half of the outputs alone.
        for compute in [Self.plain, Compute(engine: .auto, threads: 1), Compute(engine: .auto, threads: 2)] {
          var half = Array(start[(rows / 2)...])
          FourBit.multiply(
            quantized.matrix, outputs: rows / 2..<rows, x, into: &half, accumulate: accumulate, level: level, compute)
          #expect(half == Array((compute.engine == .plain ? expected : one)[(rows / 2)...]))
        }
        for row in 0..<rows {
          // Summing n products in any order errs by at most n · 2⁻²⁴ of the sum of their magnitudes.
          let magnitude = (0..<columns).reduce(abs(start[row])) { $0 + abs(weights[row * columns + $1] * x[$1]) }
          #expect(abs(one[row] - expected[row]) <= Float(columns + 2) * 0x1p-24 * magnitude, "level \(level)")
        }
      }
    }
  }

  /// 1 to 17 x at once, of widths with whole vectors of blocks and with one block over, and of a part of the outputs.
  @Test(arguments: [(37, 64), (26, 192), (51, 576), (29, 1024), (13, 80), (11, 6272)])
  func `A few rows at once are the plain ones to rounding, whatever the threads`(shape: (Int, Int)) throws {
    let (outputs, inputs) = shape
    let quantized = try QuantizedMatrix(noise(21, outputs * inputs), outputs, inputs)
    let weights = quantized.decoded(Self.plain).array
    for rows in 1...17 {
      let (x, start) = (noise(22, rows * inputs), noise(23, rows * (outputs + 3)))
      for (first, accumulates) in [(0, false), (0, true), (5, true)] {
        let n = outputs - first
        func product(_ compute: Compute) -> [Float] {
          var y = start
          y.withUnsafeMutableBufferPointer { y in
            x.withUnsafeBufferPointer { x in
              guard let y = y.baseAddress, let x = x.baseAddress else { return }
              let term = ProductTerm(
                x, rowStride: inputs, k: inputs, .fourBitTransposed(quantized.matrix), firstColumn: first)
              ProductSum(
                m: rows, n: n, term, addend: accumulates ? Floats(y) : nil, addendStride: outputs + 3
              ).compute(into: y, stride: outputs + 3, scratch: FloatBuffer(), compute)
            }
          }
          return y
        }
        let one = product(Compute(engine: .auto, threads: 1))
        #expect(one == product(Compute(engine: .auto, threads: 2)))
        for row in 0..<rows {
          for column in 0..<outputs + 3 {
            let place = row * (outputs + 3) + column
            if column >= n {
              #expect(one[place] == start[place], "wrote beyond its columns")
              continue
            }
            var (sum, magnitude) = (accumulates ? Double(start[place]) : 0, Double(abs(start[place])))
            for i in 0..<inputs {
              let each = Double(weights[(first + column) * inputs + i]) * Double(x[row * inputs + i])
              (sum, magnitude) = (sum + each, magnitude + abs(each))
            }
            #expect(abs(Double(one[place]) - sum) <= Double(inputs + 2) * 0x1p-24 * magnitude, "\(rows) rows")
          }
        }
      }
    }
  }

  /// Integers that rows are rounded to, and an x86-64 level whose instructions multiply them.
  struct Rounding: CustomTestStringConvertible {
    var precision: RowPrecision
    var level: Int32
    var testDescription: String { "\(precision), level \(level)" }
    /// Elements of x with a scale of their own.
    var block: Int { precision == .int16 && level >= 4 ? 128 : 64 }
    /// Half a step of the rounding of x, in parts of the largest of a block.
    var halfStep: Double { precision == .int16 ? 0x1p-15 : 1 / 254.0 }
    /// How far a level may be off.
    var levelError: Double { precision == .int16 ? 3.1e-5 : 5.3e-3 }
    /// The error of all outputs together, in parts of them.
    var relativeError: Double { precision == .int16 ? 2e-4 : 1.5e-2 }
    static let all = [RowPrecision.int16, .int8].flatMap { precision in
      precision.isAvailable
        ? FourBitKernelTests.levels.filter { $0 >= 3 }.map { Rounding(precision: precision, level: $0) } : []
    }
  }

  /// In integers an output errs by the rounding of x and of the levels, and depends on nothing but its row and its x: not on what else
  /// is computed, on the threads, or on the instructions.
  @Test(arguments: [(37, 64), (26, 192), (51, 576), (29, 1024), (11, 12416), (5, 13312)], FourBitCode.allCases)
  func `Rows in integers are the plain ones to their rounding`(shape: (Int, Int), kind: FourBitCode) throws {
    let (outputs, inputs) = shape
    for double in [true, false] {
      let quantized = try QuantizedMatrix(noise(31, outputs * inputs), outputs, inputs, kind: kind, double: double)
      for rounding in Rounding.all { try check(rounding, quantized, outputs, inputs) }
    }
  }

  private func check(_ rounding: Rounding, _ quantized: QuantizedMatrix, _ outputs: Int, _ inputs: Int) throws {
    let weights = quantized.decoded(Self.plain).array
    let x = noise(32, 17 * inputs)
    func integers(_ rows: Range<Int>, vnni: Bool) -> [Float] {
      var y = [Float](repeating: .nan, count: rows.count * outputs)
      x.withUnsafeBufferPointer { x in
        y.withUnsafeMutableBufferPointer { y in
          guard let x = x.baseAddress, let y = y.baseAddress else { return }
          FourBit.multiplyIntegers(
            quantized.matrix, x + rows.lowerBound * inputs, count: rows.count, into: y,
            precision: rounding.precision, level: rounding.level, usesVNNI: vnni)
        }
      }
      return y
    }
    var (errors, squares) = (0.0, 0.0)
    for count in 1...8 {
      let all = integers(0..<count, vnni: true)
      #expect(all == integers(0..<count, vnni: false), "\(rounding)")
      for row in 0..<count {
        #expect(Array(all[row * outputs..<(row + 1) * outputs]) == integers(row..<row + 1, vnni: true), "\(rounding)")
        for output in 0..<outputs {
          var (sum, bound) = (0.0, 0.0)
          for block in stride(from: 0, to: inputs, by: rounding.block) {
            let range = block..<min(block + rounding.block, inputs)
            let largest = Double(range.map { abs(x[row * inputs + $0]) }.max() ?? 0)
            for i in range {
              let (weight, value) = (Double(weights[output * inputs + i]), Double(x[row * inputs + i]))
              sum += weight * value
              let absmax = Double(quantized.matrix.absmax((output * inputs + i) / 64))
              bound += abs(weight) * largest * rounding.halfStep
              bound += absmax * rounding.levelError * (abs(value) + largest * rounding.halfStep)
            }
          }
          let error = Double(all[row * outputs + output]) - sum
          #expect(abs(error) <= bound + 1e-6 * abs(sum), "\(rounding)")
          (errors, squares) = (errors + error * error, squares + sum * sum)
        }
      }
    }
    #expect(errors.squareRoot() < rounding.relativeError * squares.squareRoot(), "\(rounding)")
    guard rounding.level == sft_cpu_level() else { return }
    // As generation has them: one row, and a few at once, accumulated or not, on any threads.
    func product(_ rows: Int, accumulates: Bool, threads: Int) -> [Float] {
      var (y, compute) = (noise(33, rows * outputs), Compute(engine: .auto, threads: threads))
      compute.rowPrecision = rounding.precision
      y.withUnsafeMutableBufferPointer { y in
        x.withUnsafeBufferPointer { x in
          guard let y = y.baseAddress, let x = x.baseAddress else { return }
          let term = ProductTerm(x, rowStride: inputs, k: inputs, .fourBitTransposed(quantized.matrix))
          ProductSum(
            m: rows, n: outputs, term, addend: accumulates ? Floats(y) : nil, addendStride: outputs
          ).compute(into: y, stride: outputs, scratch: FloatBuffer(), compute)
        }
      }
      return y
    }
    for rows in [1, 2, 7, 8, 9, 16] {
      let expected = (0..<rows).flatMap { integers($0..<$0 + 1, vnni: true) }
      for threads in [1, 2] {
        #expect(product(rows, accumulates: false, threads: threads) == expected, "\(rows) rows, \(rounding)")
        #expect(
          product(rows, accumulates: true, threads: threads) == zip(noise(33, rows * outputs), expected).map(+),
          "\(rows) rows, \(rounding)")
      }
    }
  }

  /// What is not a finite number, and what is next to zero, comes out as such.
  @Test(arguments: Rounding.all)
  func `Numbers that are none stay none in integers`(rounding: Rounding) throws {
    let quantized = try QuantizedMatrix(noise(34, 2 * 128), 2, 128)
    for (value, expectation) in [(Float.nan, Float.nan), (.infinity, .nan), (Float(bitPattern: 700), 0), (0, 0)] {
      var x = [Float](repeating: 0, count: 128)
      x[77] = value
      var y: [Float] = [1, 1]
      x.withUnsafeBufferPointer { x in
        y.withUnsafeMutableBufferPointer { y in
          guard let x = x.baseAddress, let y = y.baseAddress else { return }
          FourBit.multiplyIntegers(
            quantized.matrix, x, count: 1, into: y, precision: rounding.precision, level: rounding.level, usesVNNI: true
          )
        }
      }
      #expect(y.allSatisfy { expectation.isNaN ? $0.isNaN : $0 == expectation }, "\(value): \(y)")
    }
  }

  @Test func `Quantising is the same on both engines, layouts and any threads`() throws {
    for (seed, (rows, columns)) in Self.shapes.enumerated() {
      let values = weights(UInt64(seed), rows, columns)
      let settings = QuantizationSettings(kind: seed % 2 == 0 ? .nf4 : .fp4, doubleQuantization: seed % 3 != 0)
      let straight = tensor(values, [rows, columns])
      let turned = tensor(transposed(values, rows, columns), [columns, rows])
      let expected = try QuantizedMatrix(
        straight, layout: .outputsByInputs, name: "x", settings: settings, Self.plain)
      for compute in [Self.plain, Compute(engine: .auto, threads: 1), Compute(engine: .auto, threads: 2)] {
        for (weights, layout) in [(straight, FourBit.Layout.outputsByInputs), (turned, .inputsByOutputs)] {
          let matrix = try QuantizedMatrix(weights, layout: layout, name: "x", settings: settings, compute)
          #expect(matrix.packedBytes == expected.packedBytes)
          #expect(matrix.allAbsmax == expected.allAbsmax)
        }
      }
    }
  }

  @Test func `Decoded values lie within half a step of the weights`() throws {
    let values = noise(11, 64 * 64)
    for kind in FourBitCode.allCases {
      let matrix = try QuantizedMatrix(values, 64, 64, kind: kind, double: false)
      let decoded = matrix.decoded(Compute()).array
      let sorted = kind.values.sorted()
      let widest = zip(sorted, sorted.dropFirst()).reduce(0) { max($0, $1.1 - $1.0) }
      for index in values.indices {
        let absmax = matrix.absmax(index / 64)
        #expect(abs(values[index] - decoded[index]) <= absmax * (widest / 2 + 1e-6))
      }
    }
  }

  @Test func `4.127 bits a weight`() throws {
    let matrix = try QuantizedMatrix(noise(12, 1 << 20), 1024, 1024)
    #expect(abs(Double(matrix.bytes) * 8 / Double(matrix.count) - 4.127) < 0.0005)
    let single = try QuantizedMatrix(noise(12, 1 << 20), 1024, 1024, double: false)
    #expect(single.bytes * 16 == 9 << 20)
  }

  /// Both products of a quantised linear are those with its decoded weights, bit for bit: decoding into a panel changes
  /// nothing but where the weights lie.
  @Test(arguments: [(24, 64), (130, 60), (66, 240), (40, 500), (257, 768), (70, 1600)], FourBitCode.allCases)
  func `On panels a 4-bit weight is its decoded one`(shape: (Int, Int), kind: FourBitCode) throws {
    let (outputs, inputs) = shape
    let rows = 9
    let quantized = try QuantizedMatrix(noise(11, outputs * inputs), outputs, inputs, kind: kind)
    let decoded = quantized.decoded(Self.plain)
    let weights = decoded.pointer
    /// At a level, or by OpenBLAS.
    func product(
      _ n: Int, _ k: Int, _ factor: ProductFactor, firstRow: Int = 0, firstColumn: Int = 0, _ level: Int32?
    ) -> [Float] {
      let x = tensor(noise(12, rows * k), [rows, k])
      let sum = ProductSum(
        m: rows, n: n,
        ProductTerm(x.pointer, rowStride: k, k: k, factor, firstRow: firstRow, firstColumn: firstColumn))
      return [Float](unsafeUninitializedCapacity: rows * n) { buffer, count in
        count = rows * n
        guard let base = buffer.baseAddress else { return }
        let compute = Compute(engine: .auto, threads: 2)
        if let level {
          sum.computeOnPanels(into: base, stride: n, scratch: FloatBuffer(), level: level, compute)
        } else {
          sum.computeByOpenBLAS(into: base, stride: n, scratch: FloatBuffer(), compute)
        }
      }
    }
    // All of the outputs, and those from the eighth on.
    for first in [0, 7] {
      let some = outputs - first
      let forward = product(some, inputs, .transposed(weights, stride: inputs), firstColumn: first, 1)
      let backward = product(inputs, some, .stored(weights, stride: inputs), firstRow: first, 1)
      for level in Self.levels {
        #expect(
          product(some, inputs, .fourBitTransposed(quantized.matrix), firstColumn: first, level)
            == product(some, inputs, .transposed(weights, stride: inputs), firstColumn: first, level))
        #expect(
          product(inputs, some, .fourBit(quantized.matrix), firstRow: first, level)
            == product(inputs, some, .stored(weights, stride: inputs), firstRow: first, level))
      }
      #expect(
        largestError(
          product(some, inputs, .fourBitTransposed(quantized.matrix), firstColumn: first, nil), forward) < 1e-5)
      #expect(
        largestError(product(inputs, some, .fourBit(quantized.matrix), firstRow: first, nil), backward) < 1e-5)
    }
    withExtendedLifetime((quantized, decoded)) {}
  }
}
