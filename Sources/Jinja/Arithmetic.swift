#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

enum BinaryOperator: String, Sendable {
  case add = "+"
  case subtract = "-"
  case multiply = "*"
  case divide = "/"
  case floorDivide = "//"
  case modulo = "%"
  case power = "**"
}

/// Arithmetic as Python does it; integers that leave 64 bits are an error instead of growing.
enum Arithmetic {
  static func apply(_ operation: BinaryOperator, _ left: Value, _ right: Value, _ render: Render) throws -> Value {
    if case .undefined(let undefined) = left { throw undefined.error }
    if case (.modulo, .text(let format)) = (operation, left) {
      return .text(try PercentFormat.apply(format, right, render))
    }
    if case .undefined(let undefined) = right { throw undefined.error }
    switch (operation, left, right) {
    case (.add, .text(let a), .text(let b)): return .text(try render.joined(a, b))
    case (.add, .list(let a), .list(let b)): return try render.list(a.items + b.items)
    case (.add, .tuple(let a), .tuple(let b)): return try render.tuple(a.items + b.items)
    case (.multiply, _, _):
      if let repeated = try repeated(left, right, render) { return repeated }
      if let repeated = try repeated(right, left, render) { return repeated }
    default: break
    }
    if let a = left.integer, let b = right.integer { return try integers(operation, a, b) }
    if let a = left.number, let b = right.number { return .float(try floats(operation, a, b)) }
    throw mismatch(operation, left, right)
  }

  private static func mismatch(_ operation: BinaryOperator, _ left: Value, _ right: Value) -> JinjaError {
    if operation == .add, case .text = left {
      return JinjaError(.runtime, "can only concatenate str (not \"\(right.type.rawValue)\") to str")
    }
    let name = operation == .power ? "** or pow()" : operation.rawValue
    return JinjaError(
      .runtime,
      "unsupported operand type(s) for \(name): '\(left.type.rawValue)' and '\(right.type.rawValue)'")
  }

  /// A text or list so many times; nil where it is neither or the count no integer.
  private static func repeated(_ value: Value, _ count: Value, _ render: Render) throws -> Value? {
    guard let count = count.integer.map({ max(0, $0) }) else { return nil }
    switch value {
    case .text(let text):
      try render.charge(text.bytes.count, times: count)
      var builder = TextBuilder()
      for _ in 0..<(text.isEmpty ? 0 : count) { builder.append(text) }
      return .text(text.isMarkup ? builder.text.markup() : builder.text)
    case .list(let items), .tuple(let items):
      try render.charge(items.items.count * Render.itemCost, times: count)
      let all = Array((0..<(items.items.isEmpty ? 0 : count)).map { _ in items.items }.joined())
      if case .list = value { return try render.list(all) }
      return try render.tuple(all)
    default: return nil
    }
  }

  private static func integers(_ operation: BinaryOperator, _ a: Int, _ b: Int) throws -> Value {
    func checked(_ result: (partialValue: Int, overflow: Bool)) throws -> Value {
      if result.overflow { throw tooLarge }
      return .integer(result.partialValue)
    }
    switch operation {
    case .add: return try checked(a.addingReportingOverflow(b))
    case .subtract: return try checked(a.subtractingReportingOverflow(b))
    case .multiply: return try checked(a.multipliedReportingOverflow(by: b))
    case .divide:
      guard b != 0 else { throw JinjaError(.runtime, "division by zero") }
      return .float(Double(a) / Double(b))
    case .floorDivide:
      guard b != 0 else { throw JinjaError(.runtime, "integer division or modulo by zero") }
      let (quotient, overflow) = a.dividedReportingOverflow(by: b)
      return try checked((quotient - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0), overflow))
    case .modulo:
      guard b != 0 else { throw JinjaError(.runtime, "integer modulo by zero") }
      if b == -1 { return .integer(0) }
      let remainder = a % b
      return .integer(remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder)
    case .power: return try power(a, b)
    }
  }

  private static let tooLarge = JinjaError(.limit, "an integer does not fit 64 bits")

  private static func power(_ base: Int, _ exponent: Int) throws -> Value {
    if exponent < 0 {
      guard base != 0 else { throw JinjaError(.runtime, "0.0 cannot be raised to a negative power") }
      return .float(pow(Double(base), Double(exponent)))
    }
    if base.magnitude <= 1 { return .integer(base == -1 && exponent % 2 == 0 ? 1 : exponent == 0 ? 1 : base) }
    guard exponent < 64 else { throw tooLarge }
    var result = 1
    for _ in 0..<exponent {
      let (product, overflow) = result.multipliedReportingOverflow(by: base)
      if overflow { throw tooLarge }
      result = product
    }
    return .integer(result)
  }

  private static func floats(_ operation: BinaryOperator, _ a: Double, _ b: Double) throws -> Double {
    switch operation {
    case .add: return a + b
    case .subtract: return a - b
    case .multiply: return a * b
    case .divide:
      guard b != 0 else { throw JinjaError(.runtime, "float division by zero") }
      return a / b
    case .floorDivide, .modulo:
      guard b != 0 else { throw JinjaError(.runtime, "float floor division by zero") }
      let (quotient, remainder) = divided(a, b)
      return operation == .modulo ? remainder : quotient
    case .power:
      if a == 0, b < 0 { throw JinjaError(.runtime, "0.0 cannot be raised to a negative power") }
      let result = pow(a, b)
      // Python gives a complex number here, or an overflow.
      if !result.isFinite, a.isFinite, b.isFinite { throw JinjaError(.runtime, "the power is no number") }
      return result
    }
  }

  /// CPython's `float_divmod`.
  private static func divided(_ a: Double, _ b: Double) -> (quotient: Double, remainder: Double) {
    var remainder = fmod(a, b)
    var quotient = (a - remainder) / b
    if remainder == 0 {
      remainder = copysign(0, b)
    } else if (b < 0) != (remainder < 0) {
      remainder += b
      quotient -= 1
    }
    if quotient == 0 { return (copysign(0, a / b), remainder) }
    let floor = quotient.rounded(.down)
    return (quotient - floor > 0.5 ? floor + 1 : floor, remainder)
  }

  static func negated(_ value: Value) throws -> Value {
    if case .undefined(let undefined) = value { throw undefined.error }
    if case .float(let number) = value { return .float(-number) }
    guard let integer = value.integer else {
      throw JinjaError(.runtime, "bad operand type for unary -: '\(value.type.rawValue)'")
    }
    let (result, overflow) = Int(0).subtractingReportingOverflow(integer)
    if overflow { throw tooLarge }
    return .integer(result)
  }

  static func positive(_ value: Value) throws -> Value {
    if case .undefined(let undefined) = value { throw undefined.error }
    if case .float = value { return value }
    guard let integer = value.integer else {
      throw JinjaError(.runtime, "bad operand type for unary +: '\(value.type.rawValue)'")
    }
    return .integer(integer)
  }
}
