/// The cutting of GPT-4o (o200k) and of Mistral since Nemo (Tekken).
extension WordSplitter {
  /// With C = `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`, s = `[\p{Ll}\p{Lm}\p{Lo}\p{M}]` and P = `[^\r\n\p{L}\p{N}]?`:
  /// `P C*s+'?|P C+s*'?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
  func casedWordEnd(
    _ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ digits: Int, _ contractions: Bool
  ) -> Int {
    let (kind, length) = detailedCharacter(text, start)
    let at = start + length
    switch kind {
    case .upper, .lower, .uncased:
      return contracted(text, lettersEnd(text, start, end) ?? at, end, contractions)
    case .number: return numberEnd(text, at, end, digits)
    case .mark:
      // As the sign before a word, else as a word of its own: it is both a capital and a small letter.
      let wordEnd = lettersEnd(text, at, end, smallOnly: true) ?? at
      return contracted(text, wordEnd, end, contractions)
    case .other, .space, .punctuation, .symbol: break
    }
    let isBreak = text[start] == 0x0a || text[start] == 0x0d
    if !isBreak, let wordEnd = lettersEnd(text, at, end) { return contracted(text, wordEnd, end, contractions) }
    if kind != .space { return signsEnd(text, at, end) }
    if text[start] == 0x20, at < end {
      let next = character(text, at)
      if next.kind == Self.other { return signsEnd(text, at + next.length, end) }
    }
    return spacesAndLinesEnd(text, start, at, end)
  }

  /// `C*s+`, else `C+s*` unless `smallOnly`: nil where neither matches at `start`.
  private func lettersEnd(_ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, smallOnly: Bool = false) -> Int? {
    var at = start
    // Where the last character ends that may be the one small letter which `s+` needs.
    var lastBoth: Int?
    while at < end {
      let (kind, length) = detailedCharacter(text, at)
      switch kind {
      case .upper: at += length
      case .uncased, .mark:
        at += length
        lastBoth = at
      case .lower: return smallEnd(text, at, end)
      default: return lastBoth ?? (at > start && !smallOnly ? at : nil)
      }
    }
    return lastBoth ?? (at > start && !smallOnly ? at : nil)
  }

  /// The end of a run of `s`.
  private func smallEnd(_ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> Int {
    var at = start
    while at < end {
      let (kind, length) = detailedCharacter(text, at)
      guard kind == .lower || kind == .uncased || kind == .mark else { break }
      at += length
    }
    return at
  }

  private func contracted(_ text: UnsafePointer<UInt8>, _ at: Int, _ end: Int, _ contractions: Bool) -> Int {
    guard contractions, at < end, text[at] == 0x27 else { return at }
    return at + anyCaseContractionLength(at + 1 < end ? text[at + 1] : 0, at + 2 < end ? text[at + 2] : 0)
  }

  /// `[^\s\p{L}\p{N}]*[\r\n/]*`
  private func signsEnd(_ text: UnsafePointer<UInt8>, _ at: Int, _ end: Int) -> Int {
    var at = run(Self.other, text, at, end)
    while at < end, text[at] == 0x0a || text[at] == 0x0d || text[at] == UInt8(ascii: "/") { at += 1 }
    return at
  }
}
