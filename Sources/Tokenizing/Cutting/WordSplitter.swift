/// Finds where words end in UTF-8 text that is known to be valid (the bytes of a `String`).
///
/// What a regular expression engine does by trying alternatives is written out here as one decision on the first one
/// or two characters of a word. Every byte is looked at a bounded number of times.
struct WordSplitter {
  static let other = CharacterClass.other.rawValue
  static let letter = CharacterClass.letter.rawValue
  static let number = CharacterClass.number.rawValue
  static let space = CharacterClass.space.rawValue

  let pattern: WordPattern
  private let classes: UnsafePointer<UInt8>
  private let classCount: Int
  /// `DetailedClass`es, for the patterns that ask for them.
  private let detailed: UnsafePointer<UInt8>
  private let detailedCount: Int

  init(_ pattern: WordPattern) {
    self.pattern = pattern
    let coarse = pattern == .modernWithMarks ? CharacterClassTable.withMarks : CharacterClassTable.shared
    (classes, classCount) = (coarse.classes, coarse.count)
    let needsDetails =
      switch pattern {
      case .cased, .marksAndWords: true
      default: false
      }
    let fine = needsDetails ? CharacterClassTable.detailed : coarse
    (detailed, detailedCount) = (fine.classes, fine.count)
  }

  /// The end of the word that starts at `start`; `start` < `end`, both at the boundaries of characters. Of a pattern that
  /// leaves something out, the end of the character at `start` where no match starts.
  @inline(__always)
  func wordEnd(_ text: UnsafePointer<UInt8>, from start: Int, to end: Int) -> Int {
    switch pattern {
    case .gpt2: gpt2WordEnd(text, start, end)
    case .modern(let digits): modernWordEnd(text, start, end, digits)
    case .modernWithMarks: modernWordEnd(text, start, end, 1)
    case .cased(let digits, let contractions): casedWordEnd(text, start, end, digits, contractions)
    case .none: end
    case .threeNumerals, .ideographs, .marksAndWords:
      matchEnd(text, from: start, to: end) ?? start + character(text, start).length
    }
  }

  /// The end of the pattern's match at `start`; nil where none starts there.
  func matchEnd(_ text: UnsafePointer<UInt8>, from start: Int, to end: Int) -> Int? {
    switch pattern {
    case .threeNumerals:
      let (kind, length) = character(text, start)
      return kind == Self.number ? numberEnd(text, start + length, end, 3) : nil
    case .ideographs: return ideographsEnd(text, start, end)
    case .marksAndWords: return marksAndWordsEnd(text, start, end)
    case .gpt2, .modern, .modernWithMarks, .cased, .none: return wordEnd(text, from: start, to: end)
    }
  }

  /// The `DetailedClass` and the length in bytes of the character at `at`.
  @inline(__always)
  func detailedCharacter(_ text: UnsafePointer<UInt8>, _ at: Int) -> (kind: DetailedClass, length: Int) {
    let (point, length) = text[at] < 0x80 ? (Int(text[at]), 1) : decodeScalar(text + at)
    return (point < detailedCount ? DetailedClass(rawValue: detailed[point]) ?? .other : .other, length)
  }

  /// The class and the length in bytes of the character at `at`.
  @inline(__always)
  func character(_ text: UnsafePointer<UInt8>, _ at: Int) -> (kind: UInt8, length: Int) {
    let byte = text[at]
    if byte < 0x80 { return (classes[Int(byte)], 1) }
    let (point, length) = decodeScalar(text + at)
    return (point < classCount ? classes[point] : Self.other, length)
  }

  /// The end of the run of characters of one class that starts at `at`.
  @inline(__always)
  func run(_ kind: UInt8, _ text: UnsafePointer<UInt8>, _ at: Int, _ end: Int) -> Int {
    var at = at
    while at < end {
      let next = character(text, at)
      if next.kind != kind { break }
      at += next.length
    }
    return at
  }

