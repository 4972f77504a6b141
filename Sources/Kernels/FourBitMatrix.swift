import CKernels

/// Where a 4-bit matrix lies in memory, for the kernels: pointers that somebody else keeps valid.
///
/// R outputs × C inputs, flattened row by row, in blocks of 64 elements that do not heed the rows; the last one may be
/// short. The format is that of bitsandbytes' `Linear4bit`.
public struct FourBitMatrix: Sendable {
  /// Elements that share an absmax.
  public static let blockSize = Int(SFT_FOUR_BIT_BLOCK)
  /// Blocks whose absmax share a nested absmax.
  public static let nestedBlockSize = Int(SFT_NESTED_BLOCK)

  /// The absmax of the blocks.
  public enum Statistics {
    /// float32, one a block.
    case plain(Floats)
    /// `table[codes[block]] · absmax[block / 256] + offset`; the table has 256 values.
    case nested(codes: UnsafePointer<UInt8>, absmax: Floats, table: Floats, offset: Float)
  }

  public let code: FourBitCode
  public let outputs: Int
  public let inputs: Int
  nonisolated(unsafe) var memory: sft_four_bit

  /// `packed`: two codes a byte, the first in the high nibble; (outputs · inputs + 1) / 2 bytes.
  public init(
    code: FourBitCode, outputs: Int, inputs: Int, packed: UnsafePointer<UInt8>, statistics: Statistics
  ) {
    self.code = code
    self.outputs = outputs
    self.inputs = inputs
    memory = sft_four_bit()
    memory.packed = packed
    memory.table = code.table
    switch statistics {
    case .plain(let absmax): memory.absmax = absmax
    case .nested(let codes, let absmax, let table, let offset):
      memory.absmax_codes = codes
      memory.nested_absmax = absmax
      memory.nested_table = table
      memory.offset = offset
    }
  }

  public var count: Int { outputs * inputs }
  public var blocks: Int { (count + Self.blockSize - 1) / Self.blockSize }

  /// The absmax of a block, rounded after each operation as bitsandbytes does.
  public func absmax(_ block: Int) -> Float {
    precondition((0..<blocks).contains(block))
    return withUnsafePointer(to: memory) { sft_four_bit_absmax($0, block) }
  }

  /// One element of the flattened matrix.
  func element(_ index: Int) -> Float {
    let byte = memory.packed[index / 2]
    return memory.table[Int(index % 2 == 0 ? byte >> 4 : byte & 15)] * absmax(index / Self.blockSize)
  }
}
