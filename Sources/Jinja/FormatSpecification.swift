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
