/// Python's `str` and `repr`.
enum Printing {
  /// Values are printed at most this deep.
  private static let depthLimit = 200

  static func text(_ value: Value, _ render: Render) throws -> Text {
    switch value {
    case .text(let text): return text
    case .undefined: return .empty
    case .integer(let number): return Text(String(number))
    case .none, .bool, .float: return Text(scalar(value))
    default:
      var builder = TextBuilder()
      try append(value, .template, depth: 0, to: &builder, render)
      try render.charge(builder.bytes.count)
      return builder.text
    }
  }

  static func repr(_ value: Value, _ render: Render) throws -> Text {
    var builder = TextBuilder()
    try append(value, .template, depth: 0, to: &builder, render)
    try render.charge(builder.bytes.count)
    return builder.text
  }

  private static func scalar(_ value: Value) -> String {
    switch value {
    case .none: "None"
    case .bool(let value): value ? "True" : "False"
    case .integer(let number): String(number)
    case .float(let number): float(number)
    default: "Undefined"
    }
  }

  /// Python's `repr` of a float: the fewest digits that read back the same, in plain form from 1e-4 to 1e16.
  static func float(_ number: Double) -> String {
    if number.isNaN { return "nan" }
    if number.isInfinite { return number < 0 ? "-inf" : "inf" }
    let (isNegative, digits, exponent) = shortestDigits(number)
    let sign = isNegative ? "-" : ""
    // `exponent` is the power of ten of the first digit.
    if exponent < -4 || exponent >= 16 {
      let rest = digits.dropFirst()
      let magnitude = String(abs(exponent))
      return sign + String(digits.prefix(1)) + (rest.isEmpty ? "" : "." + rest) + (exponent < 0 ? "e-" : "e+")
        + (magnitude.count < 2 ? "0" : "") + magnitude
    }
    if exponent < 0 { return sign + "0." + String(repeating: "0", count: -exponent - 1) + digits }
    let whole = exponent + 1
    if digits.count <= whole { return sign + digits + String(repeating: "0", count: whole - digits.count) + ".0" }
    return sign + String(digits.prefix(whole)) + "." + String(digits.dropFirst(whole))
  }

  private static func shortestDigits(_ number: Double) -> (isNegative: Bool, digits: String, exponent: Int) {
    var text = Substring("\(number.magnitude)")
    var exponent = 0
    if let e = text.firstIndex(where: { $0 == "e" || $0 == "E" }) {
      exponent = Int(text[text.index(after: e)...].drop { $0 == "+" }) ?? 0
      text = text[..<e]
    }
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    let whole = parts[0]
    let fraction = parts.count > 1 ? parts[1] : ""
    let all = whole + fraction
    let zeros = all.prefix { $0 == "0" }.count
    var digits = all.dropFirst(zeros)
    while digits.last == "0" { digits.removeLast() }
    if digits.isEmpty { return (number.sign == .minus, "0", 0) }
    return (number.sign == .minus, String(digits), exponent + whole.count - 1 - zeros)
  }

  private static func append(
    _ value: Value, _ origin: Origin, depth: Int, to builder: inout TextBuilder, _ render: Render
  ) throws {
    guard depth < depthLimit else { throw JinjaError(.limit, "values are nested too deeply to be printed") }
    try render.step()
    guard builder.bytes.count <= render.limits.bytes else { throw JinjaError(.limit, "a printed value is too long") }
    switch value {
    case .text(let text):
      try render.work(on: text)
      if text.isMarkup { builder.append("Markup(") }
      appendRepr(text, to: &builder)
      if text.isMarkup { builder.append(")") }
    case .list(let items):
      try append(items.items, ("[", "]"), items.origin, depth, to: &builder, render)
    case .tuple(let items):
      let close = items.items.count == 1 ? ",)" : ")"
      try append(items.items, ("(", close), items.origin, depth, to: &builder, render)
    case .mapping(let mapping):
      try append(mapping.members, mapping.origin, depth, to: &builder, render)
    case .view(let view):
      builder.append(view.name + "(")
      try append(view.items.items, ("[", "]"), .template, depth, to: &builder, render)
      builder.append(")")
    case .namespace(let namespace):
      builder.append("<Namespace ")
      let members = zip(namespace.names, namespace.values).map { (key: Value.text($0), value: $1) }
      try append(members, .template, depth, to: &builder, render)
      builder.append(">")
    case .range(let range):
      builder.append("range(\(range.start), \(range.stop)" + (range.step == 1 ? ")" : ", \(range.step))"))
    case .macro(let macro): builder.append("<Macro '\(macro.name)'>")
    case .loop(let loop): builder.append("<LoopContext \(loop.index0 + 1)/\(try loop.length())>")
    case .generator: builder.append("<generator object>")
    case .function(let function): builder.append("<function \(function.name)>")
    case .object(let object): builder.append("<\(object.type.rawValue)>")
    default: builder.append(scalar(value), origin)
    }
  }

  private static func append(
    _ items: [Value], _ brackets: (String, String), _ origin: Origin, _ depth: Int, to builder: inout TextBuilder,
    _ render: Render
  ) throws {
    builder.append(brackets.0, origin)
    for (place, item) in items.enumerated() {
      if place > 0 { builder.append(", ", origin) }
      try append(item, origin, depth: depth + 1, to: &builder, render)
    }
    builder.append(brackets.1, origin)
  }

  private static func append(
    _ members: [(key: Value, value: Value)], _ origin: Origin, _ depth: Int, to builder: inout TextBuilder,
    _ render: Render
  ) throws {
    builder.append("{", origin)
    for (place, member) in members.enumerated() {
      if place > 0 { builder.append(", ", origin) }
      try append(member.key, origin, depth: depth + 1, to: &builder, render)
      builder.append(": ", origin)
      try append(member.value, origin, depth: depth + 1, to: &builder, render)
    }
    builder.append("}", origin)
  }

  /// In single quotes, or in double ones where only single ones are inside; what cannot be printed is escaped.
  private static func appendRepr(_ text: Text, to builder: inout TextBuilder) {
    let quote = text.bytes.contains(0x27) && !text.bytes.contains(0x22) ? "\"" : "'"
    let outer = text.origin
    builder.append(quote, outer)
    text.forEachScalar { scalar, offset in
      builder.append(escaped(scalar, quote: quote), text.origin(at: offset))
    }
    builder.append(quote, outer)
  }

  private static func escaped(_ scalar: Unicode.Scalar, quote: String) -> String {
    switch scalar {
    case "\n": return "\\n"
    case "\r": return "\\r"
    case "\t": return "\\t"
    case "\\": return "\\\\"
    case "'" where quote == "'": return "\\'"
    default:
      if isPrintable(scalar) { return String(scalar) }
      let (letter, width) = scalar.value < 0x100 ? ("x", 2) : scalar.value < 0x10000 ? ("u", 4) : ("U", 8)
      let digits = String(scalar.value, radix: 16)
      return "\\" + letter + String(repeating: "0", count: width - digits.count) + digits
    }
  }

  private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.value < 0x7f { return scalar.value >= 0x20 }
    switch scalar.properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator, .spaceSeparator:
      return false
    default: return true
    }
  }
}
