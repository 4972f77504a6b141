/// Python's `str.format`: `{}`, `{0}`, `{name.attribute[item]!r:>10.2f}`, and braces doubled.
struct BraceFormat {
  private let format: Text
  private let arguments: Arguments
  private let render: Render
  private var automatic = 0
  private var builder = TextBuilder()

  static func apply(_ format: Text, _ arguments: Arguments, _ render: Render) throws -> Text {
    var formatter = BraceFormat(format: format, arguments: arguments, render: render)
    try formatter.run()
    return format.isMarkup ? formatter.builder.text.markup() : formatter.builder.text
  }

  private init(format: Text, arguments: Arguments, render: Render) {
    (self.format, self.arguments, self.render) = (format, arguments, render)
  }

  private mutating func run() throws {
    let bytes = format.bytes
    var offset = 0
    while offset < bytes.count {
      let start = offset
      while offset < bytes.count, bytes[offset] != 0x7b, bytes[offset] != 0x7d { offset += 1 }
      builder.append(format, start..<offset)
      guard offset < bytes.count else { break }
      if offset + 1 < bytes.count, bytes[offset + 1] == bytes[offset] {
        builder.append(format, offset..<offset + 1)
        offset += 2
        continue
      }
      guard bytes[offset] == 0x7b else {
        throw JinjaError(.runtime, "Single '}' encountered in format string")
      }
      guard let end = bytes[offset...].firstIndex(of: 0x7d) else {
        throw JinjaError(.runtime, "expected '}' before end of string")
      }
      try field(format[offset + 1..<end])
      offset = end + 1
    }
    try render.charge(builder.bytes.count)
  }

  private mutating func field(_ field: Text) throws {
    guard !field.bytes.contains(0x7b) else {
      throw JinjaError(.runtime, "a format within a format is not supported")
    }
    let colon = field.bytes.firstIndex(of: 0x3a) ?? field.bytes.count
    let bang = field.bytes[..<colon].firstIndex(of: 0x21) ?? colon
    var value = try self.value(field[0..<bang].string)
    if bang < colon {
      switch field[bang + 1..<colon].string {
      case "r", "a": value = .text(try Printing.repr(value, render))
      case "s": value = .text(try Printing.text(value, render))
      default: throw JinjaError(.runtime, "Unknown conversion specifier")
      }
    }
    let specification = colon < field.bytes.count ? field[colon + 1..<field.bytes.count].string : ""
    builder.append(try FormatSpecification(specification).apply(value, render))
  }

  /// The argument that a field names, and what is in it.
  private mutating func value(_ path: String) throws -> Value {
    let name = path.prefix { $0 != "." && $0 != "[" }
    var value: Value
    if name.isEmpty {
      value = try positional(automatic)
      automatic += 1
    } else if let place = Int(name) {
      value = try positional(place)
    } else {
      guard let found = arguments.named.first(where: { $0.name == name }) else {
        throw JinjaError(.runtime, "'\(name)'")
      }
      value = found.value
    }
    var rest = path[name.endIndex...]
    while let first = rest.popFirst() {
      if first == "." {
        let attribute = String(rest.prefix { $0 != "." && $0 != "[" })
        rest = rest.dropFirst(attribute.count)
        value =
          try Jinja.attribute(value, attribute, Methods.ByName(attribute), render)
          ?? item(of: value, .text(attribute), render)
      } else {
        let item = String(rest.prefix { $0 != "]" })
        rest = rest.dropFirst(item.count + 1)
        value = try Jinja.item(of: value, Int(item).map(Value.integer) ?? .text(item), render)
      }
    }
    return value
  }

  private func positional(_ place: Int) throws -> Value {
    guard arguments.positional.indices.contains(place) else {
      throw JinjaError(.runtime, "Replacement index \(place) out of range for positional args tuple")
    }
    return arguments.positional[place]
  }
}

/// Python's format specification: `[[fill]align][sign][0][width][,][.precision][type]`.
struct FormatSpecification {
  private var fill = " "
  private var align: Character?
  private var sign: Character = "-"
  private var width = 0
  private var grouping: Character?
  private var precision: Int?
  private var type: Character?

