/// What is assigned to.
indirect enum Target: Sendable {
  case name(Int)
  case several([Target])
  /// An attribute of a namespace.
  case attribute(of: Name, String)

  func assign(_ value: Value, _ render: Render) throws {
    switch self {
    case .name(let id): try render.set(id, value)
    case .several(let targets):
      if case .undefined(let undefined) = value { throw undefined.error }
      let items = try iterate(value, render)
      guard items.count == targets.count else {
        throw JinjaError(
          .runtime,
          items.count > targets.count
            ? "too many values to unpack (expected \(targets.count))"
            : "not enough values to unpack (expected \(targets.count), got \(items.count))")
      }
      for (target, item) in zip(targets, items) { try target.assign(item, render) }
    case .attribute(let object, let name):
      guard case .namespace(let namespace) = try object.evaluate(render) else {
        throw JinjaError(.runtime, "cannot assign attribute on non-namespace object")
      }
      try namespace.assign(name, value, render)
    }
  }
}

/// `set x = …`.
final class Assign: Statement {
  let target: Target
  let value: any Expression
  let line: Int

  init(_ target: Target, _ value: any Expression, line: Int) {
    (self.target, self.value, self.line) = (target, value, line)
  }

  func execute(_ render: Render) throws -> Flow {
    try target.assign(try render.evaluate(value), render)
    return .on
  }
}

/// Stands for the text that a block has collected, where filters follow.
final class Collected: Expression {
  func evaluate(_ render: Render) throws -> Value { .text(render.collected) }
}

/// `set x` … `endset`.
final class AssignBlock: Statement {
  let target: Target
  let body: Body
  let filtered: any Expression
  let line: Int

  init(_ target: Target, _ body: Body, filtered: any Expression, line: Int) {
    (self.target, self.body, self.filtered, self.line) = (target, body, filtered, line)
  }

  func execute(_ render: Render) throws -> Flow {
    var flow = Flow.on
    let text = try render.collecting { flow = try render.withinNewScope { try body.execute(render) } }
    if flow != .on { return flow }
    try target.assign(try render.withCollected(text) { try render.evaluate(filtered) }, render)
    return .on
  }
}

/// `filter name` … `endfilter`.
final class FilterBlock: Statement {
  let body: Body
  let filtered: any Expression
  let line: Int

  init(_ body: Body, filtered: any Expression, line: Int) {
    (self.body, self.filtered, self.line) = (body, filtered, line)
  }

  func execute(_ render: Render) throws -> Flow {
    var flow = Flow.on
    let text = try render.collecting { flow = try render.withinNewScope { try body.execute(render) } }
    if flow != .on { return flow }
    try render.write(try render.withCollected(text) { try render.text(filtered) })
    return .on
  }
}

/// `with a = …` … `endwith`: variables of its own.
final class With: Statement {
  let bindings: [(Target, any Expression)]
  let body: Body
  let line: Int

  init(_ bindings: [(Target, any Expression)], _ body: Body, line: Int) {
    (self.bindings, self.body, self.line) = (bindings, body, line)
  }

  func execute(_ render: Render) throws -> Flow {
    let values = try bindings.map { try render.evaluate($0.1) }
    return try render.withinNewScope {
      for (binding, value) in zip(bindings, values) { try binding.0.assign(value, render) }
      return try body.execute(render)
    }
  }
}
