import Kernels

/// One layer's keys and values of a sequence, in blocks, which sequences that begin alike share: one that is to be written to
/// is copied first where another sequence has it too. Where a window hides a block from every query that is still to come, it
/// is let go.
struct KeyValueLayer {
  private let keyWidth: Int
  private let window: Int?
  private let pool: KeyValuePool
  /// The first ones nil where a window has let them go.
  private var blocks: [KeyValueBlock?] = []
  /// How many of the first blocks are let go.
  private var gone = 0

  private static let rows = KeyValuePool.blockTokens

  /// `keepsAll`: as though there were no window.
  init(_ layer: AttentionLayer, _ pool: KeyValuePool, keepsAll: Bool) {
    keyWidth = layer.keyValueColumns / 2
    window = keepsAll ? nil : layer.kernel.window
    self.pool = pool
  }

  private var width: Int { 2 * keyWidth }

  /// Of all its blocks, shared ones too.
  var bytes: Int { (blocks.count - gone) * Self.rows * width * MemoryLayout<Float>.stride }

  /// The first row that a query at `row` sees.
  private func firstSeen(from row: Int) -> Int { window.map { max(0, row - $0 + 1) } ?? 0 }

  /// Whether all is there that a query at `row` sees.
  func reaches(_ row: Int) -> Bool { gone * Self.rows <= firstSeen(from: row) }

  /// Keeps the first `count` rows.
  mutating func truncate(to count: Int) {
    blocks.removeLast(max(0, blocks.count - (count + Self.rows - 1) / Self.rows))
    gone = min(gone, blocks.count)
  }

  /// Takes keys and values that lie side by side in rows of `stride`, as rows `count` and on.
  mutating func store(_ keys: Floats, stride: Int, rows: Int, after count: Int) {
    let hidden = min(firstSeen(from: count) / Self.rows, blocks.count)
    while gone < hidden {
      blocks[gone] = nil
      gone += 1
    }
    var row = 0
    while row < rows {
      let (index, first) = ((count + row) / Self.rows, (count + row) % Self.rows)
      let some = min(Self.rows - first, rows - row)
      let block = writable(index, used: first)
      for next in 0..<some {
        (block.pointer + (first + next) * width).update(from: keys + (row + next) * stride, count: width)
      }
      row += some
    }
  }

  /// The block with that index, or a new one behind the last, which no other sequence has; `used` rows of it are kept.
  private mutating func writable(_ index: Int, used: Int) -> KeyValueBlock {
    if index == blocks.count {
      let block = KeyValueBlock(pool, width: width)
      blocks.append(block)
      return block
    }
    if !isKnownUniquelyReferenced(&blocks[index]), let shared = blocks[index] {
      blocks[index] = KeyValueBlock(copying: shared, rows: used, width: width)
    }
    guard let block = blocks[index] else { preconditionFailure("a block that was let go is written to") }
    return block
  }

  /// Its first `count` rows, for queries of which the first stands at row `position`.
  func spans(_ count: Int, seenFrom position: Int) -> [KeySpan] {
    (gone..<blocks.count).compactMap { index in
      let first = index * Self.rows
      return blocks[index].map { block in
        KeySpan(
          keys: Floats(block.pointer), values: Floats(block.pointer) + keyWidth, count: min(Self.rows, count - first),
          stride: width, causalOffset: position - first)
      }
    }
  }
}
