/// How often each pair of neighbouring tokens occurs, and in which words: a flat hash table with linear probing, at most
/// half full. Pairs are numbered in the order in which they are met; `key` is left id × 2³² + right id.
struct PairCounts {
  private(set) var keys: [UInt64] = []
  /// By number. Not taken back for the pair that is merged, as in Hugging Face's trainer.
  var counts: [Int] = []
  /// By number: words that hold the pair since the last merge that made it.
  var words: [[Int32]] = []
  /// Number + 1, or 0.
  private var slots = [Int32](repeating: 0, count: 1 << 12)

  static func key(_ left: Int32, _ right: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
  }

  /// The number of a pair, a new one where it has none yet.
  mutating func number(_ left: Int32, _ right: Int32) -> Int {
    let key = Self.key(left, right)
    var slot = Self.hash(key) & (slots.count - 1)
    while slots[slot] != 0 {
      let number = Int(slots[slot]) - 1
      if keys[number] == key { return number }
      slot = (slot + 1) & (slots.count - 1)
    }
    keys.append(key)
    counts.append(0)
    words.append([])
    slots[slot] = Int32(keys.count)
    if keys.count * 2 > slots.count { grow() }
    return keys.count - 1
  }

  private mutating func grow() {
    slots = [Int32](repeating: 0, count: slots.count * 2)
    for (number, key) in keys.enumerated() {
      var slot = Self.hash(key) & (slots.count - 1)
      while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
      slots[slot] = Int32(number + 1)
    }
  }

  private static func hash(_ key: UInt64) -> Int {
    Int(truncatingIfNeeded: (key &* 0x9e37_79b9_7f4a_7c15) >> 32)
  }
}

/// Pairs to be merged, the most frequent first and among equals the one of the lower ids: a binary heap.
struct PairQueue {
  struct Entry {
    /// As it was when the entry was made; the pair may have become rarer.
    var count: Int
    var key: UInt64
    var number: Int
    /// Words that hold it.
    var words: [Int32]

    func precedes(_ other: Entry) -> Bool { count != other.count ? count > other.count : key < other.key }
  }

  private var entries: [Entry] = []

  mutating func push(_ entry: Entry) {
    entries.append(entry)
    var child = entries.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      if !entries[child].precedes(entries[parent]) { break }
      entries.swapAt(child, parent)
      child = parent
    }
  }

  mutating func pop() -> Entry? {
    guard let last = entries.popLast() else { return nil }
    guard let first = entries.first else { return last }
    entries[0] = last
    var parent = 0
    while true {
      var best = parent
      for child in [2 * parent + 1, 2 * parent + 2]
      where child < entries.count && entries[child].precedes(entries[best]) { best = child }
      if best == parent { return first }
      entries.swapAt(best, parent)
      parent = best
    }
  }
}
