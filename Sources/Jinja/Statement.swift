/// Where the rendering goes on after a statement.
enum Flow {
  case on
  /// The innermost loop ends.
  case breaks
  /// The innermost loop takes its next item.
  case continues
}

/// Something that writes or assigns. Immutable, so that many renderings may share it.
protocol Statement: AnyObject, Sendable {
  /// 1-based, for errors.
  var line: Int { get }

  func execute(_ render: Render) throws -> Flow
}

/// Statements in a row.
struct Body: Sendable {
  let statements: [any Statement]

  init(_ statements: [any Statement]) { self.statements = statements }

  func execute(_ render: Render) throws -> Flow {
    try render.nested {
      for statement in statements {
        try render.step()
        let flow: Flow
        do {
          flow = try statement.execute(render)
        } catch var error as JinjaError {
          if error.line == 0 { error.line = statement.line }
          throw error
        }
        if flow != .on { return flow }
      }
      return .on
    }
  }

  /// Where no loop around it can be left.
  func executeFully(_ render: Render) throws { _ = try execute(render) }
}

/// Text and the values of `{{ … }}`.
final class Output: Statement {
  enum Part: Sendable {
    case text(Text)
    case value(any Expression)
  }

  let parts: [Part]
  let line: Int

  init(_ parts: [Part], line: Int) { (self.parts, self.line) = (parts, line) }

  func execute(_ render: Render) throws -> Flow {
    for part in parts {
      switch part {
      case .text(let text): try render.write(text)
      case .value(let expression): try render.write(try render.text(expression))
      }
    }
    return .on
  }
}

/// `if`, `elif`, `else`.
final class If: Statement {
  struct Branch: Sendable {
    let condition: any Expression
    let body: Body
  }

  let branches: [Branch]
  let otherwise: Body?
  let line: Int

  init(_ branches: [Branch], otherwise: Body?, line: Int) {
    (self.branches, self.otherwise, self.line) = (branches, otherwise, line)
  }

  func execute(_ render: Render) throws -> Flow {
    for branch in branches where try render.evaluate(branch.condition).isTrue {
      return try branch.body.execute(render)
    }
    return try otherwise?.execute(render) ?? .on
  }
}

/// `break` and `continue`.
final class Leave: Statement {
  let flow: Flow
  let line: Int

  init(_ flow: Flow, line: Int) { (self.flow, self.line) = (flow, line) }

  func execute(_ render: Render) throws -> Flow { flow }
}

/// `{% generation %}`: what is written in it is the assistant's.
final class Generation: Statement {
  let body: Body
  let line: Int

  init(_ body: Body, line: Int) { (self.body, self.line) = (body, line) }

  func execute(_ render: Render) throws -> Flow {
    try render.generating { try render.withinNewScope { try body.executeFully(render) } }
    return .on
  }
}
