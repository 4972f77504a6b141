import Kernels

/// Where the blocks of key/value caches come from and go back to: memory that is used again, and counted.
///
/// For one thread at a time, as the caches that take from it.
public final class KeyValuePool {
  /// Tokens of a block: one of attention's tiles, so that a sequence in blocks gives the bits of one that lies in one piece.
  public static let blockTokens = PanelMatrix.panelColumns

  /// Taken by blocks that are in use, each counted once however many sequences share it.
  public private(set) var bytes = 0
  /// Blocks that are not in use, by the floats of one.
  private var free: [Int: [FloatBuffer]] = [:]

  public init() {}

  /// What a sequence of so many tokens takes in all layers, whole blocks of it, if it shares nothing and windows hide nothing.
  public static func bytes(of tokens: Int, _ decoder: Decoder) -> Int {
    let blocks = (tokens + blockTokens - 1) / blockTokens
    return decoder.blocks.reduce(0) { $0 + blocks * blockTokens * $1.attention.keyValueColumns }
      * MemoryLayout<Float>.stride
  }

  fileprivate func take(_ count: Int) -> FloatBuffer {
    bytes += count * MemoryLayout<Float>.stride
    return free[count]?.popLast() ?? FloatBuffer(count)
  }

  fileprivate func giveBack(_ buffer: FloatBuffer, _ count: Int) {
    bytes -= count * MemoryLayout<Float>.stride
    free[count, default: []].append(buffer)
  }
}

/// Keys and values of some consecutive tokens in one layer: [64, keys | values].
final class KeyValueBlock {
  private let pool: KeyValuePool
  private let buffer: FloatBuffer
  private let count: Int

  init(_ pool: KeyValuePool, width: Int) {
    self.pool = pool
    count = KeyValuePool.blockTokens * width
    buffer = pool.take(count)
  }

  /// A block of its own with the first rows of another.
  convenience init(copying other: KeyValueBlock, rows: Int, width: Int) {
    self.init(other.pool, width: width)
    buffer.pointer.update(from: other.buffer.pointer, count: rows * width)
  }

  deinit { pool.giveBack(buffer, count) }

  var pointer: MutableFloats { buffer.pointer }
}
