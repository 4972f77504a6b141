#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

extension Filters {
  static let conversions: [String: Body] = [
    "tojson": { value, arguments, render in .text(try toJSON(value, arguments, render)) },
    "int": { value, arguments, render in
      let bound = try arguments.bound("int", ["default", "base"])
      let base = try bound[1]?.expectInteger("int") ?? 10
      return try integer(value, base: base) ?? bound[0] ?? .integer(0)
    },
    "float": { value, arguments, _ in
      let fallback = try arguments.bound("float", ["default"])[0] ?? .float(0)
      return try float(value).map(Value.float) ?? fallback
    },
    "abs": { value, arguments, _ in
      try arguments.expectNone("abs")
      if case .float(let number) = value { return .float(number.magnitude) }
      if case .undefined(let undefined) = value { throw undefined.error }
      guard let integer = value.integer else {
        throw JinjaError(.runtime, "bad operand type for abs(): '\(value.type.rawValue)'")
      }
      return integer < 0 ? try Arithmetic.negated(value) : .integer(integer)
    },
    "round": { value, arguments, render in
      let bound = try arguments.bound("round", ["precision", "method"])
      let precision = try bound[0]?.expectInteger("round") ?? 0
      let method = try bound[1]?.expectText("round").string ?? "common"
      return try round(value, precision, method, render)
    },
    "filesizeformat": { value, arguments, _ in
      let isBinary = try arguments.bound("filesizeformat", ["binary"])[0]?.isTrue ?? false
      guard let bytes = try float(value) else { throw JinjaError(.runtime, "filesizeformat wants a number") }
      return .text(fileSize(bytes, isBinary: isBinary))
    },
  ]

  private static func toJSON(_ value: Value, _ arguments: Arguments, _ render: Render) throws -> Text {
    let bound = try arguments.bound("tojson", ["ensure_ascii", "indent", "separators", "sort_keys"])
    var indent: Text?
    switch bound[1].given {
    case .some(.text(let text)): indent = text
    case .some(let value):
      let width = max(0, try value.expectInteger("tojson"))
      try render.charge(width)
      indent = Text(String(repeating: " ", count: width))
    case nil: break
    }
    var separators = [Text(indent == nil ? ", " : ","), Text(": ")]
    if let given = bound[2].given {
      separators = try iterate(given, render).map { try $0.expectText("tojson") }
      guard separators.count == 2 else { throw JinjaError(.runtime, "tojson wants two separators") }
    }
    let json = JSONText(
      ensureASCII: bound[0]?.isTrue ?? false, indent: indent, itemSeparator: separators[0],
      keySeparator: separators[1], sortKeys: bound[3]?.isTrue ?? false)
    return try json.dump(value, render)
  }

  /// Python's `int(value, base)`, else `int(float(value))`; nil where neither reads it.
  private static func integer(_ value: Value, base: Int) throws -> Value? {
    if case .text(let text) = value, let number = wholeNumber(text, base: base) { return .integer(number) }
    if let integer = value.integer { return .integer(integer) }
    guard let number = try float(value), number.isFinite else { return nil }
    guard let whole = Int(exactly: number.rounded(.towardZero)) else {
      throw JinjaError(.limit, "an integer does not fit 64 bits")
    }
    return .integer(whole)
  }

  private static func wholeNumber(_ text: Text, base: Int) -> Int? {
    guard (2...36).contains(base) else { return nil }
    var digits = text.stripped(nil, left: true, right: true).string[...]
    let isNegative = digits.first == "-"
    if isNegative || digits.first == "+" { digits = digits.dropFirst() }
    let prefixes = [2: "0b", 8: "0o", 16: "0x"]
    if let prefix = prefixes[base], digits.lowercased().hasPrefix(prefix) { digits = digits.dropFirst(2) }
    return withoutUnderscores(digits).flatMap { Int((isNegative ? "-" : "") + $0, radix: base) }
  }

  /// Underscores may stand between digits.
  private static func withoutUnderscores(_ digits: Substring) -> String? {
    guard let first = digits.first, first != "_", first != "-", first != "+", digits.last != "_" else { return nil }
    let parts = digits.split(separator: "_", omittingEmptySubsequences: false)
    return parts.contains { $0.isEmpty } ? nil : parts.joined()
  }

  /// Python's `float`; nil where it reads none.
  private static func float(_ value: Value) throws -> Double? {
    switch value {
    case .undefined(let undefined): throw undefined.error
    case .text(let text):
      let digits = text.stripped(nil, left: true, right: true).string
      let name = digits.lowercased().drop { $0 == "-" || $0 == "+" }
      if ["inf", "infinity", "nan"].contains(name) { return Double(digits) }
      guard digits.utf8.allSatisfy({ (48..<58).contains($0) || "+-.eE_".utf8.contains($0) }) else { return nil }
      let parts = digits.split(separator: "_", omittingEmptySubsequences: false)
      return parts.contains { $0.isEmpty } ? nil : strictDouble(parts.joined())
    default: return value.number
    }
  }

  /// Python reads "1." and ".5" too.
  private static func strictDouble(_ text: String) -> Double? {
    if let number = Double(text) { return number }
    return Double(text + "0") ?? Double("0" + text)
  }

  private static func round(_ value: Value, _ precision: Int, _ method: String, _ render: Render) throws -> Value {
    guard ["common", "ceil", "floor"].contains(method) else {
      throw JinjaError(.runtime, "method must be common, ceil or floor")
    }
    if case .undefined(let undefined) = value { throw undefined.error }
    guard let number = value.number else {
      throw JinjaError(.runtime, "type \(value.type.rawValue) doesn't define __round__ method")
    }
    if method == "common" {
      if let integer = value.integer, precision >= 0 { return .integer(integer) }
      let rounded = rounded(number, precision)
      return value.integer == nil ? .float(rounded) : .integer(Int(exactly: rounded) ?? 0)
    }
    let scale = pow(10, Double(precision))
    let scaled = method == "ceil" ? (number * scale).rounded(.up) : (number * scale).rounded(.down)
    return .float(scaled / scale)
  }

  /// To the nearest decimal of the exact number, to even where it is in the middle.
  private static func rounded(_ number: Double, _ precision: Int) -> Double {
    guard number.isFinite, precision < 300 else { return number }
    if precision >= 0 { return Double(NumberText.float(number, 0x66, precision)) ?? number }
    guard precision > -308 else { return 0 }
    let scale = pow(10, Double(-precision))
    return (number / scale).rounded(.toNearestOrEven) * scale
  }

  private static func fileSize(_ bytes: Double, isBinary: Bool) -> String {
    let base: Double = isBinary ? 1024 : 1000
    if bytes == 1 { return "1 Byte" }
    if bytes < base { return "\(Int(exactly: bytes.rounded(.towardZero)) ?? 0) Bytes" }
    let letters = ["k", "M", "G", "T", "P", "E", "Z", "Y"]
    var unit = base
    for (place, letter) in letters.enumerated() {
      unit *= base
      if bytes < unit || place == letters.count - 1 {
        let name = isBinary ? letter.uppercased() + "iB" : letter + "B"
        return NumberText.float(base * bytes / unit, 0x66, 1) + " " + name
      }
    }
    return ""
  }
}
