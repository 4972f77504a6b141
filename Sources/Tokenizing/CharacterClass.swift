/// What the pre-tokenisers' regular expressions ask of a code point. The classes are disjoint.
package enum CharacterClass: UInt8, Sendable {
  case other = 0
  /// `\p{L}`
  case letter = 1
  /// `\p{N}`
  case number = 2
  /// `\s`
  case space = 3
}

/// One byte a code point up to the last one that is not `other`, as `CharacterClass`'s raw value.
///
/// About 200 kB of which a text in one script touches a few lines; a flat table costs one load and no branch.
struct CharacterClassTable: Sendable {
  static let shared = CharacterClassTable()

  /// Never freed: the one instance lives as long as the process.
  nonisolated(unsafe) let classes: UnsafePointer<UInt8>
  /// Code points from here on are `other`.
  let count: Int

  private init() {
    count = Int(characterClassBoundaries[characterClassBoundaries.count - 1] >> 2)
    let table = UnsafeMutablePointer<UInt8>.allocate(capacity: count)
    table.initialize(repeating: 0, count: count)
    for index in 0..<(characterClassBoundaries.count - 1) {
      let boundary = characterClassBoundaries[index]
      let start = Int(boundary >> 2)
      let end = Int(characterClassBoundaries[index + 1] >> 2)
      (table + start).update(repeating: UInt8(boundary & 3), count: end - start)
    }
    classes = UnsafePointer(table)
  }
}

extension CharacterClass {
  /// The class of one code point, as Hugging Face's tokenizers sees it.
  package static func of(_ scalar: Unicode.Scalar) -> CharacterClass {
    let table = CharacterClassTable.shared
    let point = Int(scalar.value)
    guard point < table.count else { return .other }
    return CharacterClass(rawValue: table.classes[point]) ?? .other
  }

  /// Rust's `char::is_numeric`, which the `Digits` pre-tokeniser asks: a newer Unicode than `\p{N}`'s.
  package static func isDigit(_ scalar: Unicode.Scalar) -> Bool {
    if of(scalar) == .number { return true }
    return (0x11de0...0x11de9).contains(scalar.value) || (0x16ff4...0x16ff6).contains(scalar.value)
  }
}
