extension Parser {
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

  mutating func list() throws -> any Expression {
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

  mutating func mapping() throws -> any Expression {
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
}
