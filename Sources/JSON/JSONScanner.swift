import Core

/// Where and why a text is not JSON.
public struct JSONSyntaxError: Error, Equatable {
  /// Byte offset in the scanned bytes.
  public var offset: Int
  /// What is wrong, half a sentence.
  public var message: String

  public init(offset: Int, message: String) {
    self.offset = offset
    self.message = message
  }
}

/// A strict reader of RFC 8259 that builds nothing: it finds where a value ends and refuses what json-c would let pass.
///
/// Checked: the grammar, UTF-8 (no overlong forms, no surrogates), no raw control characters in strings, surrogate
/// escapes only in pairs, at most `depthLimit` levels, numbers within the range of a double, and no U+0000 in a
/// member's name, where json-c would cut it. Not checked: that keys are distinct; `memberCount` lets the caller do so.
/// The bytes must stay valid for as long as the scanner is used.
public struct JSONScanner {
  /// Levels of arrays and objects.
  public static let depthLimit = 128

  let base: UnsafePointer<UInt8>?
  let count: Int
  /// Offset of the next byte to read.
  public internal(set) var position: Int
  /// Members of all objects scanned so far.
  public internal(set) var memberCount = 0
  /// Integers of at least 19 digits, in order: json-c clamps them to 64 bits.
  var longIntegers: [Range<Int>] = []

  public init(_ bytes: UnsafeRawBufferPointer, at position: Int = 0) {
    precondition(position >= 0 && position <= bytes.count)
    base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
    count = bytes.count
    self.position = position
  }

  /// The byte at `position`, nil at the end.
  public var peek: UInt8? { position < count ? base?[position] : nil }

  public mutating func skipSpace() {
    guard let base else { return }
    while position < count, isSpace(base[position]) { position += 1 }
  }

  /// Exactly one value with nothing but white space around it.
  public mutating func scanDocument() throws(JSONSyntaxError) -> Range<Int> {
    let value = try scanValue()
    skipSpace()
    if position < count { throw failure("there is text after the end of the value") }
    return value
  }

  /// The next value, white space before it skipped; `position` is then its end.
  public mutating func scanValue() throws(JSONSyntaxError) -> Range<Int> {
    skipSpace()
    let start = position
    try scanValue(depth: 0)
    return start..<position
  }

  /// Steps over `byte` when it is next.
  public mutating func skip(_ byte: UInt8) -> Bool {
    guard peek == byte else { return false }
    position += 1
    return true
  }

  mutating func scanValue(depth: Int) throws(JSONSyntaxError) {
    guard let byte = peek else { throw failure("a value is expected, but the text ends") }
    switch byte {
    case UInt8(ascii: "\""): _ = try scanString()
    case UInt8(ascii: "{"): try scanObject(depth: depth + 1)
    case UInt8(ascii: "["): try scanArray(depth: depth + 1)
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): try scanNumber()
    case UInt8(ascii: "t"): try scanWord("true")
    case UInt8(ascii: "f"): try scanWord("false")
    case UInt8(ascii: "n"): try scanWord("null")
    default: throw failure("a value is expected, but \(found) follows")
    }
  }

  private mutating func scanObject(depth: Int) throws(JSONSyntaxError) {
    try enter(depth)
    if skip(UInt8(ascii: "}")) { return }
    while true {
      guard peek == UInt8(ascii: "\"") else { throw failure("a name in quotes is expected, but \(found) follows") }
      let name = position
      let holdsNull = try scanString()
      if holdsNull { throw JSONSyntaxError(offset: name, message: "a name holds \\u0000") }
      memberCount += 1
      skipSpace()
      guard skip(UInt8(ascii: ":")) else { throw failure("a colon is expected after a name, but \(found) follows") }
      skipSpace()
      try scanValue(depth: depth)
      skipSpace()
      if skip(UInt8(ascii: "}")) { return }
      guard skip(UInt8(ascii: ",")) else { throw failure("a comma or } is expected, but \(found) follows") }
      skipSpace()
    }
  }

  private mutating func scanArray(depth: Int) throws(JSONSyntaxError) {
    try enter(depth)
    if skip(UInt8(ascii: "]")) { return }
    while true {
      try scanValue(depth: depth)
      skipSpace()
      if skip(UInt8(ascii: "]")) { return }
      guard skip(UInt8(ascii: ",")) else { throw failure("a comma or ] is expected, but \(found) follows") }
      skipSpace()
    }
  }

  /// Steps into an array or object.
  private mutating func enter(_ depth: Int) throws(JSONSyntaxError) {
    guard depth <= Self.depthLimit else { throw failure("values are nested deeper than \(Self.depthLimit) levels") }
    position += 1
    skipSpace()
  }

  private mutating func scanWord(_ word: StaticString) throws(JSONSyntaxError) {
    for index in 0..<word.utf8CodeUnitCount {
      guard peek == word.utf8Start[index] else { throw failure("\(word) is expected, but \(found) follows") }
      position += 1
    }
  }
}

// MARK: - Failures

extension JSONScanner {
  func failure(_ message: String) -> JSONSyntaxError { JSONSyntaxError(offset: position, message: message) }

  /// The next byte in words.
  var found: String {
    guard let byte = peek else { return "the end" }
    return byte >= 0x21 && byte < 0x7f ? "'\(Unicode.Scalar(byte))'" : describe(byte)
  }

  func describe(_ byte: UInt8) -> String {
    switch byte {
    case 0x0a: return "the end of the line"
    case 0x20: return "a space"
    default:
      let digits = String(byte, radix: 16, uppercase: true)
      return "byte 0x" + (digits.count < 2 ? "0" : "") + digits
    }
  }
}

extension JSONSyntaxError {
  /// The error as a user sees it. `bytes` are those that were scanned, and start on `firstLine` of the file: at its
  /// start, or else no place within that line is named.
  public func located(
    in bytes: UnsafeRawBufferPointer, file: String, firstLine: Int, startsLine: Bool = true
  ) -> SFTError {
    let before = UnsafeRawBufferPointer(rebasing: bytes[..<min(offset, bytes.count)])
    let lineFeed = before.lastIndex(of: 0x0a)
    let column = before.count - (lineFeed ?? -1)
    let place = lineFeed != nil || startsLine ? " at byte \(column) of the line" : ""
    return SFTError(
      .badData, "is not valid JSON\(place): \(message)", file: file, line: firstLine + countLines(before))
  }
}

/// Line feeds in `bytes`.
public func countLines(_ bytes: UnsafeRawBufferPointer) -> Int {
  var lines = 0
  for byte in bytes where byte == 0x0a { lines &+= 1 }
  return lines
}

@inline(__always) func isSpace(_ byte: UInt8) -> Bool {
  byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09
}
