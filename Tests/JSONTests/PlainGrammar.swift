/// RFC 8259 once more, character by character and without regard to speed: the scanner's reference. U+0000 in a name is
/// refused here too.
struct PlainGrammar {
  private var rest: ArraySlice<Unicode.Scalar>

  static func accepts(_ bytes: [UInt8]) -> Bool {
    guard let text = String(validating: bytes, as: UTF8.self) else { return false }
    var grammar = PlainGrammar(rest: Array(text.unicodeScalars)[...])
    return grammar.value() && grammar.rest.isEmpty
  }

  private mutating func space() { rest = rest.drop { " \n\r\t".unicodeScalars.contains($0) } }

  private mutating func take(_ text: String) -> Bool {
    guard rest.starts(with: text.unicodeScalars) else { return false }
    rest = rest.dropFirst(text.unicodeScalars.count)
    return true
  }

  /// A value and the white space around it.
  private mutating func value() -> Bool {
    space()
    defer { space() }
    switch rest.first {
    case "{": return list("}") { $0.member() }
    case "[": return list("]") { $0.value() }
    case "\"": return string() != nil
    case "t": return take("true")
    case "f": return take("false")
    case "n": return take("null")
    default: return number()
    }
  }

  private mutating func list(_ end: String, _ element: (inout PlainGrammar) -> Bool) -> Bool {
    rest = rest.dropFirst()
    space()
    if take(end) { return true }
    repeat {
      guard element(&self) else { return false }
    } while take(",")
    return take(end)
  }

  private mutating func member() -> Bool {
    space()
    guard let name = string(), !name.contains(0) else { return false }
    space()
    return take(":") && value()
  }

  /// The code units that the string stands for; nil when it is none.
  private mutating func string() -> [UInt16]? {
    guard take("\"") else { return nil }
    var units: [UInt16] = []
    var escaped: [Bool] = []
    while let scalar = rest.popFirst() {
      if scalar == "\"" { return isPaired(units, escaped) ? units : nil }
      if scalar.value < 0x20 { return nil }
      guard scalar == "\\" else {
        units += Array(String(scalar).utf16)
        escaped += String(scalar).utf16.map { _ in false }
        continue
      }
      guard let letter = rest.popFirst() else { return nil }
      if letter == "u" {
        let digits = String(String.UnicodeScalarView(rest.prefix(4)))
        guard digits.utf8.count == 4, digits.allSatisfy(\.isHexDigit), let unit = UInt16(digits, radix: 16) else {
          return nil
        }
        units.append(unit)
        rest = rest.dropFirst(4)
      } else {
        guard "\"\\/bfnrt".unicodeScalars.contains(letter) else { return nil }
        units.append(1)
      }
      escaped.append(true)
    }
    return nil
  }

  /// Whether surrogates come in pairs that are wholly escaped or wholly not.
  private func isPaired(_ units: [UInt16], _ escaped: [Bool]) -> Bool {
    var index = 0
    while index < units.count {
      if UTF16.isTrailSurrogate(units[index]) { return false }
      if UTF16.isLeadSurrogate(units[index]) {
        index += 1
        guard index < units.count, UTF16.isTrailSurrogate(units[index]), escaped[index] == escaped[index - 1] else {
          return false
        }
      }
      index += 1
    }
    return true
  }

  private mutating func number() -> Bool {
    let text = String(String.UnicodeScalarView(rest.prefix { "+-.0123456789eE".unicodeScalars.contains($0) }))
    guard let match = text.wholeMatch(of: /-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/) else { return false }
    rest = rest.dropFirst(text.unicodeScalars.count)
    return Double(match.0)?.isFinite ?? false
  }
}
