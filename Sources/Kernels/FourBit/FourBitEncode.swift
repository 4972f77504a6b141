import CKernels
import Core
import Synchronization

extension FourBit {
  /// How a linear's weights lie in memory.
  public enum Layout: Sendable {
    /// [R, C], as torch's `Linear` has them.
    case outputsByInputs
    /// [C, R], as GPT-2's `Conv1D` has them.
    case inputsByOutputs
  }

  /// Rows that are transposed at a time: any number of columns then gives whole blocks.
  private static let transposedRows = FourBitMatrix.blockSize

  /// Quantises a matrix of R outputs × C inputs as bitsandbytes does on CPUs: `packed` gets (R · C + 1) / 2 bytes,
  /// `absmax` a float32 for each block of 64 of the flattened [R, C].
  ///
  /// An infinity or NaN cannot be quantised: false where there is one, with `packed` and `absmax` not filled. From [C, R]
  /// each thread needs scratch of 64 rows.
  public static func encode(
    _ weights: Floats, layout: Layout, outputs: Int, inputs: Int, as code: FourBitCode,
    packed: UnsafeMutablePointer<UInt8>, absmax: MutableFloats, _ compute: Compute
  ) -> Bool {
    let encoder = code.encoder
    let finite = Atomic<Bool>(true)
    nonisolated(unsafe) let (weights, packed, absmax) = (weights, packed, absmax)
    // `first` is the start of a block, and thereby even.
    @Sendable func encode(_ values: Floats, at first: Int, count: Int) {
      let (bytes, statistics) = (packed + first / 2, absmax + first / FourBitMatrix.blockSize)
      let failure =
        compute.engine == .plain
        ? encodePlain(encoder, values, count, bytes, statistics)
        : withUnsafePointer(to: encoder) { sft_four_bit_encode($0, values, count, bytes, statistics) }
      if failure >= 0 { finite.store(false, ordering: .relaxed) }
    }
    switch layout {
    case .outputsByInputs:
      let (block, count) = (FourBitMatrix.blockSize, outputs * inputs)
      compute.overRanges((count + block - 1) / block, grain: 1 << 10) { range in
        let first = range.lowerBound * block
        encode(weights + first, at: first, count: min(range.upperBound * block, count) - first)
      }
    case .inputsByOutputs:
      parallelFor((outputs + transposedRows - 1) / transposedRows, threads: compute.threads) { group in
        let row = group * transposedRows
        let rows = min(transposedRows, outputs - row)
        withUnsafeTemporaryAllocation(of: Float.self, capacity: rows * inputs) { scratch in
          guard let values = scratch.baseAddress else { return }
          sft_transpose(weights + row, outputs, inputs, rows, values)
          encode(values, at: row * inputs, count: rows * inputs)
        }
      }
    }
    return finite.load(ordering: .relaxed)
  }

  /// The reference: as `sft_four_bit_encode`.
  private static func encodePlain(
    _ encoder: sft_four_bit_code, _ values: Floats, _ count: Int, _ packed: UnsafeMutablePointer<UInt8>,
    _ absmax: MutableFloats
  ) -> Int {
    let smallest: Float = 1e-38
    let bounds = withUnsafeBytes(of: encoder.bounds) { Array($0.bindMemory(to: Float.self)) }
    func code(_ value: Float) -> UInt8 {
      let below = bounds.reduce(0) { $0 + ($1 < value ? 1 : 0) }
      return UInt8(truncatingIfNeeded: encoder.order >> UInt64(4 * below)) & 15
    }
    for first in stride(from: 0, to: count, by: FourBitMatrix.blockSize) {
      let (block, end) = (first / FourBitMatrix.blockSize, min(first + FourBitMatrix.blockSize, count))
      let isWhole = end - first == FourBitMatrix.blockSize
      guard (first..<end).allSatisfy({ values[$0].isFinite }) else { return block }
      let largest = (first..<end).reduce(0) { max($0, abs(values[$1])) }
      absmax[block] = isWhole ? largest : max(largest, smallest)
      let divisor = max(largest, smallest)
      func scaled(_ index: Int) -> Float {
        if index >= end { return 0 }
        return isWhole ? values[index] * (1 / divisor) : values[index] / divisor
      }
      for index in stride(from: first, to: end, by: 2) {
        packed[index / 2] = code(scaled(index)) << 4 | code(scaled(index + 1))
      }
    }
    return -1
  }
}
