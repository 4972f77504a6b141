/// Cuts a stretch of text between added tokens into words and encodes them.
final class WordEncoder {
  private let model: TokenizerModel
  private let steps: [PreTokenizer.Step]
  /// By step: what finds its words, and text that it writes anew.
  private let splitters: [WordSplitter?]
  private var written: [[UInt8]]
  private let merger: WordMerger
  private let cache = WordCache()

  init(_ model: TokenizerModel) {
    self.model = model
    steps = model.preTokenizer.steps
    splitters = steps.map { step in
      switch step {
      case .words(let pattern): WordSplitter(pattern)
      case .split(let split):
        if case .regex(let pattern) = split.pattern { WordSplitter(pattern) } else { nil }
      default: nil
      }
    }
    written = steps.map { _ in [] }
    merger = WordMerger(merges: model.merges, alphabet: model.alphabet)
  }

  /// Appends the ids of `text[start..<end]`; `WordCache.padding` bytes after it must be readable. `begins` is what
  /// begins there.
  func encode(_ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ begins: TextStart, into ids: inout [Int32]) {
    guard end > start else { return }
    cut(text, start, end, 0, begins, into: &ids)
  }

  /// Applies the steps from `index` on.
  private func cut(
    _ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ index: Int, _ begins: TextStart, into ids: inout [Int32]
  ) {
    guard index < steps.count else { return encodeWord(text, start, end, into: &ids) }
    switch steps[index] {
    case .words:
      guard let splitter = splitters[index] else { return }
      if index == steps.count - 1 { return encodeWords(text, start, end, splitter, into: &ids) }
      var at = start
      while at < end {
        let wordEnd = splitter.wordEnd(text, from: at, to: end)
        cut(text, at, wordEnd, index + 1, at == start ? begins : .segment, into: &ids)
        at = wordEnd
      }
    case .digits(let individual):
      cutDigits(text, start, end, individual: individual) { from, to in
        cut(text, from, to, index + 1, from == start ? begins : .segment, into: &ids)
      }
    case .split(let split):
      split.forEachPiece(text, start, end, splitters[index]) { from, to in
        cut(text, from, to, index + 1, from == start ? begins : .segment, into: &ids)
      }
    case .prefixSpace:
      guard text[start] != 0x20, begins != .nothing else { return cut(text, start, end, index + 1, begins, into: &ids) }
      rewrite(index, { $0 = [0x20] + UnsafeBufferPointer(start: text + start, count: end - start) }) { bytes, count in
        cut(bytes, 0, count, index + 1, begins, into: &ids)
      }
    case .metaspace(let metaspace):
      rewrite(
        index, { metaspace.write(UnsafeBufferPointer(start: text + start, count: end - start), begins, to: &$0) }
      ) {
        bytes, count in
        metaspace.forEachWord(bytes, count) { from, to in
          cut(bytes, from, to, index + 1, from == 0 ? begins : .segment, into: &ids)
        }
      }
    }
  }

  /// Calls `body` with a text that a step has written, and its length.
  private func rewrite(
    _ index: Int, _ write: (inout [UInt8]) -> Void, _ body: (UnsafePointer<UInt8>, Int) -> Void
  ) {
    var bytes = written[index]
    bytes.removeAll(keepingCapacity: true)
    write(&bytes)
    let count = bytes.count
    for _ in 0..<WordCache.padding { bytes.append(0) }
    bytes.withUnsafeBufferPointer { buffer in
      if let base = buffer.baseAddress { body(base, count) }
    }
    written[index] = bytes.capacity > 1 << 24 ? [] : bytes
  }

  /// Numerals as pieces, each or together, and what stands between them.
  private func cutDigits(
    _ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, individual: Bool, _ body: (Int, Int) -> Void
  ) {
    var done = start
    var at = start
    var wasDigit = false
    while at < end {
      var (isDigit, length) = (text[at] &- 0x30 < 10, 1)
      if text[at] >= 0x80 {
        let point: Int
        (point, length) = decodeScalar(text + at)
        isDigit = Unicode.Scalar(UInt32(point)).map(CharacterClass.isDigit) ?? false
      }
      if isDigit != wasDigit || isDigit && individual {
        if done < at { body(done, at) }
        done = at
      }
      wasDigit = isDigit
      at += length
    }
    if done < end { body(done, end) }
  }

  /// The loop is written out for the two patterns that most text is cut by, so that none asks which it is at every word.
  private func encodeWords(
    _ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ splitter: WordSplitter, into ids: inout [Int32]
  ) {
    switch splitter.pattern {
    case .gpt2: encodeWords(text, start, end, into: &ids) { splitter.gpt2WordEnd(text, $0, end) }
    case .modern(let digits):
      encodeWords(text, start, end, into: &ids) { splitter.modernWordEnd(text, $0, end, digits) }
    default: encodeWords(text, start, end, into: &ids) { splitter.wordEnd(text, from: $0, to: end) }
    }
  }

  @inline(__always)
  private func encodeWords(
    _ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, into ids: inout [Int32], _ wordEnd: (Int) -> Int
  ) {
    var at = start
    while at < end {
      let next = wordEnd(at)
      encodeKnown(text + at, next - at, into: &ids)
      at = next
    }
  }

  /// A word, cut further where that changes nothing.
  private func encodeWord(_ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, into ids: inout [Int32]) {
    guard let joints = model.joints, model.words == nil else {
      return encodeKnown(text + start, end - start, into: &ids)
    }
    var at = start
    while at < end {
      let next = joints.cut(text, from: at, to: end)
      encodeKnown(text + at, next - at, into: &ids)
      at = next
    }
  }

  /// A word that is perhaps in the cache.
  @inline(__always)
  private func encodeKnown(_ word: UnsafePointer<UInt8>, _ count: Int, into ids: inout [Int32]) {
    guard count <= WordCache.longestWord else { return encodeNew(word, count, into: &ids) }
    let key = WordCache.Key(word, count)
    let slot = cache.slot(for: key)
    if let known = cache.find(key, in: slot) {
      for index in 0..<known.count { ids.append(known.ids[index]) }
      return
    }
    let first = ids.count
    encodeNew(word, count, into: &ids)
    cache.store(key, in: slot, ids[first...])
  }

  private func encodeNew(_ word: UnsafePointer<UInt8>, _ count: Int, into ids: inout [Int32]) {
    if let words = model.words, let number = words.find(UnsafeBufferPointer(start: word, count: count)) {
      ids.append(model.wordIDs[number])
    } else {
      merger.encode(word, count, into: &ids)
    }
  }
}
