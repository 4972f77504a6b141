/// DeepSeek's cutting, which is three expressions, one after the other.
extension WordSplitter {
  /// `[一-龥぀-ゟ゠-ヿ]+`: U+4E00…9FA5 and U+3040…30FF, all of them three bytes.
  func ideographsEnd(_ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> Int? {
    var at = start
    while at < end, text[at] >= 0xe3, text[at] <= 0xe9 {
      let point = decodeScalar(text + at).point
      guard (0x4e00...0x9fa5).contains(point) || (0x3040...0x30ff).contains(point) else { break }
      at += 3
    }
    return at > start ? at : nil
  }

  /// With A = any ASCII sign:
  /// `A[A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
  func marksAndWordsEnd(_ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> Int? {
    let (kind, length) = detailedCharacter(text, start)
    let at = start + length
    switch kind {
    case .upper, .lower, .uncased, .mark: return lettersAndMarksEnd(text, at, end)
    case .punctuation, .symbol:
      if length == 1, at < end, isASCIILetter(text[at]) {
        var wordEnd = at
        while wordEnd < end, isASCIILetter(text[wordEnd]) { wordEnd += 1 }
        return wordEnd
      }
      return punctuationEnd(text, at, end)
    case .other, .number, .space:
      let isBreak = text[start] == 0x0a || text[start] == 0x0d
      if !isBreak {
        let wordEnd = lettersAndMarksEnd(text, at, end)
        if wordEnd > at { return wordEnd }
      }
      if text[start] == 0x20, at < end {
        let next = detailedCharacter(text, at)
        if next.kind == .punctuation || next.kind == .symbol { return punctuationEnd(text, at + next.length, end) }
      }
      return kind == .space ? spacesAndLinesEnd(text, start, at, end) : nil
    }
  }

  private func isASCIILetter(_ byte: UInt8) -> Bool { (0x61...0x7a).contains(byte | 0x20) }

  /// `[\p{L}\p{M}]*`
  private func lettersAndMarksEnd(_ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> Int {
    var at = start
    while at < end {
      let (kind, length) = detailedCharacter(text, at)
      guard kind == .upper || kind == .lower || kind == .uncased || kind == .mark else { break }
      at += length
    }
    return at
  }

  /// `[\p{P}\p{S}]*[\r\n]*`
  private func punctuationEnd(_ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> Int {
    var at = start
    while at < end {
      let (kind, length) = detailedCharacter(text, at)
      guard kind == .punctuation || kind == .symbol else { break }
      at += length
    }
    while at < end, text[at] == 0x0a || text[at] == 0x0d { at += 1 }
    return at
  }
}
