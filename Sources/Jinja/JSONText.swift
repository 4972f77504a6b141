/// Python's `json.dumps`, as transformers' `tojson` calls it.
struct JSONText {
  var ensureASCII = false
  /// The line break's indentation; nil for one line.
  var indent: Text?
  var itemSeparator: Text
  var keySeparator: Text
  var sortKeys = false

  private static let depthLimit = 200

  func dump(_ value: Value, _ render: Render) throws -> Text {
    var builder = TextBuilder()
    try append(value, .template, depth: 0, to: &builder, render)
    try render.charge(builder.bytes.count)
    return builder.text
  }

  private func append(
    _ value: Value, _ origin: Origin, depth: Int, to builder: inout TextBuilder, _ render: Render
  ) throws {
    guard depth < Self.depthLimit else { throw JinjaError(.limit, "values are nested too deeply for JSON") }
    try render.step()
    guard builder.bytes.count <= render.limits.bytes else { throw JinjaError(.limit, "a JSON text is too long") }
    switch value {
    case .none: builder.append("null", origin)
    case .bool(let value): builder.append(value ? "true" : "false", origin)
    case .integer(let number): builder.append(String(number), origin)
    case .float(let number): builder.append(Self.float(number), origin)
    case .text(let text): append(text, to: &builder)
    case .list(let items), .tuple(let items):
      try append(items.items.count, ("[", "]"), items.origin, depth, to: &builder) { place, builder in
        try append(items.items[place], items.origin, depth: depth + 1, to: &builder, render)
      }
    case .mapping(let mapping): try append(mapping, depth, to: &builder, render)
    default:
      throw JinjaError(.runtime, "Object of type \(value.type.rawValue) is not JSON serializable")
    }
  }

  private func append(_ mapping: Mapping, _ depth: Int, to builder: inout TextBuilder, _ render: Render) throws {
    var members = mapping.members
    if sortKeys { members = try render.sorted(members) { $0.key } }
    try append(members.count, ("{", "}"), mapping.origin, depth, to: &builder) { place, builder in
      append(try Self.key(members[place].key), to: &builder)
      builder.append(keySeparator.bytes[...], mapping.origin)
      try append(members[place].value, mapping.origin, depth: depth + 1, to: &builder, render)
    }
  }

  private func append(
    _ count: Int, _ brackets: (String, String), _ origin: Origin, _ depth: Int, to builder: inout TextBuilder,
    item: (Int, inout TextBuilder) throws -> Void
  ) rethrows {
    builder.append(brackets.0, origin)
    for place in 0..<count {
      if place > 0 { builder.append(itemSeparator.bytes[...], origin) }
      breakLine(depth + 1, origin, to: &builder)
      try item(place, &builder)
    }
    if count > 0 { breakLine(depth, origin, to: &builder) }
    builder.append(brackets.1, origin)
  }

  private func breakLine(_ depth: Int, _ origin: Origin, to builder: inout TextBuilder) {
    guard let indent else { return }
    builder.append("\n", origin)
    for _ in 0..<depth { builder.append(indent.bytes[...], origin) }
  }

  private static func key(_ value: Value) throws -> Text {
    switch value {
    case .text(let text): return text
    case .none: return Text("null")
    case .bool(let value): return Text(value ? "true" : "false")
    case .integer(let number): return Text(String(number))
    case .float(let number): return Text(float(number))
    default:
      throw JinjaError(
        .runtime, "keys must be str, int, float, bool or None, not \(value.type.rawValue)")
    }
  }

  private static func float(_ number: Double) -> String {
    number.isNaN ? "NaN" : number.isInfinite ? (number < 0 ? "-Infinity" : "Infinity") : Printing.float(number)
  }

  private func append(_ text: Text, to builder: inout TextBuilder) {
    builder.append("\"", text.origin(at: 0))
    text.forEachRun { range, origin in
      var start = range.lowerBound
      var offset = start
      while offset < range.upperBound {
        let byte = text.bytes[offset]
        let width = byte < 0x80 ? 1 : Text.width(byte)
        if let escape = escape(byte, text, offset) {
          builder.append(text.bytes[start..<offset], origin)
          builder.append(escape, origin)
          start = offset + width
        }
        offset += width
      }
      builder.append(text.bytes[start..<range.upperBound], origin)
    }
    builder.append("\"", text.bytes.isEmpty ? text.origin : text.origin(at: text.bytes.count - 1))
  }

  /// What a character is written as; nil where as itself.
  private func escape(_ byte: UInt8, _ text: Text, _ offset: Int) -> String? {
    switch byte {
    case 0x22: return "\\\""
    case 0x5c: return "\\\\"
    case 0x0a: return "\\n"
    case 0x0d: return "\\r"
    case 0x09: return "\\t"
    case 0x08: return "\\b"
    case 0x0c: return "\\f"
    case 0..<0x20: return Self.unicodeEscape(UInt16(byte))
    case 0x7f where ensureASCII: return nil
    case 0x80...:
      guard ensureASCII else { return nil }
      return String(text.scalar(at: offset)).utf16.map(Self.unicodeEscape).joined()
    default: return nil
    }
  }

  private static func unicodeEscape(_ unit: UInt16) -> String {
    let digits = String(unit, radix: 16)
    return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
  }
}
