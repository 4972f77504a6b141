import CKernels

/// Operations on 4-bit matrices. R outputs × C inputs.
public enum FourBit {
  /// panel[rows, C] = those rows as float32: the very values that bitsandbytes' `dequantize_4bit` gives.
  public static func decode(_ matrix: FourBitMatrix, rows: Range<Int>, into panel: MutableFloats, _ compute: Compute) {
    precondition(rows.lowerBound >= 0 && rows.upperBound <= matrix.outputs)
    decode(matrix, elements: rows.lowerBound * matrix.inputs..<rows.upperBound * matrix.inputs, into: panel, compute)
  }

  /// values = the elements of a range of the flattened matrix as float32, with the instructions of an x86-64 `level`.
  package static func decode(
    _ matrix: FourBitMatrix, elements: Range<Int>, into values: MutableFloats, level: Int32 = sft_cpu_level(),
    _ compute: Compute
  ) {
    nonisolated(unsafe) let values = values
    compute.overRanges(elements.count, grain: 1 << 17) { range in
      let first = elements.lowerBound + range.lowerBound
      switch compute.engine {
      case .auto:
        withUnsafePointer(to: matrix.memory) {
          sft_four_bit_decode(level, $0, first, range.count, values + range.lowerBound)
        }
      case .plain: for index in range { values[index] = matrix.element(elements.lowerBound + index) }
      }
    }
  }
}
