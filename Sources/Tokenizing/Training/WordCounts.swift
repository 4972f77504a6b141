import Core

/// Distinct words of a text and how often each occurs. Words are cut as GPT-2's tokenizer cuts them, line by line: each
/// line with its end is a text of its own, as where Hugging Face's trainer reads files.
struct WordCounts: Sendable {
  private(set) var words = ByteTable(capacity: 1 << 12)
  private(set) var counts: [Int] = []
  private var capacity = 1 << 12

  /// `bytes` are UTF-8 and end at the end of a line, or of the text.
  mutating func add(_ bytes: UnsafeBufferPointer<UInt8>, _ splitter: WordSplitter) {
    guard let base = bytes.baseAddress else { return }
    var start = 0
    while start < bytes.count {
      var end = start
      while end < bytes.count, base[end] != 0x0a { end += 1 }
      end = min(end + 1, bytes.count)
      while start < end {
        let wordEnd = splitter.wordEnd(base, from: start, to: end)
        add(UnsafeBufferPointer(start: base + start, count: wordEnd - start), count: 1)
        start = wordEnd
      }
    }
  }

  mutating func add(_ other: WordCounts) {
    for number in 0..<other.words.count {
      other.words[number].withUnsafeBufferPointer { add($0, count: other.counts[number]) }
    }
  }

  private mutating func add(_ word: UnsafeBufferPointer<UInt8>, count: Int) {
    if let number = words.find(word) {
      counts[number] += count
      return
    }
    if words.count == capacity { grow() }
    _ = words.insert(word)
    counts.append(count)
  }

  private mutating func grow() {
    capacity *= 2
    var larger = ByteTable(capacity: capacity)
    for number in 0..<words.count { _ = words[number].withUnsafeBufferPointer { larger.insert($0) } }
    words = larger
  }
}
