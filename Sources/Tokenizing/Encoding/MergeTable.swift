/// Merges by their pair of token ids: a flat hash table with linear probing, at most half full.
final class MergeTable: Sendable {
  /// Rank of a pair that does not merge.
  static let noRank = UInt32.max

  /// `key` is left id × 2³² + right id; a free slot has `rank` = `noRank`.
  struct Slot {
    var key: UInt64
    var rank: UInt32
    var result: Int32
  }

  let count: Int
  private nonisolated(unsafe) let slots: UnsafeMutablePointer<Slot>
  private let mask: Int

  /// Ranks are the positions in `merges`, or as given. Of a pair that is there twice the later one counts, as in Hugging
  /// Face's.
  init(_ merges: [Merge], ranks: [Int]? = nil) {
    count = merges.count
    var capacity = 16
    while capacity < merges.count * 2 { capacity *= 2 }
    mask = capacity - 1
    slots = .allocate(capacity: capacity)
    slots.initialize(repeating: Slot(key: 0, rank: Self.noRank, result: 0), count: capacity)
    for (position, merge) in merges.enumerated() {
      let rank = ranks?[position] ?? position
      let key = Self.key(merge.left, merge.right)
      var slot = Self.hash(key) & mask
      while slots[slot].rank != Self.noRank, slots[slot].key != key { slot = (slot + 1) & mask }
      slots[slot] = Slot(key: key, rank: UInt32(truncatingIfNeeded: rank), result: merge.result)
    }
  }

  deinit { slots.deallocate() }

  @inline(__always)
  private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
  }

  @inline(__always)
  private static func hash(_ key: UInt64) -> Int {
    Int(truncatingIfNeeded: (key &* 0x9e37_79b9_7f4a_7c15) >> 32)
  }

  /// The rank of a pair, `noRank` where it does not merge, and the token it makes.
  @inline(__always)
  func find(_ left: Int32, _ right: Int32) -> (rank: UInt32, result: Int32) {
    let key = Self.key(left, right)
    var slot = Self.hash(key) & mask
    while slots[slot].rank != Self.noRank {
      if slots[slot].key == key { return (slots[slot].rank, slots[slot].result) }
      slot = (slot + 1) & mask
    }
    return (Self.noRank, 0)
  }
}

/// One merge: two tokens and the one that replaces them.
package struct Merge: Sendable, Equatable {
  package var left: Int32
  package var right: Int32
  package var result: Int32
}
