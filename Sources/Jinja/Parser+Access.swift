/// What follows a value.
extension Parser {
  mutating func postfix(_ first: any Expression) throws -> any Expression {
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

  mutating func member(of value: any Expression) throws -> any Expression {
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

  mutating func subscripted(_ value: any Expression) throws -> any Expression {
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
  mutating func bounds(from start: (any Expression)?) throws -> [(any Expression)?] {
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

  mutating func argument(into list: inout ArgumentList) throws {
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
}
