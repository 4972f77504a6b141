import CKernels

extension FourBit {
  /// y[R] = W x, or += where it accumulates; W is R of the matrix's outputs, [R, C] in 4 bits, x has C elements. For
  /// generation, which multiplies one row at a time and is bound by reading the weights.
  ///
  /// Each output is computed by one thread in one order, so that the result does not depend on the number of threads.
  public static func multiply(
    _ matrix: FourBitMatrix, outputs: Range<Int>, _ x: Floats, into y: MutableFloats, accumulate: Bool = false,
    _ compute: Compute
  ) {
    multiply(matrix, outputs: outputs, x, into: y, accumulate: accumulate, level: sft_cpu_level(), compute)
  }

  /// y[R] = W x, or += where it accumulates, with the instructions of an x86-64 `level`; W is R of the matrix's outputs, [R, C]
  /// in 4 bits, x has C elements.
  package static func multiply(
    _ matrix: FourBitMatrix, outputs: Range<Int>, _ x: Floats, into y: MutableFloats, accumulate: Bool, level: Int32,
    _ compute: Compute
  ) {
    precondition(outputs.lowerBound >= 0 && outputs.upperBound <= matrix.outputs)
    let width = matrix.inputs
    switch compute.engine {
    case .plain:
      for (index, output) in outputs.enumerated() {
        var sum = 0.0
        for i in 0..<width { sum += Double(matrix.element(output * width + i)) * Double(x[i]) }
        y[index] = accumulate ? y[index] + Float(sum) : Float(sum)
      }
    case .auto:
      let part = RowProducts.Part(matrix: .fourBit(matrix), outputs: outputs, y: y, accumulate: accumulate)
      RowProducts(x: x, width: width, parts: [part]).compute(level: level, compute)
    }
  }

  /// y[count, R] = x · Wᵀ of all of a matrix of whole blocks, x [count, C] with at most eight rows, in integers, with the
  /// instructions of an x86-64 `level`; with those for neural networks, or without: both give the same bits. Nothing is done
  /// where the CPU has no AVX2, or in float32.
  package static func multiplyIntegers(
    _ matrix: FourBitMatrix, _ x: Floats, count: Int, into y: MutableFloats, precision: RowPrecision,
    level: Int32 = sft_cpu_level(), usesVNNI: Bool
  ) {
    precondition((1...8).contains(count) && matrix.inputs % FourBitMatrix.blockSize == 0 && level <= sft_cpu_level())
    guard precision.isAvailable else { return }
    let (inputs, outputs) = (matrix.inputs, matrix.outputs)
    withUnsafePointer(to: matrix.memory) { memory in
      switch precision {
      case .float32: break
      case .int16:
        var integers = [Int16](repeating: 0, count: count * sft_four_bit_integers(level, inputs))
        var scales = [Float](repeating: 0, count: count * sft_four_bit_integer_scales(level, inputs))
        sft_four_bit_arrange_integers(
          level, matrix.code.integerScale, x, inputs, count, inputs, &integers, &scales)
        sft_four_bit_multiply_integers(
          level, memory, matrix.code.integers, 0, outputs, inputs, integers, scales, count, y, outputs, 0,
          usesVNNI ? 1 : 0)
      case .int8:
        var bytes = [Int8](repeating: 0, count: count * inputs)
        var scales = [Float](repeating: 0, count: count * sft_four_bit_byte_scales(inputs))
        var corrections = scales
        withUnsafePointer(to: matrix.code.bytes) {
          sft_four_bit_arrange_bytes($0, x, inputs, count, inputs, &bytes, &scales, &corrections)
          sft_four_bit_multiply_bytes(
            memory, $0, 0, outputs, inputs, bytes, scales, corrections, count, y, outputs, 0, usesVNNI ? 1 : 0)
        }
      }
    }
  }
}
