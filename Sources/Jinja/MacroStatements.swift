/// A macro as it is written.
struct MacroDefinition: Sendable {
  struct Parameter: Sendable {
    let name: String
    let id: Int
    /// The parameter's default.
    let value: (any Expression)?
  }

  let name: String
  let parameters: [Parameter]
  let body: Body
  /// Which of `caller`, `varargs` and `kwargs` its body names.
  let uses: Set<String>
  let callerID: Int
  let varargsID: Int
  let kwargsID: Int

  var usesCaller: Bool { uses.contains("caller") }
  var usesPositional: Bool { uses.contains("varargs") }
  var usesNamed: Bool { uses.contains("kwargs") }
}

final class MacroStatement: Statement {
  let definition: MacroDefinition
  let id: Int
  let line: Int

  init(_ definition: MacroDefinition, id: Int, line: Int) {
    (self.definition, self.id, self.line) = (definition, id, line)
  }

  func execute(_ render: Render) throws -> Flow {
    try render.set(id, .macro(Macro(definition, scope: render.capture())))
    return .on
  }
}

/// `call macro(…)` … `endcall`: the macro gets the body as `caller`.
final class CallBlock: Statement {
  let call: Call
  let definition: MacroDefinition
  let line: Int

  init(_ call: Call, _ definition: MacroDefinition, line: Int) {
    (self.call, self.definition, self.line) = (call, definition, line)
  }

  func execute(_ render: Render) throws -> Flow {
    let callee = try render.evaluate(call.callee)
    var arguments = try call.arguments.evaluate(render)
    arguments.named.append(("caller", .macro(Macro(definition, scope: render.capture()))))
    try render.write(try Printing.text(try Jinja.call(callee, arguments, render), render))
    return .on
  }
}
