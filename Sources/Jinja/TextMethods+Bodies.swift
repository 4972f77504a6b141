/// What the methods of texts do, and the filters of the same names.
extension TextMethods {
  static func expected(_ value: Value?, _ function: String) throws -> Text {
    try (value ?? .none).expectText(function)
  }

  static func made(_ text: @autoclosure () -> Text, _ arguments: Arguments, _ name: String, _ render: Render) throws
    -> Value
  {
    try arguments.expectNone(name)
    let text = text()
    try render.charge(text.bytes.count)
    try render.work(on: text)
    return .text(text)
  }

  static func strip(
    _ text: Text, _ arguments: Arguments, _ name: String, left: Bool, right: Bool, _ render: Render
  ) throws -> Value {
    let set = try arguments.bound(name, ["chars"])[0].given?.expectText(name)
    try render.charge(text.bytes.count + (set?.bytes.count ?? 0) * Render.itemCost)
    return .text(text.stripped(set, left: left, right: right))
  }

  static func replace(_ text: Text, _ old: Text, _ new: Text, _ count: Int, _ render: Render) throws -> Text {
    let limit = count < 0 ? Int.max : count
    try render.step(text.bytes.count >> 6)
    let places = min(limit, old.isEmpty ? text.scalarCount + 1 : text.occurrences(of: old.bytes, limit: limit).count)
    try render.charge(text.bytes.count)
    try render.charge(new.bytes.count + 8, times: places)
    return text.replacing(old, with: new, limit: limit)
  }

  static func join(_ texts: [Text], _ separator: Text, _ render: Render) throws -> Text {
    try render.charge(separator.bytes.count, times: texts.count)
    var builder = TextBuilder()
    for (place, text) in texts.enumerated() {
      if place > 0 { builder.append(separator) }
      try render.charge(text.bytes.count)
      builder.append(text)
    }
    return builder.text
  }

  /// How many characters are missing to `width`.
  static func fill(_ width: Int, _ text: Text, _ render: Render) throws -> Int {
    let missing = max(0, width - min(width, text.scalarCount))
    try render.charge(missing, times: 4)
    return missing
  }

  static func pad(_ text: Text, _ arguments: Arguments, _ name: String, _ render: Render) throws -> Value {
    let arguments = try arguments.bound(name, ["width", "fillchar"], required: 1)
    let width = try (arguments[0] ?? .none).expectInteger(name)
    let mark = try arguments[1]?.expectText(name) ?? Text(" ")
    guard mark.scalarCount == 1 else {
      throw JinjaError(.runtime, "The fill character must be exactly one character long")
    }
    let missing = try fill(width, text, render)
    let left = name == "ljust" ? 0 : name == "rjust" ? missing : missing / 2 + (missing & width & 1)
    func marks(_ count: Int) -> Text { Text(bytes: Array((0..<count).map { _ in mark.bytes }.joined()), runs: []) }
    return .text(marks(left) + text + marks(missing - left))
  }

  static func fillWithZeros(_ text: Text, _ arguments: Arguments, _ render: Render) throws -> Value {
    let width = try (arguments.bound("zfill", ["width"], required: 1)[0] ?? .none).expectInteger("zfill")
    let first = text.bytes.first
    let sign = first == 0x2b || first == 0x2d ? 1 : 0
    let zeros = Text(String(repeating: "0", count: try fill(width, text, render)))
    return .text(text[0..<sign] + zeros + text[sign..<text.bytes.count])
  }

  static func expandTabs(_ text: Text, _ size: Int, _ render: Render) throws -> Text {
    try render.charge(size, times: text.bytes.count { $0 == 0x09 })
    var column = 0
    return text.mapScalars { scalar, _ in
      if scalar == "\t" {
        let count = size == 0 ? 0 : size - column % size
        column += count
        return String(repeating: " ", count: count)
      }
      column = scalar == "\n" || scalar == "\r" ? 0 : column + 1
      return String(scalar)
    }
  }

