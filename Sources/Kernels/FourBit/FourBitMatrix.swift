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
    memory.row_width = Self.looksUpByRow(inputs) ? inputs : 0
    switch statistics {
    case .plain(let absmax): memory.absmax = absmax
    case .nested(let codes, let absmax, let table, let offset):
      memory.absmax_codes = codes
      memory.nested_absmax = absmax
      memory.nested_table = table
      memory.offset = offset
    }
  }

  /// Whether blocks' statistics are looked up row by row, ⌊inputs / 64⌋ a row, although blocks do not heed the rows.
  ///
  /// That is how bitsandbytes (0.50) decodes on CPUs with AVX-512 where inputs are a multiple of 16 but not of 64: weights
  /// get a neighbouring block's absmax and are about twice as far from the original ones. Its other code does not; but
  /// what is computed here is to be what transformers computes from the same folder on the same machine. No model in use
  /// has such widths.
  package static func looksUpByRow(_ inputs: Int) -> Bool { inputs % 16 == 0 && inputs % blockSize != 0 }

  public var count: Int { outputs * inputs }
  public var blocks: Int { (count + Self.blockSize - 1) / Self.blockSize }

  /// The absmax of a block, rounded after each operation as bitsandbytes does.
  public func absmax(_ block: Int) -> Float {
    precondition((0..<blocks).contains(block))
    return withUnsafePointer(to: memory) { sft_four_bit_absmax($0, block) }
  }

  /// The block whose statistics an element of the flattened matrix is decoded with.
  func block(of index: Int) -> Int {
    guard Self.looksUpByRow(inputs) else { return index / Self.blockSize }
    return index / inputs * (inputs / Self.blockSize) + index % inputs / Self.blockSize
  }

  /// One element of the flattened matrix.
  func element(_ index: Int) -> Float {
    let byte = memory.packed[index / 2]
    return memory.table[Int(index % 2 == 0 ? byte >> 4 : byte & 15)] * absmax(block(of: index))
  }
}
