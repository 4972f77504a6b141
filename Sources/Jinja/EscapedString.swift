/// What stands between the quotes of a template's string, with Python's escapes.
struct EscapedString {
  private var scalars: Substring.UnicodeScalarView

  init(_ bytes: ArraySlice<UInt8>) {
    scalars = Substring(String(decoding: bytes, as: UTF8.self)).unicodeScalars
  }

  func unescaped(_ failure: (String) -> JinjaError) throws -> String {
    guard scalars.contains("\\") else { return String(scalars) }
    var rest = self
    var result = String.UnicodeScalarView()
    while let scalar = rest.scalars.popFirst() {
      guard scalar == "\\" else {
        result.append(scalar)
        continue
      }
      guard let letter = rest.scalars.popFirst() else { throw failure("a string ends in a backslash") }
      try rest.appendEscape(letter, to: &result, failure)
    }
    return String(result)
  }

  private mutating func appendEscape(
    _ letter: Unicode.Scalar, to result: inout String.UnicodeScalarView, _ failure: (String) -> JinjaError
  ) throws {
    switch letter {
    case "\n": break
    case "\\", "'", "\"": result.append(letter)
    case "n": result.append("\n")
    case "t": result.append("\t")
    case "r": result.append("\r")
    case "a": result.append("\u{7}")
    case "b": result.append("\u{8}")
    case "f": result.append("\u{c}")
    case "v": result.append("\u{b}")
    case "x": result.append(try hexadecimal(2, failure))
    case "u": result.append(try hexadecimal(4, failure))
    case "U": result.append(try hexadecimal(8, failure))
    case "0"..."7":
      var digits = String(letter)
      while digits.count < 3, let next = scalars.first, ("0"..."7").contains(next) {
        digits.unicodeScalars.append(next)
        scalars.removeFirst()
      }
      result.append(Unicode.Scalar(UInt32(digits, radix: 8) ?? 0) ?? "\u{fffd}")
    case "N": throw failure("characters by name, \\N{…}, are not supported")
    default:
      result.append("\\")
      // Python has turned a letter beyond ASCII into an escape by now, whose backslash the one before it takes.
      result.append(contentsOf: letter.isASCII ? String(letter).unicodeScalars : Self.hexName(letter).unicodeScalars)
    }
  }

  private static func hexName(_ scalar: Unicode.Scalar) -> String {
    let digits = String(scalar.value, radix: 16)
    let (letter, width) = scalar.value < 0x100 ? ("x", 2) : scalar.value < 0x10000 ? ("u", 4) : ("U", 8)
    return letter + String(repeating: "0", count: width - digits.count) + digits
  }

  private mutating func hexadecimal(_ count: Int, _ failure: (String) -> JinjaError) throws -> Unicode.Scalar {
    let digits = String(scalars.prefix(count))
    let isHexadecimal = digits.unicodeScalars.count == count && digits.allSatisfy { $0.isHexDigit && $0.isASCII }
    guard isHexadecimal, let value = UInt32(digits, radix: 16) else {
      throw failure("a string holds an escape with too few hexadecimal digits")
    }
    guard let scalar = Unicode.Scalar(value) else {
      throw failure("a string holds an escape that stands for no character")
    }
    scalars = scalars.dropFirst(count)
    return scalar
  }
}
