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

/// The classes of expressions that tell apart more; numbered as in `characterClassBoundaries`.
enum DetailedClass: UInt8, Sendable {
  case other = 0
  /// `[\p{Lu}\p{Lt}]`
  case upper = 1
  /// `\p{Ll}`
  case lower = 2
  /// `[\p{Lm}\p{Lo}]`
  case uncased = 3
  /// `\p{N}`
  case number = 4
  /// `\s`
  case space = 5
  /// `\p{M}`
  case mark = 6
  /// `\p{P}`
  case punctuation = 7
  /// `\p{S}`
  case symbol = 8

  /// The class where only letters, numbers and spaces are told apart, and marks perhaps count as letters.
  func coarse(marksAreLetters: Bool) -> CharacterClass {
    switch self {
    case .upper, .lower, .uncased: .letter
    case .number: .number
    case .space: .space
    case .mark: marksAreLetters ? .letter : .other
    case .other, .punctuation, .symbol: .other
    }
  }
}

/// One byte a code point up to the last one that is not `other`, as a class's raw value.
///
/// About 200 kB of which a text in one script touches a few lines; a flat table costs one load and no branch.
struct CharacterClassTable: Sendable {
  /// Of `CharacterClass`.
  static let shared = CharacterClassTable { $0.coarse(marksAreLetters: false).rawValue }
  /// Of `CharacterClass`, marks among the letters.
  static let withMarks = CharacterClassTable { $0.coarse(marksAreLetters: true).rawValue }
  /// Of `DetailedClass`.
  static let detailed = CharacterClassTable { $0.rawValue }

  /// Never freed: the instances live as long as the process.
  nonisolated(unsafe) let classes: UnsafePointer<UInt8>
  /// Code points from here on are `other`.
  let count: Int

  private init(_ value: (DetailedClass) -> UInt8) {
    let boundaries = hexadecimalNumbers(characterClassBoundaries).map(\.value)
    count = boundaries[boundaries.count - 1] >> 4
    let table = UnsafeMutablePointer<UInt8>.allocate(capacity: count)
    for (boundary, next) in zip(boundaries, boundaries.dropFirst()) {
      let kind = value(DetailedClass(rawValue: UInt8(boundary & 15)) ?? .other)
      (table + boundary >> 4).initialize(repeating: kind, count: next >> 4 - boundary >> 4)
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

/// The numbers in a generated table's text, and whether a semicolon ends an entry after each.
func hexadecimalNumbers(_ text: StaticString) -> [(value: Int, endsEntry: Bool)] {
  var numbers: [(value: Int, endsEntry: Bool)] = []
  var number: Int?
  func take(_ endsEntry: Bool) {
    if let value = number { numbers.append((value, endsEntry)) }
    number = nil
  }
  for byte in UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount) {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): number = (number ?? 0) << 4 | Int(byte - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): number = (number ?? 0) << 4 | Int(byte - UInt8(ascii: "a") + 10)
    default: take(byte == UInt8(ascii: ";"))
    }
  }
  take(true)
  return numbers
}
