/// Python's `format % values`, with the conversions s, r, a, d, i, u, x, X, o, c, e, E, f, F, g, G and %.
struct PercentFormat {
  private struct Specification {
    var flags = Set<UInt8>()
    var width = 0
    var precision: Int?
  }

  private let format: Text
  private let values: Value
  private let render: Render
  private var offset = 0
  private var used = 0
  private var builder = TextBuilder()

  static func apply(_ format: Text, _ values: Value, _ render: Render) throws -> Text {
    var formatter = PercentFormat(format: format, values: values, render: render)
    return try formatter.run()
  }

  private init(format: Text, values: Value, render: Render) {
    (self.format, self.values, self.render) = (format, values, render)
  }

  private mutating func run() throws -> Text {
    while offset < format.bytes.count {
      let start = offset
      while offset < format.bytes.count, format.bytes[offset] != 0x25 { offset += 1 }
      builder.append(format, start..<offset)
      if offset < format.bytes.count {
        offset += 1
        try convert()
      }
    }
    try render.charge(builder.bytes.count)
    if case .tuple(let items) = values, used < items.items.count { throw Self.unused }
    switch values {
    // Whatever has items could be a mapping.
    case .tuple, .mapping, .list, .range, .undefined: break
    default: if used == 0 { throw Self.unused }
    }
    return format.isMarkup ? builder.text.markup() : builder.text
  }

  private static let unused = JinjaError(.runtime, "not all arguments converted during string formatting")

  private func peek() throws -> UInt8 {
    guard offset < format.bytes.count else { throw JinjaError(.runtime, "incomplete format") }
    return format.bytes[offset]
  }

  private mutating func convert() throws {
    let key = try parseKey()
    let specification = try parseSpecification()
    let conversion = try peek()
    let percent = offset - 1
    offset += 1
    if conversion == 0x25 {
      builder.append(format, offset - 1..<offset)
      return
    }
    let value = try key.map { try member($0) } ?? next()
    let origin = format.origin(at: percent)
    try append(try converted(value, conversion, specification), specification, conversion, origin)
  }

  /// `(name)`.
  private mutating func parseKey() throws -> Text? {
    guard try peek() == 0x28 else { return nil }
    let start = offset + 1
    while try peek() != 0x29 { offset += 1 }
    offset += 1
    return format[start..<offset - 1]
  }

  private mutating func parseSpecification() throws -> Specification {
    var specification = Specification()
    while try "-+ 0#".utf8.contains(peek()) {
      specification.flags.insert(try peek())
      offset += 1
    }
    specification.width = try parseNumber() ?? 0
    if try peek() == 0x2e {
      offset += 1
      specification.precision = try parseNumber() ?? 0
    }
    while try "hlL".utf8.contains(peek()) { offset += 1 }
    try render.charge(specification.width, times: 4)
    return specification
  }

  private mutating func parseNumber() throws -> Int? {
    if try peek() == 0x2a {
      offset += 1
      return try next().expectInteger("%")
    }
    var number: Int?
    while case let byte = try peek(), (0x30..<0x3a).contains(byte) {
      number = (number ?? 0) * 10 + Int(byte - 0x30)
      if let number, number > 1 << 28 { throw JinjaError(.limit, "a format is too wide") }
      offset += 1
    }
    return number
  }

  private func member(_ key: Text) throws -> Value {
    guard case .mapping(let mapping) = values else { throw JinjaError(.runtime, "format requires a mapping") }
    guard let value = mapping.find(key) else { throw JinjaError(.runtime, "'\(key.string)'") }
    return value
  }

  private mutating func next() throws -> Value {
    let items = if case .tuple(let items) = values { items.items } else { [values] }
    guard used < items.count else { throw JinjaError(.runtime, "not enough arguments for format string") }
    used += 1
    return items[used - 1]
  }

  private func converted(_ value: Value, _ conversion: UInt8, _ specification: Specification) throws -> Text {
    switch conversion {
    case 0x73:
      return try cut(
        format.isMarkup ? escapedHTML(Printing.text(value, render)) : Printing.text(value, render), specification)
    case 0x72, 0x61: return try cut(Printing.repr(value, render), specification)
    case 0x63:
      if case .text(let text) = value, text.scalarCount == 1 { return text }
      guard let scalar = value.integer.flatMap({ UInt32(exactly: $0) }).flatMap(Unicode.Scalar.init) else {
        throw JinjaError(.runtime, "%c requires int or char")
      }
      return Text(String(scalar))
    case 0x64, 0x69, 0x75, 0x78, 0x58, 0x6f: return try integer(value, conversion, specification)
    case 0x65, 0x45, 0x66, 0x46, 0x67, 0x47:
      if case .undefined(let undefined) = value { throw undefined.error }
      guard let number = value.number else {
        throw JinjaError(.runtime, "must be real number, not \(value.type.rawValue)")
      }
      let digits = NumberText.float(number, conversion, specification.precision ?? 6)
      return Text(signed(digits, isNegative: digits.hasPrefix("-"), specification))
    default:
      throw JinjaError(.runtime, "unsupported format character '\(Unicode.Scalar(conversion))'")
    }
  }

  private func cut(_ text: Text, _ specification: Specification) -> Text {
    guard let precision = specification.precision else { return text }
    let starts = text.boundaries()
    return text[0..<starts[min(precision, starts.count - 1)]]
  }

  private func integer(_ value: Value, _ conversion: UInt8, _ specification: Specification) throws -> Text {
    if case .undefined(let undefined) = value { throw undefined.error }
    let isDecimal = conversion != 0x78 && conversion != 0x58 && conversion != 0x6f
    var number = value.integer
    if number == nil, isDecimal, case .float(let float) = value { number = Int(exactly: float.rounded(.towardZero)) }
    guard let number else {
      throw JinjaError(
        .runtime, "%\(Unicode.Scalar(conversion)) format: a real number is required, not \(value.type.rawValue)")
    }
    var digits = String(number.magnitude, radix: isDecimal ? 10 : conversion == 0x6f ? 8 : 16)
    if conversion == 0x58 { digits = digits.uppercased() }
    if let precision = specification.precision, digits.count < precision {
      try render.charge(precision)
      digits = String(repeating: "0", count: precision - digits.count) + digits
    }
    if specification.flags.contains(0x23), !isDecimal { digits = "0\(Unicode.Scalar(conversion))" + digits }
    return Text(signed(number < 0 ? "-" + digits : digits, isNegative: number < 0, specification))
  }

  private func signed(_ digits: String, isNegative: Bool, _ specification: Specification) -> String {
    if isNegative { return digits }
    return (specification.flags.contains(0x2b) ? "+" : specification.flags.contains(0x20) ? " " : "") + digits
  }

  private mutating func append(
    _ text: Text, _ specification: Specification, _ conversion: UInt8, _ origin: Origin
  ) throws {
    let missing = max(0, specification.width - text.scalarCount)
    let isNumber = !"srac".utf8.contains(conversion)
    if specification.flags.contains(0x2d) {
      builder.append(text)
      builder.append(String(repeating: " ", count: missing), origin)
    } else if isNumber, specification.flags.contains(0x30) {
      let sign = text.bytes.first.map { "+- ".utf8.contains($0) } == true ? 1 : 0
      builder.append(text, 0..<sign)
      builder.append(String(repeating: "0", count: missing), origin)
      builder.append(text, sign..<text.bytes.count)
    } else {
      builder.append(String(repeating: " ", count: missing), origin)
      builder.append(text)
    }
  }
}
