extension Parser {
  /// An expression, or several with commas between.
  mutating func tuple(
    withCondition: Bool = true, endsAt ends: Set<String> = [], isParenthesised: Bool = false
  ) throws -> any Expression {
    var items: [any Expression] = []
    var isTuple = false
    while true {
      if !items.isEmpty { try expect(symbol: ",") }
      if endsTuple(ends) { break }
      items.append(try expression(withCondition: withCondition))
      guard isSymbol(",") else { break }
      isTuple = true
    }
    if !isTuple, let only = items.first { return only }
    guard isTuple || isParenthesised else { throw unexpected("an expression") }
    return ListLiteral(items, isTuple: true)
  }

  private func endsTuple(_ ends: Set<String>) -> Bool {
    switch current.kind {
    case .variableEnd, .blockEnd: true
    case .symbol(let symbol): symbol == ")"
    case .name(let name): ends.contains(name)
    default: false
    }
  }

  mutating func expression(withCondition: Bool = true) throws -> any Expression {
    try nested { parser in withCondition ? try parser.conditional() : try parser.disjunction() }
  }

  private mutating func conditional() throws -> any Expression {
    var value = try disjunction()
    var length = 0
    while skip(name: "if") {
      try count(&length)
      let condition = try disjunction()
      let otherwise = skip(name: "else") ? try nested { try $0.conditional() } : nil
      value = Conditional(condition, value, otherwise: otherwise)
    }
    return value
  }

  private func count(_ length: inout Int) throws {
    length += 1
    guard length <= Self.chainLimit else {
      throw failure("an expression has more than \(Self.chainLimit) operators in a row")
    }
  }

  private mutating func disjunction() throws -> any Expression {
    var left = try conjunction()
    var length = 0
    while skip(name: "or") {
      try count(&length)
      left = Logical(isAnd: false, left, try conjunction())
    }
    return left
  }

  private mutating func conjunction() throws -> any Expression {
    var left = try negation()
    var length = 0
    while skip(name: "and") {
      try count(&length)
      left = Logical(isAnd: true, left, try negation())
    }
    return left
  }

  private mutating func negation() throws -> any Expression {
    guard skip(name: "not") else { return try comparison() }
    return Not(try nested { try $0.negation() })
  }

  private mutating func comparison() throws -> any Expression {
    let first = try sum()
    var rest: [(Comparison.Operator, any Expression)] = []
    while let operation = comparisonOperator() { rest.append((operation, try sum())) }
    return rest.isEmpty ? first : Comparison(first, rest)
  }

  private mutating func comparisonOperator() -> Comparison.Operator? {
    switch current.kind {
    case .symbol(let symbol):
      guard let operation = Comparison.Operator(rawValue: symbol) else { return nil }
      advance()
      return operation
    case .name("in"):
      advance()
      return .isIn
    case .name("not") where following.kind == .name("in"):
      advance()
      advance()
      return .isNotIn
    default: return nil
    }
  }

  private mutating func binary(
    _ operators: [String], _ operand: (inout Parser) throws -> any Expression
  ) throws -> any Expression {
    var left = try operand(&self)
    var length = 0
    while case .symbol(let symbol) = current.kind, operators.contains(symbol),
      let operation = BinaryOperator(rawValue: symbol)
    {
      try count(&length)
      advance()
      left = Binary(operation, left, try operand(&self))
    }
    return left
  }

  private mutating func sum() throws -> any Expression {
    try binary(["+", "-"]) { try $0.concatenation() }
  }

  private mutating func concatenation() throws -> any Expression {
    let first = try product()
    guard isSymbol("~") else { return first }
    var parts = [first]
    while skip(symbol: "~") { parts.append(try product()) }
    return Concatenation(parts)
  }

  private mutating func product() throws -> any Expression {
    try binary(["*", "/", "//", "%"]) { try $0.power() }
  }

  private mutating func power() throws -> any Expression {
    try binary(["**"]) { try $0.unary(withFilter: true) }
  }

  private mutating func unary(withFilter: Bool) throws -> any Expression {
    var value: any Expression
    if isSymbol("-") || isSymbol("+") {
      let isNegative = isSymbol("-")
      advance()
      value = Sign(isNegative: isNegative, try nested { try $0.unary(withFilter: false) })
    } else {
      value = try primary()
    }
    value = try postfix(value)
    return withFilter ? try filtered(value) : value
  }

  mutating func primary() throws -> any Expression {
    let token = current
    switch token.kind {
    case .name(let name):
      advance()
      switch name {
      case "true", "True": return Literal(.bool(true))
      case "false", "False": return Literal(.bool(false))
      case "none", "None": return Literal(.none)
      default: return self.name(name)
      }
    case .string:
      var text = ""
      while case .string(let part) = current.kind {
        text += part
        advance()
      }
      return Literal(.text(Text(text)))
    case .integer(let value):
      advance()
      return Literal(.integer(value))
    case .float(let value):
      advance()
      return Literal(.float(value))
    case .symbol("("):
      advance()
      let inner = try nested { try $0.tuple(isParenthesised: true) }
      try expect(symbol: ")")
      return inner
    case .symbol("["): return try nested { try $0.list() }
    case .symbol("{"): return try nested { try $0.mapping() }
    default: throw unexpected("an expression")
    }
  }

