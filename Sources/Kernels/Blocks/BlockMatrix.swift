import CKernels
import Core
import Synchronization

/// A frozen matrix in ggml's quantised blocks, as GGUF files hold it, where it is stored: decoded a panel at a time in products
/// and in registers where a few rows are multiplied, so that it never exists as a whole in float32.
///
/// R outputs × C inputs, row-major; a row is of whole blocks. Each element is decoded to the very bits that ggml's own reference
/// gives.
public struct BlockMatrix: Sendable {
  /// The types of blocks, by ggml's names.
  public enum Kind: String, Sendable, CaseIterable {
    case q4_0 = "Q4_0"
    case q4_1 = "Q4_1"
    case q8_0 = "Q8_0"
    case q4_K = "Q4_K"
    case q5_K = "Q5_K"
    case q6_K = "Q6_K"

    /// As the kernels number them.
    var number: Int32 {
      switch self {
      case .q4_0: Int32(SFT_Q4_0)
      case .q4_1: Int32(SFT_Q4_1)
      case .q8_0: Int32(SFT_Q8_0)
      case .q4_K: Int32(SFT_Q4_K)
      case .q5_K: Int32(SFT_Q5_K)
      case .q6_K: Int32(SFT_Q6_K)
      }
    }

    /// Elements of a block: 32 or 256.
    public var blockLength: Int { sft_block_length(number) }
    /// Bytes of a block.
    public var blockBytes: Int { sft_block_bytes(number) }

    /// Bytes of a matrix; nil where its rows are not of whole blocks, or there are more than can be counted.
    public func bytes(outputs: Int, inputs: Int) -> Int? {
      guard outputs >= 0, inputs >= 0, inputs % blockLength == 0 else { return nil }
      // Its elements have numbers too.
      let (elements, isTooMany) = outputs.multipliedReportingOverflow(by: inputs)
      let (bytes, isTooLarge) = (elements / blockLength).multipliedReportingOverflow(by: blockBytes)
      return isTooMany || isTooLarge ? nil : bytes
    }
  }

  public let kind: Kind
  public let outputs: Int
  public let inputs: Int
  private nonisolated(unsafe) let blocks: UnsafePointer<UInt8>
  /// Whoever keeps the memory.
  private nonisolated(unsafe) let owner: AnyObject

  /// `blocks` are `kind.bytes(outputs:inputs:)` bytes at any address, kept by `owner`; inputs are whole blocks.
  public init(_ blocks: UnsafePointer<UInt8>, _ kind: Kind, outputs: Int, inputs: Int, keptBy owner: AnyObject) {
    precondition(kind.bytes(outputs: outputs, inputs: inputs) != nil, "rows are not of whole blocks")
    self.blocks = blocks
    self.kind = kind
    self.outputs = outputs
    self.inputs = inputs
    self.owner = owner
  }

  public var count: Int { outputs * inputs }
  /// Bytes that the blocks take.
  public var bytes: Int { outputs * rowBytes }
  private var rowBytes: Int { inputs / kind.blockLength * kind.blockBytes }

  /// y = `count` values from a row and column on, which may go on into the next rows; on the caller's thread.
  public func decode(row: Int, column: Int = 0, count: Int, into y: MutableFloats) {
    decode(row: row, column: column, count: count, into: y, level: sft_cpu_level())
  }

  /// As `decode`, with the instructions of an x86-64 level; below 3, and on other CPUs, it is the plain reference.
  package func decode(row: Int, column: Int, count: Int, into y: MutableFloats, level: Int32) {
    sft_blocks_decode(level, kind.number, blocks + row * rowBytes, column, count, y)
  }

  /// panel[rows, C] = those rows as float32.
  public func decode(rows: Range<Int>, into panel: MutableFloats, _ compute: Compute) {
    precondition(rows.lowerBound >= 0 && rows.upperBound <= outputs)
    nonisolated(unsafe) let panel = panel
    let level = compute.engine == .plain ? 0 : sft_cpu_level()
    compute.overRanges(rows.count, grain: max(1, (1 << 17) / max(1, inputs))) { some in
      decode(
        row: rows.lowerBound + some.lowerBound, column: 0, count: some.count * inputs,
        into: panel + some.lowerBound * inputs, level: level)
    }
  }

  /// y[count, rows] (+)= x[count, C] · Wᵀ of some rows, on the caller's thread, with the instructions of an x86-64 level; x's
  /// rows are `stride` apart, y's `yStride`. At most `sft_blocks_most_rows` of x. At one level each product is the same bits,
  /// whichever others are asked for.
  package func multiply(
    _ rows: Range<Int>, _ x: Floats, stride: Int, count: Int, into y: MutableFloats, stride yStride: Int,
    accumulate: Bool, level: Int32
  ) {
    sft_blocks_multiply(
      level, kind.number, blocks + rows.lowerBound * rowBytes, rows.count, inputs, x, stride, count, y, yStride,
      accumulate ? 1 : 0)
  }

  /// Whether all elements are finite: whether the blocks' scales are.
  public func isFinite(_ compute: Compute) -> Bool {
    let all = count / kind.blockLength
    let finite = Atomic<Bool>(true)
    compute.overRanges(all, grain: 1 << 12) { some in
      let first = blocks + some.lowerBound * kind.blockBytes
      if sft_blocks_are_finite(kind.number, first, some.count) == 0 { finite.store(false, ordering: .relaxed) }
    }
    return finite.load(ordering: .relaxed)
  }
}
