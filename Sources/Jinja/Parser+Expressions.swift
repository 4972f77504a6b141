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

  func endsTuple(_ ends: Set<String>) -> Bool {
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

  mutating func conditional() throws -> any Expression {
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

  func count(_ length: inout Int) throws {
    length += 1
    guard length <= Self.chainLimit else {
      throw failure("an expression has more than \(Self.chainLimit) operators in a row")
    }
  }

  mutating func disjunction() throws -> any Expression {
    var left = try conjunction()
    var length = 0
    while skip(name: "or") {
      try count(&length)
      left = Logical(isAnd: false, left, try conjunction())
    }
    return left
  }

  mutating func conjunction() throws -> any Expression {
    var left = try negation()
    var length = 0
    while skip(name: "and") {
      try count(&length)
      left = Logical(isAnd: true, left, try negation())
    }
    return left
  }

  mutating func negation() throws -> any Expression {
    guard skip(name: "not") else { return try comparison() }
    return Not(try nested { try $0.negation() })
  }

  mutating func comparison() throws -> any Expression {
    let first = try sum()
    var rest: [(Comparison.Operator, any Expression)] = []
    while let operation = comparisonOperator() { rest.append((operation, try sum())) }
    return rest.isEmpty ? first : Comparison(first, rest)
  }

  mutating func comparisonOperator() -> Comparison.Operator? {
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

  mutating func binary(
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

  mutating func sum() throws -> any Expression {
    try binary(["+", "-"]) { try $0.concatenation() }
  }

  mutating func concatenation() throws -> any Expression {
    let first = try product()
    guard isSymbol("~") else { return first }
    var parts = [first]
    while skip(symbol: "~") { parts.append(try product()) }
    return Concatenation(parts)
  }

  mutating func product() throws -> any Expression {
    try binary(["*", "/", "//", "%"]) { try $0.power() }
  }

  mutating func power() throws -> any Expression {
    try binary(["**"]) { try $0.unary(withFilter: true) }
  }

  mutating func unary(withFilter: Bool) throws -> any Expression {
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
}