  private mutating func list() throws -> any Expression {
    try expect(symbol: "[")
    var items: [any Expression] = []
    while !isSymbol("]") {
      if !items.isEmpty { try expect(symbol: ",") }
      if isSymbol("]") { break }
      items.append(try expression())
    }
    try expect(symbol: "]")
    return ListLiteral(items, isTuple: false)
  }

  private mutating func mapping() throws -> any Expression {
    try expect(symbol: "{")
    var members: [(key: any Expression, value: any Expression)] = []
    while !isSymbol("}") {
      if !members.isEmpty { try expect(symbol: ",") }
      if isSymbol("}") { break }
      let key = try expression()
      try expect(symbol: ":")
      members.append((key, try expression()))
    }
    try expect(symbol: "}")
    return MappingLiteral(members)
  }

  // MARK: What follows a value

  private mutating func postfix(_ first: any Expression) throws -> any Expression {
    var value = first
    var length = 0
    while true {
      switch current.kind {
      case .symbol("."):
        advance()
        value = try member(of: value)
      case .symbol("["):
        advance()
        value = try nested { try $0.subscripted(value) }
      case .symbol("("): value = Call(value, try nested { try $0.arguments() })
      default: return value
      }
      try count(&length)
    }
  }

  private mutating func member(of value: any Expression) throws -> any Expression {
    switch current.kind {
    case .name(let name):
      advance()
      return Attribute(value, name)
    case .integer(let index):
      advance()
      return Item(value, Literal(.integer(index)))
    default: throw unexpected("a name or number")
    }
  }

  private mutating func subscripted(_ value: any Expression) throws -> any Expression {
    var indices: [any Expression] = []
    var slice: [(any Expression)?]?
    while !isSymbol("]") {
      if !indices.isEmpty || slice != nil { try expect(symbol: ",") }
      guard slice == nil else { throw failure("a slice among several indices is not supported") }
      if !isSymbol(":") {
        let index = try expression()
        guard isSymbol(":") else {
          indices.append(index)
          continue
        }
        slice = try bounds(from: index)
      } else {
        slice = try bounds(from: nil)
      }
      guard indices.isEmpty else { throw failure("a slice among several indices is not supported") }
    }
    try expect(symbol: "]")
    if let slice { return Slice(value, slice) }
    guard let first = indices.first else { throw unexpected("an index") }
    return Item(value, indices.count == 1 ? first : ListLiteral(indices, isTuple: true))
  }

  /// Start, stop and step of a slice whose first colon is next.
  private mutating func bounds(from start: (any Expression)?) throws -> [(any Expression)?] {
    var bounds = [start]
    for _ in 0..<2 {
      guard skip(symbol: ":") else {
        bounds.append(nil)
        continue
      }
      bounds.append(isSymbol(":") || isSymbol("]") || isSymbol(",") ? nil : try expression())
    }
    return bounds
  }

  mutating func arguments() throws -> ArgumentList {
    try expect(symbol: "(")
    var list = ArgumentList()
    var isFirst = true
    while !isSymbol(")") {
      if !isFirst {
        try expect(symbol: ",")
        if isSymbol(")") { break }
      }
      isFirst = false
      try argument(into: &list)
    }
    try expect(symbol: ")")
    return list
  }

  private mutating func argument(into list: inout ArgumentList) throws {
    func ensure(_ isValid: Bool) throws {
      if !isValid { throw failure("the arguments of a call are in the wrong order") }
    }
    if skip(symbol: "*") {
      try ensure(list.list == nil && list.mapping == nil)
      list.list = try expression()
    } else if skip(symbol: "**") {
      try ensure(list.mapping == nil)
      list.mapping = try expression()
    } else if case .name(let name) = current.kind, following.kind == .symbol("=") {
      try ensure(list.mapping == nil)
      advance()
      advance()
      list.named.append((name, try expression()))
    } else {
      try ensure(list.list == nil && list.mapping == nil && list.named.isEmpty)
      list.positional.append(try expression())
    }
  }

  // MARK: Filters and tests

  /// Filters, tests and calls of what they give.
  private mutating func filtered(_ first: any Expression) throws -> any Expression {
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
  private mutating func filter(_ value: any Expression) throws -> any Expression {
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

  private mutating func dottedName() throws -> String {
    var name = try expectName()
    while skip(symbol: ".") { name += "." + (try expectName()) }
    return name
  }

  private mutating func test(_ value: any Expression) throws -> any Expression {
    try expect(name: "is")
    let isNegated = skip(name: "not")
    let name = try dottedName()
    let test = TestCall(value, name, try testArguments())
    return isNegated ? Not(test) : test
  }

  /// In brackets, or one value without them.
  private mutating func testArguments() throws -> ArgumentList {
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
