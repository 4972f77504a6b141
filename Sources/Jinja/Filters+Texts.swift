extension Filters {
  static let texts: [String: Body] = [
    "upper": { .text(try made(text($0, $2).uppercased(), $1, "upper", $2)) },
    "lower": { .text(try made(text($0, $2).lowercased(), $1, "lower", $2)) },
    "capitalize": { .text(try made(text($0, $2).capitalized(), $1, "capitalize", $2)) },
    "title": { .text(try made(title(text($0, $2)), $1, "title", $2)) },
    "string": { .text(try made(text($0, $2), $1, "string", $2)) },
    "safe": { .text(try made(text($0, $2).markup(), $1, "safe", $2)) },
    "e": { .text(try made(escapedHTML(text($0, $2)), $1, "escape", $2)) },
    "escape": { .text(try made(escapedHTML(text($0, $2)), $1, "escape", $2)) },
    "forceescape": { .text(try made(escapedHTML(text($0, $2).plain()), $1, "forceescape", $2)) },
    "trim": { value, arguments, render in
      try TextMethods.strip(text(value, render), arguments, "trim", left: true, right: true, render)
    },
    "replace": { value, arguments, render in
      let bound = try arguments.bound("replace", ["old", "new", "count"], required: 2)
      let old = try text(bound[0] ?? .none, render)
      let new = try text(bound[1] ?? .none, render)
      let count = try bound[2].given?.expectInteger("replace") ?? -1
      return .text(try TextMethods.replace(text(value, render).plain(), old, new, count, render))
    },
    "center": { value, arguments, render in
      let width = try arguments.bound("center", ["width"])[0] ?? .integer(80)
      return try TextMethods.pad(text(value, render), Arguments(positional: [width]), "center", render)
    },
    "indent": { value, arguments, render in
      let bound = try arguments.bound("indent", ["width", "first", "blank"])
      return .text(try indent(value.expectText("indent"), bound, render))
    },
    "truncate": { value, arguments, render in
      let bound = try arguments.bound("truncate", ["length", "killwords", "end", "leeway"])
      return try truncate(value, bound, render)
    },
    "wordcount": { value, arguments, render in
      try arguments.expectNone("wordcount")
      let text = try text(value, render)
      try render.work(on: text)
      return .integer(words(text))
    },
    "urlencode": { value, arguments, render in
      try arguments.expectNone("urlencode")
      return .text(try urlEncode(value, render))
    },
    "format": { value, arguments, render in
      guard arguments.positional.isEmpty || arguments.named.isEmpty else {
        throw JinjaError(.runtime, "can't handle positional and keyword arguments at the same time")
      }
      let given =
        arguments.named.isEmpty
        ? try render.tuple(arguments.positional)
        : try render.mapping(arguments.named.map { (.text($0.name), $0.value) })
      return .text(try PercentFormat.apply(text(value, render), given, render))
    },
  ]

  private static func made(
    _ text: @autoclosure () throws -> Text, _ arguments: Arguments, _ name: String, _ render: Render
  ) throws -> Text {
    try arguments.expectNone(name)
    let text = try text()
    try render.charge(text.bytes.count)
    try render.work(on: text)
    return text
  }

  /// Jinja's own: what follows spaces, dashes and opening brackets begins with a capital, and the rest is small.
  private static func title(_ text: Text) -> Text {
    func isBreak(_ scalar: Unicode.Scalar) -> Bool {
      isPythonSpace(scalar) || ["-", "(", "{", "[", "<"].contains(scalar)
    }
    var builder = TextBuilder()
    var start = 0
    func flush(_ end: Int) {
      guard start < end else { return }
      let rest = start + Text.width(text.bytes[start])
      builder.append(text[start..<rest].uppercased())
      builder.append(text[rest..<end].lowercased())
    }
    text.forEachScalar { scalar, offset in
      guard isBreak(scalar) else { return }
      flush(offset)
      start = offset + Text.width(text.bytes[offset])
      builder.append(text, offset..<start)
    }
    flush(text.bytes.count)
    return text.isMarkup ? builder.text.markup() : builder.text
  }

  private static func indent(_ text: Text, _ bound: [Value?], _ render: Render) throws -> Text {
    let indention: Text
    if case .some(.text(let given)) = bound[0] {
      indention = given
    } else {
      let width = try max(0, bound[0]?.expectInteger("indent") ?? 4)
      try render.charge(width)
      indention = Text(String(repeating: " ", count: width))
    }
    let blank = bound[2]?.isTrue ?? false
    // A line break at the end is what makes the last line one.
    let lines = (text.plain() + Text("\n")).lines(keepingEnds: false)
    try render.charge(text.bytes.count)
    try render.charge(indention.bytes.count + 1, times: lines.count)
    var builder = TextBuilder()
    if bound[1]?.isTrue ?? false { builder.append(indention) }
    for (place, line) in lines.enumerated() {
      if place > 0 {
        builder.append("\n")
        if blank || !line.isEmpty { builder.append(indention) }
      }
      builder.append(line)
    }
    return builder.text
  }

  private static func truncate(_ value: Value, _ bound: [Value?], _ render: Render) throws -> Value {
    let length = try bound[0]?.expectInteger("truncate") ?? 255
    let end = try bound[2]?.expectText("truncate") ?? Text("...")
    let leeway = try bound[3].given?.expectInteger("truncate") ?? 5
    guard length >= end.scalarCount, leeway >= 0 else {
      throw JinjaError(.runtime, "truncate() expects a length of at least \(end.scalarCount), and no negative leeway")
    }
    let (room, isEndless) = length.addingReportingOverflow(leeway)
    if try isEndless || value.count() <= room { return value }
    let text = try value.expectText("truncate")
    try render.charge(text.bytes.count)
    var cut = text[0..<text.boundaries()[length - end.scalarCount]]
    if !(bound[1]?.isTrue ?? false) { cut = cut.split(by: Text(" "), limit: 1, fromRight: true)[0] }
    return .text(cut + end)
  }

  private static func words(_ text: Text) -> Int {
    var (count, inside) = (0, false)
    text.forEachScalar { scalar, _ in
      let isWord = scalar == "_" || scalar.properties.isAlphabetic || scalar.properties.numericType != nil
      if isWord, !inside { count += 1 }
      inside = isWord
    }
    return count
  }

  private static func urlEncode(_ value: Value, _ render: Render) throws -> Text {
    let pairs: [Value]
    switch value {
    case .mapping(let mapping): pairs = try mapping.members.map { try render.tuple([$0.key, $0.value]) }
    case .list, .tuple, .range, .view, .generator, .undefined: pairs = try iterate(value, render)
    default: return try quoted(text(value, render), isQuery: false, render)
    }
    let parts = try pairs.map { pair in
      let items = try iterate(pair, render)
      guard items.count == 2 else { throw JinjaError(.runtime, "urlencode wants pairs") }
      let key = try quoted(text(items[0], render), isQuery: true, render)
      return try key + Text("=") + quoted(text(items[1], render), isQuery: true, render)
    }
    return try TextMethods.join(parts, Text("&"), render)
  }

  private static func quoted(_ text: Text, isQuery: Bool, _ render: Render) throws -> Text {
    try render.charge(text.bytes.count, times: 3)
    try render.work(on: text)
    let digits = Array("0123456789ABCDEF".utf8)
    var builder = TextBuilder()
    for (offset, byte) in text.bytes.enumerated() {
      let origin = text.origin(at: offset)
      switch byte {
      case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x5f, 0x2e, 0x2d, 0x7e: builder.append([byte], origin)
      case 0x2f where !isQuery: builder.append([byte], origin)
      case 0x20 where isQuery: builder.append("+", origin)
      default: builder.append([0x25, digits[Int(byte >> 4)], digits[Int(byte & 15)]], origin)
      }
    }
    return builder.text
  }
}
