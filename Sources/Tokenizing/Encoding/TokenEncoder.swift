/// What a stretch of text begins, which decides what a tokenizer writes before it.
enum TextStart {
  /// The whole text.
  case text
  /// What follows an added token, or another piece that is cut apart.
  case segment
  /// Nothing: it goes on from text before it.
  case nothing
}

/// Turns text into token ids. One per thread: it holds scratch space and a cache of words.
///
/// The ids do not depend on what was encoded before.
public final class TokenEncoder {
  private let model: TokenizerModel
  let words: WordEncoder
  /// The pieces' texts, joined, and `WordCache.padding` zero bytes.
  private var text: [UInt8] = []
  private var literals: [Range<Int>] = []
  private var sections: [TextSection] = []
  /// A stretch between added tokens as it is normalised, and where in it special tokens count.
  private var normalized: [UInt8] = []
  private var normalizedLiterals: [Range<Int>] = []

  init(_ model: TokenizerModel) {
    self.model = model
    words = WordEncoder(model)
  }

  /// The ids of a text in which no special token is recognised.
  public func encode(_ text: String) -> [Int32] {
    var ids: [Int32] = []
    encode([TextPiece(text: text, recognisesSpecialTokens: false)], into: &ids)
    return ids
  }

  /// Appends the ids of the pieces' texts, taken as one joined text: tokens may span pieces, and what a tokenizer writes
  /// before a text stands before the first only; but a special token only counts where it lies wholly inside one piece
  /// that recognises them. So where no piece holds the text of a special token that it does not recognise, and none lies
  /// across two pieces, the ids are those of the joined text with special tokens recognised.
  ///
  /// `last` is the last token of a text that this one goes on from, as an answer from its prompt: no token spans both, but
  /// otherwise the ids are those of the two as one text. nil where the text begins.
  ///
  /// Time is proportional to the text, times the logarithm of its longest word. No limit on the text's length but 2 GB
  /// for a word.
  public func encode(_ pieces: [TextPiece], after last: Int32? = nil, into ids: inout [Int32]) {
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
      let begins = last.map { model.addedIDs.contains($0) ? TextStart.segment : .nothing }
      var start = 0
      if let last, model.strippingIDs.contains(last) { start = spacesEnd(bytes, 0, count) }
      encodeSections(bytes, start, count, begins ?? .text, into: &ids)
    }
    // One enormous text should not hold its memory for ever.
    if text.capacity > 1 << 24 { (text, normalized) = ([], []) }
  }

  /// Finds added tokens: those looked for first, then in what they leave, normalised, those looked for later.
  private func encodeSections(
    _ bytes: UnsafePointer<UInt8>, _ start: Int, _ count: Int, _ textStart: TextStart, into ids: inout [Int32]
  ) {
    sections.removeAll(keepingCapacity: true)
    find(model.added, bytes, start, count, literals)
    let found = sections
    for section in found {
      let begins = section.start == start ? textStart : .segment
      if let id = section.id {
        ids.append(id)
      } else if model.normalizer.isEmpty {
        encode(bytes, section.start, section.end, literals, begins, into: &ids)
      } else {
        encodeNormalized(bytes, section, begins, into: &ids)
      }
    }
  }

  private func encodeNormalized(
    _ bytes: UnsafePointer<UInt8>, _ section: TextSection, _ begins: TextStart, into ids: inout [Int32]
  ) {
    let stretch = UnsafeBufferPointer(start: bytes + section.start, count: section.end - section.start)
    normalize(stretch, section.start, isStart: begins != .nothing)
    let count = normalized.count
    guard count > 0 else { return }
    for _ in 0..<WordCache.padding { normalized.append(0) }
    normalized.withUnsafeBufferPointer { buffer in
      guard let normalized = buffer.baseAddress else { return }
      encode(normalized, 0, count, normalizedLiterals, begins, into: &ids)
    }
  }

  /// Fills `normalized` and `normalizedLiterals` from a section that starts at `offset` of the text.
  private func normalize(_ section: UnsafeBufferPointer<UInt8>, _ offset: Int, isStart: Bool) {
    normalizedLiterals.removeAll(keepingCapacity: true)
    normalized.removeAll(keepingCapacity: true)
    normalized.append(contentsOf: section)
    guard !isIdle(model.addedLater, literals) else {
      return model.normalizer.apply(to: &normalized, isStart: isStart)
    }
    let parts = NormalizedParts(
      normalized, offset: offset, isStart: isStart, literals: literals, model.normalizer)
    (normalized, normalizedLiterals) = (parts.text, parts.literals)
  }

  private func encode(
    _ bytes: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ literals: [Range<Int>], _ begins: TextStart,
    into ids: inout [Int32]
  ) {
    guard !isIdle(model.addedLater, literals) else {
      return words.encode(bytes, start, end, begins, into: &ids)
    }
    sections.removeAll(keepingCapacity: true)
    find(model.addedLater, bytes, start, end, literals)
    for part in sections {
      if let id = part.id {
        ids.append(id)
      } else {
        words.encode(bytes, part.start, part.end, part.start == start ? begins : .segment, into: &ids)
      }
    }
  }

  private func isIdle(_ matcher: AddedTokenMatcher, _ literals: [Range<Int>]) -> Bool {
    matcher.isEmpty || matcher.allSpecial && literals.isEmpty
  }

  private func find(
    _ matcher: AddedTokenMatcher, _ bytes: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ literals: [Range<Int>]
  ) {
    if isIdle(matcher, literals) {
      sections.append(TextSection(id: nil, start: start, end: end))
    } else {
      matcher.sections(bytes, start, end, literals: literals, into: &sections)
    }
  }
}
