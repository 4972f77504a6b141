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