  static func hasEnd(_ text: Text, _ arguments: Arguments, _ name: String, _ render: Render) throws -> Value {
    let bound = try arguments.bound(name, [name == "startswith" ? "prefix" : "suffix", "start", "end"], required: 1)
    guard let range = try range(text, bound, name) else { return .bool(false) }
    let inner = text[range]
    func fits(_ end: Text) -> Bool { name == "startswith" ? inner.starts(with: end) : inner.ends(with: end) }
    if case .some(.tuple(let ends)) = bound[0] {
      try render.step(ends.items.count)
      return .bool(try ends.items.contains { fits(try $0.expectText(name)) })
    }
    return .bool(fits(try expected(bound[0], name)))
  }

  /// The bytes between the second and third argument; nil where they are out of order.
  private static func range(_ text: Text, _ bound: [Value?], _ name: String) throws -> Range<Int>? {
    let start = try bound[1].given?.expectInteger(name)
    let end = try bound[2].given?.expectInteger(name)
    if start == nil, end == nil { return 0..<text.bytes.count }
    let starts = text.boundaries()
    if let start, start > starts.count - 1 { return nil }
    let (first, last) = Slicing.bounds(starts.count - 1, start, end, 1)
    return first <= last ? starts[first]..<starts[last] : nil
  }

  static func sought(_ text: Text, _ arguments: Arguments, _ name: String) throws -> (Text, Range<Int>) {
    let bound = try arguments.bound(name, ["sub", "start", "end"], required: 1)
    let part = try expected(bound[0], name)
    return (part, try range(text, bound, name) ?? 0..<0)
  }

  static func find(
    _ text: Text, _ arguments: Arguments, _ name: String, fromRight: Bool, _ render: Render
  ) throws -> Value? {
    let bound = try arguments.bound(name, ["sub", "start", "end"], required: 1)
    let part = try expected(bound[0], name)
    guard let range = try range(text, bound, name) else { return nil }
    try render.step(text.bytes.count >> 6)
    let inner = text[range]
    let place: Int? =
      if !fromRight {
        inner.find(part.bytes, in: 0..<inner.bytes.count)
      } else if part.isEmpty {
        inner.bytes.count
      } else {
        inner.lastOccurrences(of: part.bytes, limit: 1).first
      }
    return place.map { .integer(text[0..<range.lowerBound + $0].scalarCount) }
  }

  static func split(
    _ text: Text, _ arguments: Arguments, _ name: String, fromRight: Bool, _ render: Render
  ) throws -> Value {
    let bound = try arguments.bound(name, ["sep", "maxsplit"])
    let count = try bound[1]?.expectInteger(name) ?? -1
    let limit = count < 0 ? Int.max : count
    try render.step(text.bytes.count >> 6)
    guard let separator = try bound[0].given?.expectText(name) else {
      return try charged(fromRight ? text.splitBySpaceFromRight(limit: limit) : text.splitBySpace(limit: limit), render)
    }
    guard !separator.isEmpty else { throw JinjaError(.runtime, "empty separator") }
    return try charged(text.split(by: separator, limit: limit, fromRight: fromRight), render)
  }

  /// Parts of a text as a list.
  static func charged(_ parts: [Text], _ render: Render) throws -> Value {
    try render.charge(parts.reduce(0) { $0 + $1.bytes.count + Render.itemCost })
    return try render.texts(parts)
  }

  static func partition(
    _ text: Text, _ arguments: Arguments, _ name: String, fromRight: Bool, _ render: Render
  ) throws -> Value {
    let separator = try expected(arguments.bound(name, ["sep"], required: 1)[0], name)
    guard !separator.isEmpty else { throw JinjaError(.runtime, "empty separator") }
    try render.charge(text.bytes.count)
    try render.step(text.bytes.count >> 6)
    let parts = text.split(by: separator, limit: 1, fromRight: fromRight)
    guard parts.count == 2 else {
      return try render.tuple((fromRight ? [.empty, .empty, text] : [text, .empty, .empty]).map { .text($0) })
    }
    let place = parts[0].bytes.count
    return try render.tuple(
      [parts[0], text[place..<place + separator.bytes.count], parts[1]].map { .text($0) })
  }
}

/// Jinja's `escape`: as it stands in HTML; a `Markup` stays as it is.
func escapedHTML(_ text: Text) -> Text {
  if text.isMarkup { return text }
  return text.mapScalars { scalar, _ in
    switch scalar {
    case "&": "&amp;"
    case "<": "&lt;"
    case ">": "&gt;"
    case "\"": "&#34;"
    case "'": "&#39;"
    default: String(scalar)
    }
  }.markup()
}
