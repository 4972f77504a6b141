import Glibc

/// Escapes of characters beyond the BMP, which take two (`\ud83d\ude00`), written as the characters themselves.
///
/// json-c 0.16 turns such a pair into U+FFFD wherever the low 16 bits of its code point look like a surrogate's: one
/// pair in 32, among them CJK ideographs of U+2D800–U+2DFFF. So it is given none.
///
/// `text` must be what a `JSONScanner` has accepted. nil where it holds no such pair. O(bytes).
func resolvingSurrogatePairs(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
  var escapes = EscapeFinder(text)
  var resolved: [UInt8] = []
  var copied = 0
  while let escape = escapes.next() {
    guard let scalar = escapes.pair(at: escape) else { continue }
    if copied == 0 { resolved.reserveCapacity(text.count) }
    resolved.append(contentsOf: UnsafeRawBufferPointer(rebasing: text[copied..<escape]))
    resolved.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
    escapes.position = escape + 12
    copied = escapes.position
  }
  guard copied > 0 else { return nil }
  resolved.append(contentsOf: UnsafeRawBufferPointer(rebasing: text[copied...]))
  return resolved
}

/// Walks from escape to escape of valid JSON, where a backslash is always the start of one.
private struct EscapeFinder {
  private let bytes: UnsafeRawBufferPointer
  var position = 0

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  /// Offset of the next escape; `position` is then behind its letter.
  mutating func next() -> Int? {
    guard position < bytes.count, let base = bytes.baseAddress,
      let found = memchr(base + position, 0x5c, bytes.count - position)
    else { return nil }
    let escape = UnsafeRawPointer(found) - base
    position = escape + 2
    return escape
  }

  /// What the two escapes from `escape` on stand for; nil where the first is of no high surrogate.
  func pair(at escape: Int) -> Unicode.Scalar? {
    guard let high = unit(at: escape), UTF16.isLeadSurrogate(high), let low = unit(at: escape + 6) else { return nil }
    return Unicode.Scalar(0x10000 + (UInt32(high) & 0x3ff) << 10 + UInt32(low) & 0x3ff)
  }

  /// The code unit of a `\u` escape.
  private func unit(at escape: Int) -> UInt16? {
    guard escape + 6 <= bytes.count, bytes[escape + 1] == UInt8(ascii: "u") else { return nil }
    return bytes[escape + 2..<escape + 6].reduce(0) { $0 << 4 | UInt16(Self.digit($1)) }
  }

  private static func digit(_ byte: UInt8) -> UInt8 {
    byte <= UInt8(ascii: "9") ? byte & 0xf : (byte & 0xf) + 9
  }
}
