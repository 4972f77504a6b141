/// The symbols that merging starts from: bytes or characters, and what stands for those that have no token.
struct Alphabet: Sendable {
  enum Kind: Sendable {
    /// GPT-2's: every byte is a letter. -1 for those without a token.
    case bytes([Int32])
    /// SentencePiece's: every character is a letter.
    case characters(CharacterTokens)
  }

  let kind: Kind
  /// The tokens of bytes that stand for a character without one (`<0x41>`), -1 for those that are not there; empty where
  /// no bytes do.
  let fallback: [Int32]
  /// What stands for a letter that has neither; nil where it is left out.
  let unknown: Int32?
  /// Letters without a token that follow one another are one unknown token.
  let fusesUnknown: Bool

  /// By byte, whether text may hold it and nothing is written for it; empty where there is none such.
  var lostBytes: [Bool] {
    guard case .bytes(let tokens) = kind, unknown == nil else { return [] }
    let lost = tokens.enumerated().map { $0.element < 0 && ByteAlphabet.occursInUTF8($0.offset) }
    return lost.contains(true) ? lost : []
  }

  /// Appends the symbols of a word, as `tokenizers` has them. At most one a byte.
  func appendSymbols(_ word: UnsafePointer<UInt8>, _ count: Int, into symbols: inout [Int32]) {
    var writer = Writer(unknown: unknown, fuses: fusesUnknown)
    switch kind {
    case .bytes(let tokens):
      for index in 0..<count {
        let token = tokens[Int(word[index])]
        if token >= 0 { writer.append(token, &symbols) } else { writer.miss(&symbols) }
      }
    case .characters(let tokens):
      var at = 0
      while at < count {
        let (point, length) = word[at] < 0x80 ? (Int(word[at]), 1) : decodeScalar(word + at)
        let token = tokens[point]
        if token >= 0 {
          writer.append(token, &symbols)
        } else if !appendFallback(word + at, length, into: &symbols) {
          writer.miss(&symbols)
        }
        at += length
      }
    }
    writer.flush(&symbols)
  }

  /// A character becomes bytes only where each of them has a token.
  private func appendFallback(_ bytes: UnsafePointer<UInt8>, _ count: Int, into symbols: inout [Int32]) -> Bool {
    guard !fallback.isEmpty, (0..<count).allSatisfy({ fallback[Int(bytes[$0])] >= 0 }) else { return false }
    for index in 0..<count { symbols.append(fallback[Int(bytes[index])]) }
    return true
  }

  /// Writes symbols and, late, the unknown token: `tokenizers` holds it back until a letter with a token follows, and
  /// bytes that stand for a character do not count as one.
  private struct Writer {
    let unknown: Int32?
    let fuses: Bool
    var isPending = false

    init(unknown: Int32?, fuses: Bool) { (self.unknown, self.fuses) = (unknown, fuses) }

    @inline(__always)
    mutating func append(_ token: Int32, _ symbols: inout [Int32]) {
      if isPending { flush(&symbols) }
      symbols.append(token)
    }

    mutating func miss(_ symbols: inout [Int32]) {
      guard unknown != nil else { return }
      if isPending, !fuses { flush(&symbols) }
      isPending = true
    }

    mutating func flush(_ symbols: inout [Int32]) {
      if isPending, let unknown { symbols.append(unknown) }
      isPending = false
    }
  }
}

/// Tokens of single characters: pages of 256 code points.
struct CharacterTokens: Sendable {
  private var pages: [Int32] = []
  private var tokens = [Int32](repeating: -1, count: 256)

  /// Of two entries for a character the first counts.
  init(_ entries: [(scalar: Unicode.Scalar, token: Int32)]) {
    let greatest = entries.map { Int($0.scalar.value) }.max() ?? 0
    // Page 0 is empty, for all blocks of code points without a token.
    pages = [Int32](repeating: 0, count: greatest >> 8 + 1)
    for (scalar, token) in entries {
      let block = Int(scalar.value >> 8)
      if pages[block] == 0 {
        pages[block] = Int32(tokens.count >> 8)
        tokens += [Int32](repeating: -1, count: 256)
      }
      let place = Int(pages[block]) << 8 + Int(scalar.value & 0xff)
      if tokens[place] < 0 { tokens[place] = token }
    }
  }

  /// -1 where the character has none.
  @inline(__always)
  subscript(point: Int) -> Int32 {
    let block = point >> 8
    return block < pages.count ? tokens[Int(pages[block]) << 8 | point & 0xff] : -1
  }
}
