/// A JSON text that holds the SHA-256 of itself, as it is with zeros for the digest's digits: whatever bit of it is
/// changed, a reader notices.
///
/// The text has `Digest.zero` as the value of a member whose key sorts before all that could hold the same digits.
public enum SealedText {
  /// The text with its checksum in place; nil where it has no place for one.
  public static func seal(_ text: [UInt8]) -> [UInt8]? {
    guard let place = firstRange(of: Digest.zero, in: text) else { return nil }
    var text = text
    text.replaceSubrange(place, with: text.withUnsafeBytes { Digest(of: $0) }.hex.utf8)
    return text
  }

  /// Whether `checksum`, which was read from the text, is the text's.
  public static func isIntact(_ text: [UInt8], _ checksum: Digest) -> Bool {
    guard let place = firstRange(of: checksum, in: text) else { return false }
    var text = text
    text.replaceSubrange(place, with: Digest.zero.hex.utf8)
    return text.withUnsafeBytes { Digest(of: $0) } == checksum
  }

  private static func firstRange(of digest: Digest, in text: [UInt8]) -> Range<Int>? {
    let wanted = Array(digest.hex.utf8)
    guard text.count >= wanted.count else { return nil }
    for start in 0...(text.count - wanted.count) where text[start] == wanted[0] {
      if text[start..<(start + wanted.count)].elementsEqual(wanted) { return start..<(start + wanted.count) }
    }
    return nil
  }
}
