/// Which regular expression cuts a text into words. Each is known by its exact text in `tokenizer.json`.
package enum WordPattern: Sendable, Equatable {
  /// GPT-2's, which `ByteLevel` with `use_regex` applies.
  case gpt2
  /// GPT-4's, LLaMA 3's and Qwen 2's: contractions in any case, a leading mark joins a word, line breaks apart, and at
  /// most `digits` numerals together.
  case modern(digits: Int)
  /// No cutting: what stands between added tokens is one word.
  case none

  /// `nil` for an expression that is not known.
  init?(regex: String) {
    let contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
    let word = #"[^\r\n\p{L}\p{N}]?\p{L}+"#
    let rest = #" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
    switch regex {
    case #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#,
      #"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#:
      self = .gpt2
    case #"\#(contractions)|\#(word)|\p{N}{1,3}|\#(rest)"#: self = .modern(digits: 3)
    case #"\#(contractions)|\#(word)|\p{N}|\#(rest)"#: self = .modern(digits: 1)
    case #"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}|"#
      + #" ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"#:
      // Possessive where nothing could be given back, so the same words.
      self = .modern(digits: 3)
    default: return nil
    }
  }
}

/// Finds where words end in UTF-8 text that is known to be valid (the bytes of a `String`).
///
/// What a regular expression engine does by trying alternatives is written out here as one decision on the first one
/// or two characters of a word. Every byte is looked at a bounded number of times.
struct WordSplitter {
  private static let other = CharacterClass.other.rawValue
  private static let letter = CharacterClass.letter.rawValue
  private static let number = CharacterClass.number.rawValue
  private static let space = CharacterClass.space.rawValue

  let pattern: WordPattern
  private let classes: UnsafePointer<UInt8>
  private let classCount: Int

  init(_ pattern: WordPattern) {
    self.pattern = pattern
    classes = CharacterClassTable.shared.classes
    classCount = CharacterClassTable.shared.count
  }

  /// The end of the word that starts at `start`; `start` < `end`, both at the boundaries of characters.
  @inline(__always)
  func wordEnd(_ text: UnsafePointer<UInt8>, from start: Int, to end: Int) -> Int {
    switch pattern {
    case .gpt2: gpt2WordEnd(text, start, end)
    case .modern(let digits): modernWordEnd(text, start, end, digits)
    case .none: end
    }
  }

  /// The class and the length in bytes of the character at `at`.
  @inline(__always)
  private func character(_ text: UnsafePointer<UInt8>, _ at: Int) -> (kind: UInt8, length: Int) {
    let byte = text[at]
    if byte < 0x80 { return (classes[Int(byte)], 1) }
    let (point, length) = decodeScalar(text + at)
    return (point < classCount ? classes[point] : Self.other, length)
  }

  /// The end of the run of characters of one class that starts at `at`.
  @inline(__always)
  private func run(_ kind: UInt8, _ text: UnsafePointer<UInt8>, _ at: Int, _ end: Int) -> Int {
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
  private func gpt2WordEnd(_ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> Int {
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
  private func spaceEnd(_ text: UnsafePointer<UInt8>, _ start: Int, _ runEnd: Int, _ end: Int) -> Int {
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

  /// The same in any case. `ſ` (U+017F, bytes C5 BF) is an s in another case; `| 0x20` moves no byte but a capital onto
  /// one of the letters.
  @inline(__always)
  private func anyCaseContractionLength(_ second: UInt8, _ third: UInt8) -> Int {
    if second == 0xc5, third == 0xbf { return 3 }
    return contractionLength(second | 0x20, third | 0x20)
  }

  /// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|…`
  @inline(__always)
  private func modernWordEnd(_ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ digits: Int) -> Int {
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
    let runEnd = run(kind, text, at, end)
    var lineEnd = runEnd
    while lineEnd > start, text[lineEnd - 1] != 0x0a, text[lineEnd - 1] != 0x0d { lineEnd -= 1 }
    return lineEnd > start ? lineEnd : spaceEnd(text, start, runEnd, end)
  }

  /// After one numeral: the end of at most `digits` of them.
  @inline(__always)
  private func numberEnd(_ text: UnsafePointer<UInt8>, _ at: Int, _ end: Int, _ digits: Int) -> Int {
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

/// The code point and the length in bytes of the character at `bytes`: valid UTF-8, two bytes or more.
@inline(__always)
func decodeScalar(_ bytes: UnsafePointer<UInt8>) -> (point: Int, length: Int) {
  let first = Int(bytes[0])
  let second = Int(bytes[1] & 0x3f)
  if first < 0xe0 { return ((first & 0x1f) << 6 | second, 2) }
  let third = Int(bytes[2] & 0x3f)
  if first < 0xf0 { return ((first & 0x0f) << 12 | second << 6 | third, 3) }
  return ((first & 0x07) << 18 | second << 12 | third << 6 | Int(bytes[3] & 0x3f), 4)
}
