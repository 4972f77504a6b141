/// The functions that every template may call.
enum Global: String, Sendable {
  case range, dict, namespace, cycler, joiner
  case raiseException = "raise_exception"
  case strftimeNow = "strftime_now"

  var value: Value { .function(Function(rawValue) { [self] in try call($0, $1) }) }

  private func call(_ arguments: Arguments, _ render: Render) throws -> Value {
    switch self {
    case .range: return try Self.range(arguments)
    case .dict: return try render.mapping(try Self.members(arguments, render))
    case .namespace: return .namespace(try Self.namespace(arguments, render))
    case .cycler:
      guard !arguments.positional.isEmpty else { throw JinjaError(.runtime, "at least one item has to be provided") }
      let cycler = StatefulObject(.cycler(arguments.positional, position: 0))
      try render.check(nesting: cycler.depth)
      return .object(cycler)
    case .joiner:
      let separator = try arguments.bound("joiner", ["sep"])[0]?.expectText("joiner")
      return .object(StatefulObject(.joiner(separator ?? Text(", "), used: false)))
    case .raiseException:
      let message = try arguments.bound("raise_exception", ["message"], required: 1)[0] ?? .none
      throw JinjaError(.raised, try Printing.text(message, render).string)
    case .strftimeNow:
      let format = try (arguments.bound("strftime_now", ["format"], required: 1)[0] ?? .none)
        .expectText("strftime_now")
      try render.charge(format.bytes.count, times: 8)
      return .text(Text(render.date.formatted(format.string)))
    }
  }

  private static func range(_ arguments: Arguments) throws -> Value {
    let numbers = try arguments.positional.map { try $0.expectInteger("range") }
    guard arguments.named.isEmpty, (1...3).contains(numbers.count) else {
      throw JinjaError(.runtime, "range() takes one to three integers")
    }
    return .range(
      try PythonRange(
        start: numbers.count > 1 ? numbers[0] : 0, stop: numbers.count > 1 ? numbers[1] : numbers[0],
        step: numbers.count > 2 ? numbers[2] : 1))
  }

  /// As Python's `dict`: of a dictionary or of pairs, and of keywords.
  private static func members(_ arguments: Arguments, _ render: Render) throws -> [(key: Value, value: Value)] {
    guard arguments.positional.count <= 1 else { throw JinjaError(.runtime, "dict expected at most 1 argument") }
    var members: [(key: Value, value: Value)] = []
    if let first = arguments.positional.first {
      if case .mapping(let mapping) = first {
        members = mapping.members
      } else {
        for pair in try iterate(first, render) {
          let items = try iterate(pair, render)
          guard items.count == 2 else {
            throw JinjaError(.runtime, "dictionary update sequence element has length \(items.count); 2 is required")
          }
          members.append((items[0], items[1]))
        }
      }
    }
    return members + arguments.named.map { (.text($0.name), $0.value) }
  }

  private static func namespace(_ arguments: Arguments, _ render: Render) throws -> Namespace {
    let namespace = try render.makeNamespace()
    for member in try members(arguments, render) {
      guard case .text(let name) = member.key else { throw JinjaError(.runtime, "a namespace's names are strings") }
      try namespace.assign(name.string, member.value, render)
    }
    return namespace
  }
}

extension Namespace {
  /// As a template may: no name that starts with an underscore.
  func assign(_ name: String, _ value: Value, _ render: Render) throws {
    guard !name.hasPrefix("_") else {
      throw JinjaError(
        .runtime, "Chat templates cannot store underscore-prefixed attributes on a namespace, but got '\(name)'")
    }
    try render.charge(Render.itemCost)
    try render.step(names.count >> 4)
    set(name, value)
  }
}
