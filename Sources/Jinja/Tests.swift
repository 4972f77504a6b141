/// Jinja's tests: `value is test`.
enum Tests {
  typealias Body = @Sendable (Value, Arguments, Render) throws -> Bool

  static let all: [String: Body] = kinds.merging(numbers) { a, _ in a }.merging(comparisons) { a, _ in a }

  private static let kinds: [String: Body] = [
    "defined": { value, arguments, _ in try plain(arguments, !value.isUndefined) },
    "undefined": { value, arguments, _ in try plain(arguments, value.isUndefined) },
    "none": { value, arguments, _ in try plain(arguments, value.type == .none) },
    "boolean": { value, arguments, _ in try plain(arguments, value.type == .bool) },
    "true": { value, arguments, _ in try plain(arguments, value.type == .bool && value.isTrue) },
    "false": { value, arguments, _ in try plain(arguments, value.type == .bool && !value.isTrue) },
    "string": { value, arguments, _ in try plain(arguments, value.type == .str) },
    "mapping": { value, arguments, _ in try plain(arguments, value.type == .dict) },
    "sequence": { value, arguments, _ in
      try plain(arguments, [.str, .list, .tuple, .dict, .range, .undefined].contains(value.type))
    },
    "iterable": { value, arguments, _ in
      try plain(
        arguments, [.str, .list, .tuple, .dict, .view, .range, .generator, .undefined, .loop].contains(value.type))
    },
    "callable": { value, arguments, _ in
      try plain(arguments, [.macro, .function, .loop, .joiner, .undefined].contains(value.type))
    },
    "escaped": { value, arguments, _ in
      if case .text(let text) = value { return try plain(arguments, text.isMarkup) }
      return try plain(arguments, false)
    },
    "lower": { value, arguments, render in
      try plain(arguments, try Printing.text(value, render).isAllCased { $0.isUppercase })
    },
    "upper": { value, arguments, render in
      try plain(arguments, try Printing.text(value, render).isAllCased { $0.isLowercase })
    },
    "filter": { value, arguments, _ in try plain(arguments, try known(value) { Filters.all[$0] != nil }) },
    "test": { value, arguments, _ in try plain(arguments, try known(value) { Tests.all[$0] != nil }) },
  ]

  private static let numbers: [String: Body] = [
    "integer": { value, arguments, _ in try plain(arguments, value.type == .int) },
    "float": { value, arguments, _ in try plain(arguments, value.type == .float) },
    "number": { value, arguments, _ in try plain(arguments, value.number != nil) },
    "odd": { value, arguments, render in
      try arguments.expectNone("odd")
      return areEqual(try Arithmetic.apply(.modulo, value, .integer(2), render), .integer(1))
    },
    "even": { value, arguments, render in
      try arguments.expectNone("even")
      return areEqual(try Arithmetic.apply(.modulo, value, .integer(2), render), .integer(0))
    },
    "divisibleby": { value, arguments, render in
      let divisor = try arguments.bound("divisibleby", ["num"], required: 1)[0] ?? .none
      return areEqual(try Arithmetic.apply(.modulo, value, divisor, render), .integer(0))
    },
  ]

  private static let comparisons: [String: Body] = {
    let operators: [(Comparison.Operator, [String])] = [
      (.equal, ["==", "eq", "equalto"]), (.unequal, ["!=", "ne"]), (.greater, [">", "gt", "greaterthan"]),
      (.greaterOrEqual, [">=", "ge"]), (.less, ["<", "lt", "lessthan"]), (.lessOrEqual, ["<=", "le"]),
      (.isIn, ["in"]),
    ]
    var tests: [String: Body] = [:]
    for (operation, names) in operators {
      for name in names {
        tests[name] = { value, arguments, render in
          let other = try arguments.bound(name, ["other"], required: 1)[0] ?? .none
          try render.chargeComparison(value, other)
          return try operation.holds(value, other)
        }
      }
    }
    tests["sameas"] = { value, arguments, _ in
      areSame(value, try arguments.bound("sameas", ["other"], required: 1)[0] ?? .none)
    }
    return tests
  }()

  private static func plain(_ arguments: Arguments, _ result: Bool) throws -> Bool {
    try arguments.expectNone("test")
    return result
  }

  private static func known(_ value: Value, _ isKnown: (String) -> Bool) throws -> Bool {
    _ = try Key(value)
    if case .text(let text) = value { return isKnown(text.string) }
    return false
  }
}