  init(_ text: String) throws {
    var rest = text[...]
    let aligns: Set<Character> = ["<", ">", "^", "="]
    if let second = rest.dropFirst().first, aligns.contains(second), let first = rest.first {
      (fill, align) = (String(first), second)
      rest = rest.dropFirst(2)
    } else if let first = rest.first, aligns.contains(first) {
      align = rest.removeFirst()
    }
    if let first = rest.first, ["+", "-", " "].contains(first) { sign = rest.removeFirst() }
    if rest.first == "0" {
      rest.removeFirst()
      if align == nil { (fill, align) = ("0", "=") }
    }
    width = try Self.number(&rest) ?? 0
    if let first = rest.first, first == "," || first == "_" { grouping = rest.removeFirst() }
    if rest.first == "." {
      rest.removeFirst()
      guard let number = try Self.number(&rest) else {
        throw JinjaError(.runtime, "Format specifier missing precision")
      }
      precision = number
    }
    type = rest.popFirst()
    guard rest.isEmpty else { throw JinjaError(.runtime, "Invalid format specifier '\(text)'") }
  }

  private static func number(_ text: inout Substring) throws -> Int? {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    text = text.dropFirst(digits.count)
    guard !digits.isEmpty else { return nil }
    guard let number = Int(digits), number < 1 << 28 else { throw JinjaError(.limit, "a format is too wide") }
    return number
  }

  func apply(_ value: Value, _ render: Render) throws -> Text {
    try render.charge(width, times: 4)
    switch value {
    case .text(let text):
      guard type == nil || type == "s", align != "=" || fill == "0" else { throw unknown(value) }
      let starts = text.boundaries()
      return padded(text[0..<starts[min(precision ?? .max, starts.count - 1)]], isNumber: false)
    case .integer, .float: return padded(Text(try number(value)), isNumber: true)
    case .bool where type != nil: return padded(Text(try number(value)), isNumber: true)
    default:
      let text = try Printing.text(value, render)
      // Only texts and numbers know more than being printed.
      guard isPlain else { throw JinjaError(.runtime, "unsupported format string passed to \(value.type.rawValue)") }
      return text
    }
  }

  private var isPlain: Bool {
    align == nil && width == 0 && grouping == nil && precision == nil && type == nil && sign == "-"
  }

  private func unknown(_ value: Value) -> JinjaError {
    JinjaError(
      .runtime, "Unknown format code '\(type ?? "=")' for object of type '\(value.type.rawValue)'")
  }

  private func number(_ value: Value) throws -> String {
    var digits: String
    if let integer = value.integer, let base = [nil: 10, "d": 10, "x": 16, "X": 16, "o": 8, "b": 2, "n": 10][type] {
      guard precision == nil else { throw JinjaError(.runtime, "Precision not allowed in integer format specifier") }
      digits = String(integer, radix: base)
      if type == "X" { digits = digits.uppercased() }
    } else if let number = value.number {
      digits = try float(number, value)
    } else {
      throw unknown(value)
    }
    let isNegative = digits.hasPrefix("-")
    if isNegative { digits.removeFirst() }
    return (isNegative ? "-" : sign == "-" ? "" : String(sign)) + grouped(digits)
  }

  private func float(_ number: Double, _ value: Value) throws -> String {
    switch type {
    case nil where precision == nil: return Printing.float(number)
    case nil, "g": return NumberText.float(number, 0x67, precision ?? 6)
    case "e", "E", "f", "F", "G": return NumberText.float(number, type?.asciiValue ?? 0x66, precision ?? 6)
    case "%": return NumberText.float(number * 100, 0x66, precision ?? 6) + "%"
    default: throw unknown(value)
    }
  }

  private func grouped(_ digits: String) -> String {
    guard let grouping else { return digits }
    let whole = digits.prefix { $0.isNumber }
    var text = ""
    for (place, digit) in whole.enumerated() {
      if place > 0, (whole.count - place) % 3 == 0 { text.append(grouping) }
      text.append(digit)
    }
    return text + digits.dropFirst(whole.count)
  }

  private func padded(_ text: Text, isNumber: Bool) -> Text {
    let missing = width - min(width, text.scalarCount)
    func fills(_ count: Int) -> Text { Text(String(repeating: fill, count: count)) }
    switch align ?? (isNumber ? ">" : "<") {
    case ">": return fills(missing) + text
    case "^": return fills(missing / 2) + text + fills(missing - missing / 2)
    case "=" where isNumber:
      let sign = text.bytes.first.map { "+- ".utf8.contains($0) } == true ? 1 : 0
      return text[0..<sign] + fills(missing) + text[sign..<text.bytes.count]
    default: return text + fills(missing)
    }
  }
}
