import Core

/// Trains byte-level BPE (Sennrich, Haddow, Birch 2016, over GPT-2's words and bytes): again and again the pair of
/// neighbouring tokens that occurs most often becomes a token.
///
/// Gives the merges of Hugging Face's `BpeTrainer` over `ByteLevel` words, ties included: among pairs that occur equally
/// often the one with the lower left id, then the lower right id, comes first. Ids: special tokens, then the 256 bytes in
/// the order of their stand-ins, then a token a merge. Counts are kept up to date word by word, so that a merge costs what
/// it changes.
struct BPETrainer {
  /// Rarer pairs are not merged.
  var minimumCount: Int
  var vocabularySize: Int
  var specialTokens: [String]

  private(set) var tokens: [String] = []
  private(set) var merges: [Merge] = []
  private var ids: [String: Int32] = [:]
  private var pairs = PairCounts()
  private var queue = PairQueue()
  /// Ids of each word's tokens.
  private var words: [[Int32]] = []
  private var counts: [Int] = []

  init(vocabularySize: Int, minimumCount: Int, specialTokens: [String]) {
    self.vocabularySize = vocabularySize
    self.minimumCount = minimumCount
    self.specialTokens = specialTokens
  }

  /// Tokens that there are before the first merge.
  static func smallestVocabulary(specialTokens: Int) -> Int { specialTokens + 256 }

  mutating func train(_ text: WordCounts, progress: (Int) -> Void) {
    let byteIDs = addAlphabet()
    counts = text.counts
    words = (0..<text.words.count).map { word in text.words[word].map { byteIDs[Int($0)] } }
    countPairs()
    while tokens.count < vocabularySize, var entry = queue.pop() {
      let count = pairs.counts[entry.number]
      if entry.count != count {
        entry.count = count
        queue.push(entry)
        continue
      }
      if count < max(1, minimumCount) { break }
      merge(entry)
      progress(tokens.count)
    }
  }

  /// Returns the id of each byte.
  private mutating func addAlphabet() -> [Int32] {
    for token in specialTokens { add(token) }
    var byteIDs = [Int32](repeating: 0, count: 256)
    for (byte, point) in ByteAlphabet.points.enumerated().sorted(by: { $0.element < $1.element }) {
      guard let scalar = Unicode.Scalar(point) else { continue }
      byteIDs[byte] = add(String(Character(scalar)))
    }
    return byteIDs
  }

  /// The token's id; there may be one already, where two ways lead to it.
  @discardableResult
  private mutating func add(_ token: String) -> Int32 {
    if let id = ids[token] { return id }
    ids[token] = Int32(tokens.count)
    tokens.append(token)
    return Int32(tokens.count - 1)
  }

  private mutating func countPairs() {
    for (index, word) in words.enumerated() {
      for (left, right) in zip(word, word.dropFirst()) { change(left, right, by: counts[index], in: index) }
    }
    for number in pairs.keys.indices { enqueue(number) }
  }

  /// `word` is noted where the pair has become more frequent in it. Returns the pair's number.
  @discardableResult
  private mutating func change(_ left: Int32, _ right: Int32, by change: Int, in word: Int) -> Int {
    let number = pairs.number(left, right)
    pairs.counts[number] += change
    if change > 0, pairs.words[number].last != Int32(word) { pairs.words[number].append(Int32(word)) }
    return number
  }

  private mutating func enqueue(_ number: Int) {
    let words = pairs.words[number]
    pairs.words[number] = []
    guard pairs.counts[number] > 0, !words.isEmpty else { return }
    queue.push(
      PairQueue.Entry(count: pairs.counts[number], key: pairs.keys[number], number: number, words: words))
  }

  private mutating func merge(_ entry: PairQueue.Entry) {
    let (left, right) = (Int32(truncatingIfNeeded: entry.key >> 32), Int32(truncatingIfNeeded: entry.key))
    let result = add(tokens[Int(left)] + tokens[Int(right)])
    merges.append(Merge(left: left, right: right, result: result))
    var grown: [Int] = []
    for word in entry.words { replace(left, right, by: result, in: Int(word), &grown) }
    for number in grown { enqueue(number) }
  }

  /// Replaces the pair in a word, from the left, and counts the pairs that go and come beside it.
  private mutating func replace(
    _ left: Int32, _ right: Int32, by result: Int32, in word: Int, _ grown: inout [Int]
  ) {
    let count = counts[word]
    let old = words[word]
    var new: [Int32] = []
    new.reserveCapacity(old.count)
    var at = 0
    while at < old.count {
      guard old[at] == left, at + 1 < old.count, old[at + 1] == right else {
        new.append(old[at])
        at += 1
        continue
      }
      if let before = new.last {
        change(before, left, by: -count, in: word)
        grown.append(change(before, result, by: count, in: word))
      }
      new.append(result)
      at += 2
      if at < old.count {
        change(right, old[at], by: -count, in: word)
        grown.append(change(result, old[at], by: count, in: word))
      }
    }
    words[word] = new
  }
}
