import Core

/// Calls `body` with a hash of each word of `text`: a run of letters and digits, ASCII's without regard to case; or a
/// single symbol, or a single character of a script that has no spaces. Spacing counts for nothing, and typographic
/// quotation marks are plain ones.
func forEachWord(_ text: String, _ body: (UInt64) -> Void) {
  // FNV-1a over scalars; 0 while between words.
  let basis: UInt64 = 0xcbf2_9ce4_8422_2325
  var word: UInt64 = 0
  func end() {
    if word != 0 { body(SeededGenerator.mix(word)) }
    word = 0
  }
  for scalar in text.unicodeScalars {
    let value = plain(scalar.value)
    switch CharacterKind(value) {
    case .space: end()
    case .letter: word = ((word == 0 ? basis : word) ^ UInt64(value)) &* 0x100_0000_01b3
    case .single:
      end()
      body(SeededGenerator.mix(UInt64(value) &+ 1))
    }
  }
  end()
}

private func plain(_ scalar: UInt32) -> UInt32 {
  switch scalar {
  case 0x41...0x5a: scalar + 32
  case 0x2018, 0x2019: 0x27
  case 0x201c, 0x201d: 0x22
  default: scalar
  }
}

private enum CharacterKind {
  case space
  case letter
  case single

  init(_ scalar: UInt32) {
    switch scalar {
    case 0...32, 127...160, 0x2000...0x200f, 0x2028...0x202f, 0x205f...0x206f, 0x3000, 0xfeff: self = .space
    case 0x30...0x39, 0x61...0x7a, 0x5f: self = .letter
    case 33...126, 0x2010...0x205e: self = .single
    // Thai to Khmer, kana, ideographs: words without spaces between them.
    case 0x0e00...0x0eff, 0x1000...0x109f, 0x1780...0x17ff, 0x2e80...0xa4cf, 0xf900...0xfaff, 0xff00...0xffef,
      0x1f000...0x1faff, 0x20000...0x3fffd:
      self = .single
    default: self = .letter
    }
  }
}
