/// Python's `str` methods.
enum TextMethods {
  static let all: [String: TextMethod] = changing.merging(searching) { a, _ in a }.merging(predicates) { a, _ in a }

  private static let changing: [String: TextMethod] = [
    "strip": { try strip($0, $1, "strip", left: true, right: true, $2) },
    "lstrip": { try strip($0, $1, "lstrip", left: true, right: false, $2) },
    "rstrip": { try strip($0, $1, "rstrip", left: false, right: true, $2) },
    "upper": { try made($0.uppercased(), $1, "upper", $2) },
    "lower": { try made($0.lowercased(), $1, "lower", $2) },
    "capitalize": { try made($0.capitalized(), $1, "capitalize", $2) },
    "title": { try made($0.titled(), $1, "title", $2) },
    "swapcase": { try made($0.caseSwapped(), $1, "swapcase", $2) },
    "replace": { text, arguments, render in
      let arguments = try arguments.bound("replace", ["old", "new", "count"], required: 2)
      let old = try expected(arguments[0], "replace")
      let new = try expected(arguments[1], "replace")
      let count = try arguments[2]?.expectInteger("replace") ?? -1
      return .text(try replace(text, old, text.isMarkup ? escapedHTML(new) : new, count, render))
    },
    "removeprefix": { text, arguments, _ in
      let prefix = try expected(arguments.bound("removeprefix", ["prefix"], required: 1)[0], "removeprefix")
      return .text(text.starts(with: prefix) ? text[prefix.bytes.count..<text.bytes.count] : text)
    },
    "removesuffix": { text, arguments, _ in
      let suffix = try expected(arguments.bound("removesuffix", ["suffix"], required: 1)[0], "removesuffix")
      return .text(text.ends(with: suffix) ? text[0..<text.bytes.count - suffix.bytes.count] : text)
    },
    "join": { text, arguments, render in
      let items = try iterate(try arguments.bound("join", ["iterable"], required: 1)[0] ?? .none, render)
      return .text(try join(items.map { try $0.expectText("join") }, text, render))
    },
    "center": { try pad($0, $1, "center", $2) },
    "ljust": { try pad($0, $1, "ljust", $2) },
    "rjust": { try pad($0, $1, "rjust", $2) },
    "zfill": { try fillWithZeros($0, $1, $2) },
    "format": { .text(try BraceFormat.apply($0, $1, $2)) },
    "expandtabs": { text, arguments, render in
      let size = try arguments.bound("expandtabs", ["tabsize"])[0]?.expectInteger("expandtabs") ?? 8
      return .text(try expandTabs(text, max(0, size), render))
    },
  ]

  private static let searching: [String: TextMethod] = [
    "startswith": { try hasEnd($0, $1, "startswith", $2) },
    "endswith": { try hasEnd($0, $1, "endswith", $2) },
    "find": { try find($0, $1, "find", fromRight: false, $2) ?? .integer(-1) },
    "rfind": { try find($0, $1, "rfind", fromRight: true, $2) ?? .integer(-1) },
    "index": { text, arguments, render in
      guard let found = try find(text, arguments, "index", fromRight: false, render) else { throw notFound }
      return found
    },
    "rindex": { text, arguments, render in
      guard let found = try find(text, arguments, "rindex", fromRight: true, render) else { throw notFound }
      return found
    },
    "count": { text, arguments, render in
      let (part, range) = try sought(text, arguments, "count")
      try render.step(text.bytes.count >> 6)
      let inner = text[range]
      return .integer(part.isEmpty ? inner.scalarCount + 1 : inner.occurrences(of: part.bytes).count)
    },
    "split": { try split($0, $1, "split", fromRight: false, $2) },
    "rsplit": { try split($0, $1, "rsplit", fromRight: true, $2) },
    "splitlines": { text, arguments, render in
      let keepEnds = try arguments.bound("splitlines", ["keepends"])[0]?.isTrue ?? false
      return try charged(text.lines(keepingEnds: keepEnds), render)
    },
    "partition": { try partition($0, $1, "partition", fromRight: false, $2) },
    "rpartition": { try partition($0, $1, "rpartition", fromRight: true, $2) },
  ]

  private static let predicates: [String: TextMethod] = [
    "isdigit": asking("isdigit", isDigit),
    "isdecimal": asking("isdecimal") { $0.properties.numericType == .decimal },
    "isnumeric": asking("isnumeric") { $0.properties.numericType != nil },
    "isalpha": asking("isalpha", isLetter),
    "isalnum": asking("isalnum") { isLetter($0) || $0.properties.numericType != nil },
    "isspace": asking("isspace", isPythonSpace),
    "isascii": { text, arguments, _ in
      try arguments.expectNone("isascii")
      return .bool(text.isASCII)
    },
    "isupper": { text, arguments, _ in
      try arguments.expectNone("isupper")
      return .bool(text.isAllCased { $0.isLowercase })
    },
    "islower": { text, arguments, _ in
      try arguments.expectNone("islower")
      return .bool(text.isAllCased { $0.isUppercase })
    },
    "isidentifier": { text, arguments, _ in
      try arguments.expectNone("isidentifier")
      let scalars = text.string.unicodeScalars
      let isStart = scalars.first.map { $0 == "_" || $0.properties.isXIDStart } ?? false
      return .bool(isStart && scalars.allSatisfy { $0.properties.isXIDContinue })
    },
  ]

  private static let notFound = JinjaError(.runtime, "substring not found")

  @Sendable private static func isDigit(_ scalar: Unicode.Scalar) -> Bool {
    let type = scalar.properties.numericType
    return type == .decimal || type == .digit
  }

  @Sendable private static func isLetter(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
    default: false
    }
  }

  private static func asking(
    _ name: String, _ condition: @escaping @Sendable (Unicode.Scalar) -> Bool
  ) -> TextMethod {
    { text, arguments, _ in
      try arguments.expectNone(name)
      return .bool(!text.isEmpty && text.allScalars(condition))
    }
  }
}
