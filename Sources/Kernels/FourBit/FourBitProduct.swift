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

  /// y[count, R] = x · Wᵀ of all of a matrix of whole blocks, x [count, C] with at most eight rows, in 16-bit integers; with the
  /// instructions for neural networks, or without: both give the same bits. Nothing is done where the CPU has no AVX-512.
  package static func multiplyIntegers(
    _ matrix: FourBitMatrix, _ x: Floats, count: Int, into y: MutableFloats, usesVNNI: Bool
  ) {
    precondition((1...8).contains(count) && matrix.inputs % FourBitMatrix.blockSize == 0)
    guard RowPrecision.int16.isAvailable else { return }
    let size = sft_four_bit_integers(matrix.inputs)
    var integers = [Int16](repeating: 0, count: count * size)
    var scales = [Float](repeating: 0, count: count * size / 128)
    sft_four_bit_arrange_integers(x, matrix.inputs, count, matrix.inputs, &integers, &scales)
    withUnsafePointer(to: matrix.memory) {
      sft_four_bit_multiply_integers(
        $0, matrix.code.integers, matrix.code.integerScale, 0, matrix.outputs, matrix.inputs, integers, scales, count,
        y,
        matrix.outputs, 0, usesVNNI ? 1 : 0)
    }
  }
}
