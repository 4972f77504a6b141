/// Turns text into token ids. One per thread: it holds scratch space and a cache of words.
///
/// The ids do not depend on what was encoded before.
public final class TokenEncoder {
  private let model: TokenizerModel
  private let splitter: WordSplitter
  private let merger: WordMerger
  private let cache = WordCache()
  /// The pieces' texts, joined, and `WordCache.padding` zero bytes.
  private var text: [UInt8] = []
  private var literals: [Range<Int>] = []
  private var sections: [TextSection] = []

  init(_ model: TokenizerModel) {
    self.model = model
    splitter = WordSplitter(model.split.pattern)
    merger = WordMerger(merges: model.merges, byteTokens: model.byteTokens)
  }

  /// The ids of a text in which no special token is recognised.
  public func encode(_ text: String) -> [Int32] {
    var ids: [Int32] = []
    encode([TextPiece(text: text, recognisesSpecialTokens: false)], into: &ids)
    return ids
  }

  /// Appends the ids of the pieces' texts, taken as one joined text: tokens may span pieces, but a special token only
  /// counts where it lies wholly inside one piece that recognises them.
  ///
  /// Time is proportional to the text, times the logarithm of its longest word. No limit on the text's length but 2 GB
  /// for a word.
  public func encode(_ pieces: [TextPiece], into ids: inout [Int32]) {
    text.removeAll(keepingCapacity: true)
    literals.removeAll(keepingCapacity: true)
    for piece in pieces {
      let start = text.count
      text.append(contentsOf: piece.text.utf8)
      if piece.recognisesSpecialTokens, text.count > start { literals.append(start..<text.count) }
    }
    let count = text.count
    guard count > 0 else { return }
    for _ in 0..<WordCache.padding { text.append(0) }
    text.withUnsafeBufferPointer { buffer in
      guard let bytes = buffer.baseAddress else { return }
      encodeSections(bytes, count, into: &ids)
    }
    // One enormous text should not hold its memory for ever.
    if text.capacity > 1 << 24 { text = [] }
  }

  /// Finds added tokens: those looked for first, then in what they leave those looked for later.
  private func encodeSections(_ bytes: UnsafePointer<UInt8>, _ count: Int, into ids: inout [Int32]) {
    sections.removeAll(keepingCapacity: true)
    find(model.added, bytes, 0, count)
    guard !isIdle(model.addedLater) else {
      for section in sections { encode(section, bytes, into: &ids) }
      return
    }
    let found = sections
    for section in found {
      guard section.id == nil else {
        encode(section, bytes, into: &ids)
        continue
      }
      sections.removeAll(keepingCapacity: true)
      find(model.addedLater, bytes, section.start, section.end)
      for part in sections { encode(part, bytes, into: &ids) }
    }
  }

  private func isIdle(_ matcher: AddedTokenMatcher) -> Bool {
    matcher.isEmpty || matcher.allSpecial && literals.isEmpty
  }

  private func find(_ matcher: AddedTokenMatcher, _ bytes: UnsafePointer<UInt8>, _ start: Int, _ end: Int) {
    if isIdle(matcher) {
      sections.append(TextSection(id: nil, start: start, end: end))
    } else {
      matcher.sections(bytes, start, end, literals: literals, into: &sections)
    }
  }

  private func encode(_ section: TextSection, _ bytes: UnsafePointer<UInt8>, into ids: inout [Int32]) {
    if let id = section.id {
      ids.append(id)
    } else if model.split.addPrefixSpace, bytes[section.start] != 0x20 {
      let part = UnsafeBufferPointer(start: bytes + section.start, count: section.end - section.start)
      let padding = [UInt8](repeating: 0, count: WordCache.padding)
      ([0x20] + Array(part) + padding).withUnsafeBufferPointer { prefixed in
        if let prefixed = prefixed.baseAddress { encodeDigits(prefixed, 0, part.count + 1, into: &ids) }
      }
    } else {
      encodeDigits(bytes, section.start, section.end, into: &ids)
    }
  }

  /// Sets every digit apart, where the tokenizer does.
  private func encodeDigits(_ bytes: UnsafePointer<UInt8>, _ start: Int, _ end: Int, into ids: inout [Int32]) {
    guard model.split.isolatesDigits else { return encodeWords(bytes, start, end, into: &ids) }
    var done = start
    var at = start
    while at < end {
      let (point, length) = bytes[at] < 0x80 ? (Int(bytes[at]), 1) : decodeScalar(bytes + at)
      if let scalar = Unicode.Scalar(UInt32(point)), CharacterClass.isDigit(scalar) {
        encodeWords(bytes, done, at, into: &ids)
        encodeWords(bytes, at, at + length, into: &ids)
        done = at + length
      }
      at += length
    }
    encodeWords(bytes, done, end, into: &ids)
  }

  private func encodeWords(_ bytes: UnsafePointer<UInt8>, _ start: Int, _ end: Int, into ids: inout [Int32]) {
    var at = start
    while at < end {
      let wordEnd = splitter.wordEnd(bytes, from: at, to: end)
      encodeWord(bytes + at, wordEnd - at, into: &ids)
      at = wordEnd
    }
  }

  @inline(__always)
  private func encodeWord(_ word: UnsafePointer<UInt8>, _ count: Int, into ids: inout [Int32]) {
    guard count <= WordCache.longestWord else { return encodeNewWord(word, count, into: &ids) }
    let key = WordCache.Key(word, count)
    let slot = cache.slot(for: key)
    if let known = cache.find(key, in: slot) {
      for index in 0..<known.count { ids.append(known.ids[index]) }
      return
    }
    let first = ids.count
    encodeNewWord(word, count, into: &ids)
    cache.store(key, in: slot, ids[first...])
  }

  private func encodeNewWord(_ word: UnsafePointer<UInt8>, _ count: Int, into ids: inout [Int32]) {
    if let words = model.words, let number = words.find(UnsafeBufferPointer(start: word, count: count)) {
      ids.append(model.wordIDs[number])
    } else {
      merger.encode(word, count, into: &ids)
    }
  }
}
