/// Reads the tokens inside a tag.
struct TagScanner {
  let bytes: [UInt8]
  private(set) var offset: Int
  private(set) var line = 1

  init(_ bytes: [UInt8], at offset: Int = 0) {
    self.bytes = bytes
    self.offset = offset
  }

  mutating func advance(to target: Int) {
    for byte in bytes[offset..<target] where byte == 0x0a { line += 1 }
    offset = target
  }

  mutating func skipSpace() { advance(to: endOfSpace(offset)) }

  func endOfSpace(_ start: Int) -> Int {
    var at = start
    while at < bytes.count {
      if bytes[at] < 0x80 {
        guard isPythonSpace(Unicode.Scalar(bytes[at])) else { return at }
        at += 1
      } else {
        let width = Text.width(bytes[at])
        guard at + width <= bytes.count else { return at }
        guard Text(Array(bytes[at..<at + width]), .template).allScalars(isPythonSpace) else { return at }
        at += width
      }
    }
    return at
  }

  /// The byte behind `-close` with the white space after it, `+close`, or `close` with a line feed after it.
  func end(of close: [UInt8], allowsPlus: Bool, takesLine: Bool) -> Int? {
    guard offset < bytes.count else { return nil }
    let sign = bytes[offset]
    if sign == 0x2d, bytes[(offset + 1)...].starts(with: close) { return endOfSpace(offset + 1 + close.count) }
    if allowsPlus, sign == 0x2b, bytes[(offset + 1)...].starts(with: close) { return offset + 1 + close.count }
    guard bytes[offset...].starts(with: close) else { return nil }
    let end = offset + close.count
    return takesLine && end < bytes.count && bytes[end] == 0x0a ? end + 1 : end
  }

  /// The token that starts here, white space having been skipped.
  mutating func token() throws -> Token {
    guard offset < bytes.count else { throw error("a tag is not closed when the template ends") }
    let start = Token(kind: .end, line: line)
    let kind: Token.Kind
    switch bytes[offset] {
    case 0x30...0x39: kind = try number()
    case 0x22, 0x27: kind = .string(try string())
    case 0x41...0x5a, 0x61...0x7a, 0x5f, 0x80...: kind = .name(try name())
    default: kind = .symbol(try symbol())
    }
    return Token(kind: kind, line: start.line)
  }

  func error(_ message: String) -> JinjaError { JinjaError(.syntax, message, line: line) }

  private mutating func name() throws -> String {
    let start = offset
    while offset < bytes.count {
      let byte = bytes[offset]
      let isWord = (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
      guard isWord || byte == 0x5f || byte >= 0x80 else { break }
      offset += 1
    }
    let name = String(decoding: bytes[start..<offset], as: UTF8.self)
    let scalars = name.unicodeScalars
    let isName = scalars.allSatisfy { $0.isASCII || $0.properties.isXIDContinue }
    guard isName, let first = scalars.first, first.isASCII || first.properties.isXIDStart else {
      throw error("'\(name)' is no name")
    }
    return name
  }

  private static let symbols = [
    "**", "//", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".",
    ":", "|", ",", ";",
  ].map { ($0, Array($0.utf8)) }

  private mutating func symbol() throws -> String {
    for (symbol, text) in Self.symbols where bytes[offset...].starts(with: text) {
      offset += text.count
      return symbol
    }
    throw error("the character '\(Unicode.Scalar(bytes[offset]))' is not expected in a tag")
  }

  // MARK: Numbers

  /// `12`, `1_000`, `0xff`, `1.5`, `1e-3`. After a dot no fraction is read, for `x.0.1`.
  private mutating func number() throws -> Token.Kind {
    let start = offset
    if bytes[offset] == 0x30, offset + 1 < bytes.count,
      let base = [0x78: 16, 0x6f: 8, 0x62: 2][bytes[offset + 1] | 0x20]
    {
      offset += 2
      let digits = run { ($0 >= 0x30 && $0 <= 0x39) || ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x66) || $0 == 0x5f }
      guard let value = Int(digits, radix: base) else { throw error("a number cannot be read") }
      return .integer(value)
    }
    let followsDot = start > 0 && bytes[start - 1] == 0x2e
    var digits = run(Self.isDigit)
    var isFloat = false
    if !followsDot, offset + 1 < bytes.count, bytes[offset] == 0x2e, (0x30...0x39).contains(bytes[offset + 1]) {
      isFloat = true
      offset += 1
      digits += "." + run(Self.isDigit)
    }
    if !followsDot, let exponent = exponent() {
      isFloat = true
      digits += exponent
    }
    if isFloat {
      guard let value = Double(digits) else { throw error("a number cannot be read") }
      return .float(value)
    }
    guard digits.utf8.count == 1 || digits.first != "0" || digits.allSatisfy({ $0 == "0" }) else {
      throw error("a number starts with a superfluous 0")
    }
    guard let value = Int(digits) else { throw error("the number \(digits) does not fit 64 bits") }
    return .integer(value)
  }

  private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) || byte == 0x5f }

  private mutating func run(_ belongs: (UInt8) -> Bool) -> String {
    let start = offset
    while offset < bytes.count, belongs(bytes[offset]) { offset += 1 }
    return String(decoding: bytes[start..<offset].filter { $0 != 0x5f }, as: UTF8.self)
  }

  private mutating func exponent() -> String? {
    guard offset < bytes.count, bytes[offset] | 0x20 == 0x65 else { return nil }
    var at = offset + 1
    if at < bytes.count, bytes[at] == 0x2b || bytes[at] == 0x2d { at += 1 }
    guard at < bytes.count, (0x30...0x39).contains(bytes[at]) else { return nil }
    let sign = String(decoding: bytes[offset..<at], as: UTF8.self)
    offset = at
    return sign + run(Self.isDigit)
  }

  // MARK: Strings

  private mutating func string() throws -> String {
    let quote = bytes[offset]
    let start = offset + 1
    var at = start
    while at < bytes.count, bytes[at] != quote { at += bytes[at] == 0x5c ? 2 : 1 }
    guard at < bytes.count else { throw error("a string is not closed") }
    let content = bytes[start..<at]
    let text = try EscapedString(content).unescaped { error($0) }
    advance(to: at + 1)
    return text
  }
}