  /// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
  @inline(__always)
  func gpt2WordEnd(_ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> Int {
    var (kind, length) = character(text, start)
    var at = start + length
    if text[start] == 0x20, at < end {
      let next = character(text, at)
      if next.kind != Self.space {
        kind = next.kind
        at += next.length
      }
    } else if text[start] == 0x27 {
      let contraction = contractionLength(at < end ? text[at] : 0, at + 1 < end ? text[at + 1] : 0)
      if contraction > 0 { return start + contraction }
    }
    if kind != Self.space { return run(kind, text, at, end) }
    return spaceEnd(text, start, run(kind, text, at, end), end)
  }

  /// `\s+(?!\S)|\s+` over a run of white space: all but its last character where something follows it.
  @inline(__always)
  func spaceEnd(_ text: UnsafePointer<UInt8>, _ start: Int, _ runEnd: Int, _ end: Int) -> Int {
    if runEnd == end { return end }
    var last = runEnd - 1
    while text[last] & 0xc0 == 0x80 { last -= 1 }
    return last > start ? last : runEnd
  }

  /// Bytes of `'s`, `'t`, `'re`, `'ve`, `'m`, `'ll` or `'d`, given what follows the apostrophe (0 past the end); else 0.
  @inline(__always)
  private func contractionLength(_ second: UInt8, _ third: UInt8) -> Int {
    switch second {
    case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"): 2
    case UInt8(ascii: "r"), UInt8(ascii: "v"): third == UInt8(ascii: "e") ? 3 : 0
    case UInt8(ascii: "l"): third == UInt8(ascii: "l") ? 3 : 0
    default: 0
    }
  }

  /// Bytes of `'s`, `'t`, `'re`, `'ve`, `'m`, `'ll` or `'d` in any case, given what follows the apostrophe; else 0. `ſ`
  /// (U+017F, bytes C5 BF) is an s in another case; `| 0x20` moves no byte but a capital onto one of the letters.
  @inline(__always)
  func anyCaseContractionLength(_ second: UInt8, _ third: UInt8) -> Int {
    if second == 0xc5, third == 0xbf { return 3 }
    return contractionLength(second | 0x20, third | 0x20)
  }

  /// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|…`
  @inline(__always)
  func modernWordEnd(_ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ digits: Int) -> Int {
    let byte = text[start]
    let (kind, length) = character(text, start)
    let at = start + length
    if byte == 0x27 {
      let contraction = anyCaseContractionLength(at < end ? text[at] : 0, at + 1 < end ? text[at + 1] : 0)
      if contraction > 0 { return start + contraction }
    }
    if kind == Self.letter { return run(kind, text, at, end) }
    if kind == Self.number { return numberEnd(text, at, end, digits) }
    let isBreak = byte == 0x0a || byte == 0x0d
    if at < end, !isBreak {
      let next = character(text, at)
      if next.kind == Self.letter { return run(Self.letter, text, at + next.length, end) }
      if byte == 0x20, next.kind == Self.other { return marksEnd(text, at + next.length, end) }
    }
    if kind == Self.other { return marksEnd(text, at, end) }
    return spacesAndLinesEnd(text, start, at, end)
  }

  /// `\s*[\r\n]+|\s+(?!\S)|\s+`, of which the first character ends at `at`.
  @inline(__always)
  func spacesAndLinesEnd(_ text: UnsafePointer<UInt8>, _ start: Int, _ at: Int, _ end: Int) -> Int {
    let runEnd = run(Self.space, text, at, end)
    var lineEnd = runEnd
    while lineEnd > start, text[lineEnd - 1] != 0x0a, text[lineEnd - 1] != 0x0d { lineEnd -= 1 }
    return lineEnd > start ? lineEnd : spaceEnd(text, start, runEnd, end)
  }

  /// After one numeral: the end of at most `digits` of them.
  @inline(__always)
  func numberEnd(_ text: UnsafePointer<UInt8>, _ at: Int, _ end: Int, _ digits: Int) -> Int {
    var at = at
    var left = digits - 1
    while left > 0, at < end {
      let next = character(text, at)
      if next.kind != Self.number { break }
      at += next.length
      left -= 1
    }
    return at
  }

  /// `[^\s\p{L}\p{N}]*[\r\n]*`
  @inline(__always)
  private func marksEnd(_ text: UnsafePointer<UInt8>, _ at: Int, _ end: Int) -> Int {
    var at = run(Self.other, text, at, end)
    while at < end, text[at] == 0x0a || text[at] == 0x0d { at += 1 }
    return at
  }
}
