/// A macro, or the body of a `call` block.
final class Macro {
  let name: String
  private let definition: MacroDefinition
  private let scope: Scope?

  init(_ definition: MacroDefinition, scope: Scope?) {
    name = definition.name
    self.definition = definition
    self.scope = scope
  }

  /// What is given out by name: `macro.name`, `macro.arguments` …
  func attribute(_ name: String, _ render: Render) throws -> Value? {
    switch name {
    case "name": .text(self.name)
    case "arguments": try render.tuple(definition.parameters.map { .text($0.name) })
    case "catch_kwargs": .bool(definition.usesNamed)
    case "catch_varargs": .bool(definition.usesPositional)
    case "caller": .bool(definition.usesCaller)
    default: nil
    }
  }

  func call(_ arguments: Arguments, _ render: Render) throws -> Value {
    let inner = Scope(parent: scope)
    return .text(
      try render.nested {
        try render.charge(4 * Render.itemCost)
        return try render.within(inner) {
          try bind(arguments, inner, render)
          return try render.collecting { try definition.body.executeFully(render) }
        }
      })
  }

  private func bind(_ arguments: Arguments, _ scope: Scope, _ render: Render) throws {
    var named = arguments.named
    func taken(_ name: String) -> Value? {
      named.firstIndex { $0.name == name }.map { named.remove(at: $0).value }
    }
    for (place, parameter) in definition.parameters.enumerated() {
      if place < arguments.positional.count {
        scope.set(parameter.id, arguments.positional[place])
      } else if let value = taken(parameter.name) {
        scope.set(parameter.id, value)
      } else if let value = parameter.value {
        scope.set(parameter.id, try render.evaluate(value))
      } else {
        scope.set(parameter.id, .undefined(.hint("parameter '\(parameter.name)' was not provided")))
      }
    }
    try bindSpecial(arguments, &named, scope, render)
  }

  private func bindSpecial(
    _ arguments: Arguments, _ named: inout [(name: String, value: Value)], _ scope: Scope, _ render: Render
  ) throws {
    if definition.usesCaller {
      let place = named.firstIndex { $0.name == "caller" }
      let caller = place.map { named.remove(at: $0).value }
      scope.set(definition.callerID, caller ?? .undefined(.hint("No caller defined")))
    }
    let extra = arguments.positional.dropFirst(definition.parameters.count)
    if definition.usesPositional {
      scope.set(definition.varargsID, try render.tuple(Array(extra)))
    } else if !extra.isEmpty {
      throw JinjaError(
        .runtime, "macro '\(name)' takes not more than \(definition.parameters.count) argument(s)")
    }
    if definition.usesNamed {
      scope.set(definition.kwargsID, try render.mapping(named.map { (.text($0.name), $0.value) }))
    } else if let first = named.first {
      throw JinjaError(.runtime, "macro '\(name)' takes no keyword argument '\(first.name)'")
    }
  }
}
