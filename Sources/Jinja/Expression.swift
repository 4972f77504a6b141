/// Something that has a value. Immutable, so that many renderings may share it.
protocol Expression: AnyObject, Sendable {
  func evaluate(_ render: Render) throws -> Value
}

/// A number, a text, a truth value or none, as the template writes it.
final class Literal: Expression {
  enum Content: Sendable {
    case none
    case bool(Bool)
    case integer(Int)
    case float(Double)
    case text(Text)
  }

  let content: Content

  init(_ content: Content) { self.content = content }

  func evaluate(_ render: Render) throws -> Value {
    switch content {
    case .none: .none
    case .bool(let value): .bool(value)
    case .integer(let value): .integer(value)
    case .float(let value): .float(value)
    case .text(let text): .text(text)
    }
  }
}

/// A variable.
final class Name: Expression {
  let text: String
  let id: Int
  private let global: Global?

  init(_ text: String, id: Int) {
    (self.text, self.id) = (text, id)
    global = Global(rawValue: text)
  }

  func evaluate(_ render: Render) throws -> Value { render.value(of: id, orGlobal: global, called: text) }
}

/// `[a, b]` and `(a, b)`.
final class ListLiteral: Expression {
  let items: [any Expression]
  let isTuple: Bool

  init(_ items: [any Expression], isTuple: Bool) { (self.items, self.isTuple) = (items, isTuple) }

  func evaluate(_ render: Render) throws -> Value {
    let values = try items.map { try render.evaluate($0) }
    return isTuple ? try render.tuple(values) : try render.list(values)
  }
}

/// `{a: b}`.
final class MappingLiteral: Expression {
  let members: [(key: any Expression, value: any Expression)]

  init(_ members: [(key: any Expression, value: any Expression)]) { self.members = members }

  func evaluate(_ render: Render) throws -> Value {
    try render.mapping(members.map { (try render.evaluate($0.key), try render.evaluate($0.value)) })
  }
}

/// Arithmetic with two sides.
final class Binary: Expression {
  let operation: BinaryOperator
  let left: any Expression
  let right: any Expression

  init(_ operation: BinaryOperator, _ left: any Expression, _ right: any Expression) {
    (self.operation, self.left, self.right) = (operation, left, right)
  }

  func evaluate(_ render: Render) throws -> Value {
    let left = try render.evaluate(left)
    return try Arithmetic.apply(operation, left, try render.evaluate(right), render)
  }
}

/// `-a` and `+a`.
final class Sign: Expression {
  let isNegative: Bool
  let operand: any Expression

  init(isNegative: Bool, _ operand: any Expression) { (self.isNegative, self.operand) = (isNegative, operand) }

  func evaluate(_ render: Render) throws -> Value {
    let value = try render.evaluate(operand)
    return try isNegative ? Arithmetic.negated(value) : Arithmetic.positive(value)
  }
}

/// `a ~ b ~ c`: all of them as text.
final class Concatenation: Expression {
  let parts: [any Expression]

  init(_ parts: [any Expression]) { self.parts = parts }

  func evaluate(_ render: Render) throws -> Value {
    let texts = try parts.map { try render.text($0) }
    var builder = TextBuilder()
    builder.reserve(texts.reduce(0) { $0 + $1.bytes.count })
    for text in texts {
      try render.charge(text.bytes.count)
      builder.append(text)
    }
    return .text(builder.text)
  }
}

/// `and`, `or`: the side that decides.
final class Logical: Expression {
  let isAnd: Bool
  let left: any Expression
  let right: any Expression

  init(isAnd: Bool, _ left: any Expression, _ right: any Expression) {
    (self.isAnd, self.left, self.right) = (isAnd, left, right)
  }

  func evaluate(_ render: Render) throws -> Value {
    let value = try render.evaluate(left)
    return value.isTrue == isAnd ? try render.evaluate(right) : value
  }
}

final class Not: Expression {
  let operand: any Expression

  init(_ operand: any Expression) { self.operand = operand }

  func evaluate(_ render: Render) throws -> Value { .bool(!(try render.evaluate(operand).isTrue)) }
}

/// `a < b <= c`: true where every neighbouring pair is.
final class Comparison: Expression {
  enum Operator: String, Sendable {
    case equal = "=="
    case unequal = "!="
    case less = "<"
    case lessOrEqual = "<="
    case greater = ">"
    case greaterOrEqual = ">="
    case isIn = "in"
    case isNotIn = "not in"

    func holds(_ left: Value, _ right: Value) throws -> Bool {
      switch self {
      case .equal: areEqual(left, right)
      case .unequal: !areEqual(left, right)
      case .less: try order(left, right, rawValue) == .less
      case .greater: try order(left, right, rawValue) == .greater
      case .lessOrEqual: try [.less, .equal].contains(order(left, right, rawValue))
      case .greaterOrEqual: try [.greater, .equal].contains(order(left, right, rawValue))
      case .isIn: try Jinja.contains(right, left)
      case .isNotIn: try !Jinja.contains(right, left)
      }
    }
  }

  let first: any Expression
  let rest: [(Operator, any Expression)]

  init(_ first: any Expression, _ rest: [(Operator, any Expression)]) { (self.first, self.rest) = (first, rest) }

  func evaluate(_ render: Render) throws -> Value {
    var left = try render.evaluate(first)
    for (operation, expression) in rest {
      let right = try render.evaluate(expression)
      try render.chargeComparison(left, right)
      guard try operation.holds(left, right) else { return .bool(false) }
      left = right
    }
    return .bool(true)
  }
}

/// `a if condition else b`.
final class Conditional: Expression {
  let condition: any Expression
  let value: any Expression
  let otherwise: (any Expression)?

  init(_ condition: any Expression, _ value: any Expression, otherwise: (any Expression)?) {
    (self.condition, self.value, self.otherwise) = (condition, value, otherwise)
  }

  func evaluate(_ render: Render) throws -> Value {
    if try render.evaluate(condition).isTrue { return try render.evaluate(value) }
    guard let otherwise else {
      return .undefined(.hint("the inline if-expression evaluated to false and no else section was defined"))
    }
    return try render.evaluate(otherwise)
  }
}
