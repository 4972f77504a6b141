import Kernels

/// One layer's keys and values of a sequence, a row for each token. Where a window hides rows from every query that is still to
/// come, they are let go; memory grows with what is kept.
final class KeyValueLayer {
  private let keyWidth: Int
  private let window: Int?
  /// [room, keys | values].
  private var buffer = FloatBuffer()
  private var room = 0
  /// The row that the buffer begins with: a whole number of attention's tiles, so that tiles, and with them the bits of what is
  /// attended to, are those of a sequence that is kept whole.
  private(set) var first = 0

  private static let tile = PanelMatrix.panelColumns

  /// `keepsAll`: as though there were no window.
  init(_ layer: AttentionLayer, keepsAll: Bool) {
    keyWidth = layer.valueOffset - layer.keyOffset
    window = keepsAll ? nil : layer.kernel.window
  }

  private var width: Int { 2 * keyWidth }

  var bytes: Int { room * width * MemoryLayout<Float>.stride }

  /// The first row that is kept where a query stands at `row`.
  private func firstSeen(from row: Int) -> Int {
    window.map { max(0, row - $0 + 1) / Self.tile * Self.tile } ?? 0
  }

  /// Whether all is there that a query at `row` sees.
  func reaches(_ row: Int) -> Bool { first <= firstSeen(from: row) }

  func forget() { first = 0 }

  /// Takes keys and values that lie side by side in rows of `stride`, as rows `count` and on. The sequence has `limit` at most.
  func store(_ keys: Floats, stride: Int, rows: Int, after count: Int, limit: Int) {
    makeRoom(for: rows, after: count, limit: limit)
    let base = buffer.pointer + (count - first) * width
    for row in 0..<rows { (base + row * width).update(from: keys + row * stride, count: width) }
  }

  /// Becomes a copy of the first `count` rows of another.
  func copy(_ other: KeyValueLayer, count: Int, limit: Int) {
    first = other.first
    if count - first > room { resize(toHold: count - first, from: first, count: first, limit: limit) }
    buffer.pointer.update(from: other.buffer.pointer, count: (count - first) * width)
  }

  /// Its first `count` rows, for queries of which the first stands at row `position`.
  func span(_ count: Int, seenFrom position: Int) -> KeySpan {
    KeySpan(
      keys: Floats(buffer.pointer), values: Floats(buffer.pointer) + keyWidth, count: count - first, stride: width,
      causalOffset: position - first)
  }

  private func makeRoom(for added: Int, after count: Int, limit: Int) {
    let start = max(first, firstSeen(from: count))
    let needed = count + added - start
    // A long prompt's rows are not kept for the sake of a short window.
    let isWasteful = window != nil && room > 8 * max(needed, Self.tile)
    if count + added - first <= room, !isWasteful { return }
    if 2 * needed <= room, !isWasteful {
      buffer.pointer.update(from: buffer.pointer + (start - first) * width, count: (count - start) * width)
      first = start
    } else {
      resize(toHold: needed, from: start, count: count, limit: limit)
    }
  }

  /// Rows `start..<count` move to memory of another size: twice what is needed, or twice what there was, so that a
  /// token costs a few moves at most however long the sequence becomes.
  private func resize(toHold needed: Int, from start: Int, count: Int, limit: Int) {
    let wished = window == nil ? max(needed, 2 * room) : 2 * needed
    room = min((wished + Self.tile - 1) / Self.tile * Self.tile, limit - start)
    let grown = FloatBuffer(room * width)
    grown.pointer.update(from: buffer.pointer + (start - first) * width, count: (count - start) * width)
    (buffer, first) = (grown, start)
  }
}
