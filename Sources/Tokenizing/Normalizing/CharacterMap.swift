import Core

/// What SentencePiece writes characters as (`precompiled_charsmap`): a Darts double array, which is a trie of UTF-8 keys over
/// 32-bit units, and the texts that it leads to, each ended by a zero byte.
///
/// Layout: 4 bytes with the trie's size in bytes, the lowest first, the trie, the texts.
struct CharacterMap: Sendable {
  /// Nothing in Unicode's tables is as long.
  private static let longestText = 255

  private let units: [UInt32]
  /// Every text is UTF-8, and ends in a zero byte.
  let texts: [UInt8]

  /// Throws `badData` for what is no such map, and where a text of it is no UTF-8 or over long.
  init(_ bytes: ArraySlice<UInt8>, file: String) throws {
    func fault(_ what: String) -> SFTError {
      SFTError(.badData, "its \"precompiled_charsmap\" \(what)", file: file, advice: "Fetch the file again")
    }
    let size = bytes.prefix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
    let rest = bytes.dropFirst(4)
    guard bytes.count > 4, size > 0, size % 4 == 0, size < rest.count else { throw fault("is cut short") }
    units = Array(rest.prefix(size)).withUnsafeBytes { trie in
      (0..<size / 4).map { UInt32(littleEndian: trie.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self)) }
    }
    texts = Array(rest.dropFirst(size))
    guard texts.last == 0, String(validating: texts, as: UTF8.self) != nil else {
      throw fault("holds texts that are no UTF-8")
    }
    guard leadsToTexts() else { throw fault("leads to no text") }
  }

  /// Every key that the trie holds leads to a text.
  private func leadsToTexts() -> Bool {
    var seen = [Bool](repeating: false, count: units.count)
    var waiting = [Self.offset(units[0])]
    while let base = waiting.popLast() {
      guard base < units.count, !seen[base] else { continue }
      seen[base] = true
      for byte in 1..<256 {
        guard let child = child(of: base, UInt8(byte)) else { continue }
        if child.isKey, child.base >= units.count || !isText(Self.value(units[child.base])) { return false }
        waiting.append(child.base)
      }
    }
    return true
  }

  private func isText(_ place: Int) -> Bool {
    guard place < texts.count, texts[place] & 0xc0 != 0x80 else { return false }
    return texts[place...].prefix(Self.longestText + 1).contains(0)
  }

  @inline(__always)
  private static func offset(_ unit: UInt32) -> Int { Int(unit >> 10) << Int((unit & 1 << 9) >> 6) }

  @inline(__always)
  private static func value(_ unit: UInt32) -> Int { Int(unit & 0x7fff_ffff) }

  @inline(__always)
  private func child(of base: Int, _ byte: UInt8) -> (base: Int, isKey: Bool)? {
    let place = base ^ Int(byte)
    guard place < units.count else { return nil }
    let unit = units[place]
    guard unit & 0x8000_00ff == UInt32(byte) else { return nil }
    return (place ^ Self.offset(unit), unit >> 8 & 1 == 1)
  }

  /// The longest key that `text[start..<end]` begins with and that ends between characters: its bytes, and where in `texts`
  /// begins what is written for it. O(key).
  @inline(__always)
  func longestKey(_ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> (length: Int, text: Int)? {
    var found: (Int, Int)?
    var base = Self.offset(units[0])
    var at = start
    while at < end, base < units.count, let child = child(of: base, text[at]) {
      at += 1
      base = child.base
      if child.isKey, at == end || text[at] & 0xc0 != 0x80 { found = (at - start, Self.value(units[base])) }
    }
    return found
  }
}
