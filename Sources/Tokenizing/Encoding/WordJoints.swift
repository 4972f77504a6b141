/// Where a word of SentencePiece's, which is as long as its text, may be cut without changing its tokens: between two
/// characters that no merge has on either side of where it joins. Nearly always before the sign for a space.
///
/// A Bloom filter of one hash over those pairs of characters: it may say that a pair is joined which is not, but not the
/// other way round.
struct WordJoints: Sendable {
  private static let bits = 1 << 18

  private var filter = [UInt64](repeating: 0, count: bits / 64)
  /// A cut before a character that has no token could part unknown tokens that are written as one.
  private let tokens: CharacterTokens

  /// `pairs` are the last character of the left and the first of the right side of every merge.
  init(_ pairs: [(Unicode.Scalar, Unicode.Scalar)], _ tokens: CharacterTokens) {
    self.tokens = tokens
    for (left, right) in pairs {
      let slot = Self.slot(Int(left.value), Int(right.value))
      filter[slot >> 6] |= 1 << UInt64(slot & 63)
    }
  }

  @inline(__always)
  private static func slot(_ left: Int, _ right: Int) -> Int {
    let mixed = (UInt64(truncatingIfNeeded: left) << 21 | UInt64(truncatingIfNeeded: right)) &* 0x9e37_79b9_7f4a_7c15
    return Int(truncatingIfNeeded: mixed >> 46)
  }

  /// The first place after `start` where the text may be cut, else `end`. Small Latin letters are not looked at: a word
  /// hardly ever starts with one that nothing joins.
  @inline(__always)
  func cut(_ text: UnsafePointer<UInt8>, from start: Int, to end: Int) -> Int {
    var (left, length) = text[start] < 0x80 ? (Int(text[start]), 1) : decodeScalar(text + start)
    var at = start + length
    while at < end {
      let byte = text[at]
      if byte &- 0x61 < 26 {
        left = Int(byte)
        at += 1
        continue
      }
      let (point, length) = byte < 0x80 ? (Int(byte), 1) : decodeScalar(text + at)
      let slot = Self.slot(left, point)
      if filter[slot >> 6] >> UInt64(slot & 63) & 1 == 0, tokens[point] >= 0 { return at }
      left = point
      at += length
    }
    return end
  }
}
