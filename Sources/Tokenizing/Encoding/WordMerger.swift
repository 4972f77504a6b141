/// Byte pair encoding of one word (Sennrich, Haddow, Birch 2016, over bytes as in GPT-2): as long as a pair of
/// neighbours merges, the pair of the lowest rank does, the leftmost of equals.
///
/// Holds the scratch space of one thread.
final class WordMerger {
  /// Longer words take the heap: n log n where the plain scan is n².
  private static let scanLimit = 40

  private let merges: MergeTable
  private let alphabet: Alphabet
  /// The tokens of bytes where each stands for itself or for nothing, which is the quickest.
  private let byteTokens: [Int32]?
  /// Symbols of a word, before it is merged.
  private var word: [Int32] = []
  private let symbols: UnsafeMutablePointer<Int32>
  private let ranks: UnsafeMutablePointer<UInt32>
  private let results: UnsafeMutablePointer<Int32>

  init(merges: MergeTable, alphabet: Alphabet) {
    self.merges = merges
    self.alphabet = alphabet
    if case .bytes(let tokens) = alphabet.kind, alphabet.unknown == nil {
      byteTokens = tokens
    } else {
      byteTokens = nil
    }
    symbols = .allocate(capacity: Self.scanLimit)
    ranks = .allocate(capacity: Self.scanLimit)
    results = .allocate(capacity: Self.scanLimit)
  }

  deinit {
    symbols.deallocate()
    ranks.deallocate()
    results.deallocate()
  }

  /// Appends the tokens of a word of `count` ≥ 1 bytes. What has no token and nothing that stands for it is as if it were
  /// not there.
  func encode(_ bytes: UnsafePointer<UInt8>, _ count: Int, into ids: inout [Int32]) {
    if let byteTokens, count <= Self.scanLimit {
      var length = 0
      for index in 0..<count {
        symbols[length] = byteTokens[Int(bytes[index])]
        if symbols[length] >= 0 { length += 1 }
      }
      append(scan(length), to: &ids)
      return
    }
    word.removeAll(keepingCapacity: true)
    alphabet.appendSymbols(bytes, count, into: &word)
    if word.count <= Self.scanLimit {
      for (index, symbol) in word.enumerated() { symbols[index] = symbol }
      append(scan(word.count), to: &ids)
    } else {
      var queue = MergeQueue(merges: merges, symbols: word)
      queue.mergeAll(into: &ids)
      // One enormous word should not hold its memory for ever.
      if word.capacity > 1 << 22 { word = [] }
    }
  }

  @inline(__always)
  private func append(_ count: Int, to ids: inout [Int32]) {
    for index in 0..<count { ids.append(symbols[index]) }
  }

  /// Merges the first `length` of `symbols` and returns how many are left.
  private func scan(_ length: Int) -> Int {
    guard length > 0 else { return 0 }
    for index in 0..<(length - 1) { setPair(index) }
    var pairs = length - 1
    while pairs > 0 {
      var best = 0
      var bestRank = ranks[0]
      for index in 1..<max(pairs, 1) where ranks[index] < bestRank {
        best = index
        bestRank = ranks[index]
      }
      if bestRank == MergeTable.noRank { break }
      symbols[best] = results[best]
      for index in best..<(pairs - 1) {
        symbols[index + 1] = symbols[index + 2]
        ranks[index] = ranks[index + 1]
        results[index] = results[index + 1]
      }
      pairs -= 1
      if best < pairs { setPair(best) }
      if best > 0 { setPair(best - 1) }
    }
    return pairs + 1
  }

  @inline(__always)
  private func setPair(_ index: Int) {
    let found = merges.find(symbols[index], symbols[index + 1])
    ranks[index] = found.rank
    results[index] = found.result
  }
}

/// Merges the symbols of a long word: symbols in a linked list, pairs in a binary heap.
private struct MergeQueue {
  let merges: MergeTable
  /// A symbol that was merged into the one on its left is -1.
  var symbols: [Int32]
  var next: [Int32]
  var previous: [Int32]
  /// Rank × 2³² + position of the left symbol: ordered by rank, then from the left.
  var heap: [UInt64] = []

  init(merges: MergeTable, symbols: [Int32]) {
    precondition(symbols.count < Int(Int32.max))
    self.merges = merges
    self.symbols = symbols
    next = (0..<symbols.count).map { $0 + 1 < symbols.count ? Int32($0 + 1) : -1 }
    previous = (0..<symbols.count).map { Int32($0 - 1) }
    heap.reserveCapacity(symbols.count)
    for position in 0..<(symbols.count - 1) { push(position) }
  }

  mutating func mergeAll(into ids: inout [Int32]) {
    while let top = pop() {
      let position = Int(top & 0xffff_ffff)
      // Of a pair that is no longer there, because one of its symbols merged with another neighbour.
      guard symbols[position] >= 0, next[position] >= 0 else { continue }
      let right = Int(next[position])
      let pair = merges.find(symbols[position], symbols[right])
      guard pair.rank == UInt32(top >> 32) else { continue }
      symbols[position] = pair.result
      symbols[right] = -1
      next[position] = next[right]
      if next[right] >= 0 {
        previous[Int(next[right])] = Int32(position)
        push(position)
      }
      if previous[position] >= 0 { push(Int(previous[position])) }
    }
    for symbol in symbols where symbol >= 0 { ids.append(symbol) }
  }

  /// Adds the pair whose left symbol is at `position`, if it merges.
  private mutating func push(_ position: Int) {
    let rank = merges.find(symbols[position], symbols[Int(next[position])]).rank
    guard rank != MergeTable.noRank else { return }
    let key = UInt64(rank) << 32 | UInt64(position)
    var hole = heap.count
    heap.append(key)
    while hole > 0 {
      let parent = (hole - 1) / 2
      if heap[parent] <= key { break }
      heap[hole] = heap[parent]
      hole = parent
    }
    heap[hole] = key
  }

  private mutating func pop() -> UInt64? {
    guard let top = heap.first else { return nil }
    let key = heap.removeLast()
    if heap.isEmpty { return top }
    var hole = 0
    while true {
      var child = 2 * hole + 1
      if child >= heap.count { break }
      if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
      if heap[child] >= key { break }
      heap[hole] = heap[child]
      hole = child
    }
    heap[hole] = key
    return top
  }
}
