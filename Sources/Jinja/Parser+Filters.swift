extension Parser {
  /// Filters, tests and calls of what they give.
  mutating func filtered(_ first: any Expression) throws -> any Expression {
    var value = first
    var length = 0
    while true {
      if isSymbol("|") {
        value = try filter(value)
      } else if isName("is") {
        value = try test(value)
      } else if isSymbol("(") {
        value = Call(value, try nested { try $0.arguments() })
      } else {
        return value
      }
      try count(&length)
    }
  }

  /// The filter whose `|` is next.
  mutating func filter(_ value: any Expression) throws -> any Expression {
    try expect(symbol: "|")
    return try namedFilter(value)
  }

  mutating func namedFilter(_ value: any Expression) throws -> any Expression {
    let name = try dottedName()
    return FilterCall(value, name, isSymbol("(") ? try nested { try $0.arguments() } : .none)
  }

  /// All filters that follow.
  mutating func filters(_ first: any Expression) throws -> any Expression {
    var value = first
    var length = 0
    while isSymbol("|") {
      try count(&length)
      value = try filter(value)
    }
    return value
  }

  mutating func dottedName() throws -> String {
    var name = try expectName()
    while skip(symbol: ".") { name += "." + (try expectName()) }
    return name
  }

  mutating func test(_ value: any Expression) throws -> any Expression {
    try expect(name: "is")
    let isNegated = skip(name: "not")
    let name = try dottedName()
    let test = TestCall(value, name, try testArguments())
    return isNegated ? Not(test) : test
  }

  /// The arguments of a test: in brackets, or one value without them.
  mutating func testArguments() throws -> ArgumentList {
    switch current.kind {
    case .symbol("("): return try nested { try $0.arguments() }
    case .name("else"), .name("or"), .name("and"): return .none
    case .name("is"): throw failure("tests cannot be chained with is")
    case .name, .string, .integer, .float, .symbol("["), .symbol("{"):
      return ArgumentList(positional: [try nested { try $0.postfix(try $0.primary()) }])
    default: return .none
    }
  }
}
