/// `value.name`: an attribute of Python's, else the member of a dictionary.
final class Attribute: Expression {
  let object: any Expression
  let name: String
  private let key: Text
  private let methods: Methods.ByName

  init(_ object: any Expression, _ name: String) {
    (self.object, self.name) = (object, name)
    key = Text(name)
    methods = Methods.ByName(name)
  }

  func evaluate(_ render: Render) throws -> Value {
    let value = try render.evaluate(object)
    if let attribute = try attribute(value, name, methods, render) { return attribute }
    if case .mapping(let mapping) = value, let member = mapping.find(key) { return member }
    return .undefined(.attribute(name, of: value.type))
  }
}

/// `value[item]`: an item, else Python's attribute of that name.
final class Item: Expression {
  let object: any Expression
  let index: any Expression

  init(_ object: any Expression, _ index: any Expression) { (self.object, self.index) = (object, index) }

  func evaluate(_ render: Render) throws -> Value {
    let value = try render.evaluate(object)
    return try item(of: value, try render.evaluate(index), render)
  }
}

/// Jinja's `getitem`: what is not there is undefined; only what is undefined itself has no items.
func item(of value: Value, _ index: Value, _ render: Render) throws -> Value {
  if case .undefined(let undefined) = value { throw undefined.error }
  if let found = try Slicing.item(of: value, index, render) { return found }
  guard case .text(let text) = index else {
    return .undefined(.element(try Printing.repr(index, render).string, of: value.type))
  }
  let name = text.string
  if let attribute = try attribute(value, name, Methods.ByName(name), render) { return attribute }
  return .undefined(.attribute(name, of: value.type))
}

/// Python's `getattr` as the sandbox allows it; nil where there is no such attribute.
func attribute(_ value: Value, _ name: String, _ methods: Methods.ByName, _ render: Render) throws -> Value? {
  switch value {
  case .undefined(let undefined): throw undefined.error
  case .namespace(let namespace): return namespace.find(name)
  case .loop(let loop): return try loop.attribute(name)
  case .macro(let macro): return try macro.attribute(name, render)
  case .object(let object): return object.attribute(name)
  case .tuple(let items):
    if let place = items.fields.firstIndex(of: name) { return items.items[place] }
  default: break
  }
  guard let method = methods.method(of: value) else { return nil }
  try render.check(nesting: value.depth + 1)
  return .function(Function(name, depth: value.depth, method))
}

/// `value[start:stop:step]`.
final class Slice: Expression {
  let object: any Expression
  let bounds: [(any Expression)?]

  init(_ object: any Expression, _ bounds: [(any Expression)?]) { (self.object, self.bounds) = (object, bounds) }

  func evaluate(_ render: Render) throws -> Value {
    let value = try render.evaluate(object)
    let bounds = try bounds.map { try $0.map { try render.evaluate($0) } }
    if case .undefined(let undefined) = value { throw undefined.error }
    var integers: [Int?] = []
    for bound in bounds {
      switch bound {
      case .some(.none), nil: integers.append(nil)
      case .some(let given):
        guard let integer = given.integer else {
          throw JinjaError(.runtime, "slice indices must be integers or None, not \(given.type.rawValue)")
        }
        integers.append(integer)
      }
    }
    if integers[2] == 0 { throw JinjaError(.runtime, "slice step cannot be zero") }
    guard let slice = try Slicing.slice(value, integers[0], integers[1], integers[2] ?? 1, render) else {
      throw JinjaError(.runtime, "a '\(value.type.rawValue)' object has no slices")
    }
    return slice
  }
}

/// `callee(arguments)`.
final class Call: Expression {
  let callee: any Expression
  let arguments: ArgumentList

  init(_ callee: any Expression, _ arguments: ArgumentList) { (self.callee, self.arguments) = (callee, arguments) }

  func evaluate(_ render: Render) throws -> Value {
    let function = try render.evaluate(callee)
    return try call(function, try arguments.evaluate(render), render)
  }
}

func call(_ value: Value, _ arguments: Arguments, _ render: Render) throws -> Value {
  switch value {
  case .function(let function): return try function.call(arguments, render)
  case .macro(let macro): return try macro.call(arguments, render)
  case .loop(let loop):
    guard let recurse = loop.recurse else {
      throw JinjaError(.runtime, "The loop must have the 'recursive' marker to be called recursively")
    }
    let items = try arguments.bound("loop", ["iterable"], required: 1)[0] ?? .none
    return try recurse(items, loop.level + 1)
  case .object(let object): return try object.call(arguments)
  case .undefined(let undefined): throw undefined.error
  default: throw JinjaError(.runtime, "'\(value.type.rawValue)' object is not callable")
  }
}

/// The arguments of a call, a filter or a test as they are written.
struct ArgumentList: Sendable {
  var positional: [any Expression] = []
  var named: [(name: String, value: any Expression)] = []
  /// `*list` and `**dictionary`.
  var list: (any Expression)?
  var mapping: (any Expression)?

  static let none = ArgumentList()

  func evaluate(_ render: Render) throws -> Arguments {
    var arguments = Arguments()
    if positional.isEmpty, named.isEmpty, list == nil, mapping == nil { return arguments }
    arguments.positional = try positional.map { try render.evaluate($0) }
    arguments.named = try named.map { ($0.name, try render.evaluate($0.value)) }
    if let list {
      let items = try iterate(try render.evaluate(list), render)
      try render.charge(Render.itemCost, times: items.count)
      arguments.positional += items
    }
    if let mapping {
      guard case .mapping(let members) = try render.evaluate(mapping) else {
        throw JinjaError(.runtime, "argument after ** must be a mapping")
      }
      for member in members.members {
        guard case .text(let name) = member.key else { throw JinjaError(.runtime, "keywords must be strings") }
        guard !arguments.named.contains(where: { $0.name == name.string }) else {
          throw JinjaError(.runtime, "got multiple values for keyword argument '\(name.string)'")
        }
        arguments.named.append((name.string, member.value))
      }
    }
    return arguments
  }
}

/// `value | filter(arguments)`.
final class FilterCall: Expression {
  let value: any Expression
  let name: String
  let arguments: ArgumentList
  private let filter: Filters.Body?

  init(_ value: any Expression, _ name: String, _ arguments: ArgumentList) {
    (self.value, self.name, self.arguments) = (value, name, arguments)
    filter = Filters.all[name]
  }

  func evaluate(_ render: Render) throws -> Value {
    let value = try render.evaluate(value)
    guard let filter else { throw JinjaError(.runtime, "there is no filter named '\(name)'") }
    return try filter(value, try arguments.evaluate(render), render)
  }
}

/// `value is test(arguments)`.
final class TestCall: Expression {
  let value: any Expression
  let name: String
  let arguments: ArgumentList
  private let test: Tests.Body?

  init(_ value: any Expression, _ name: String, _ arguments: ArgumentList) {
    (self.value, self.name, self.arguments) = (value, name, arguments)
    test = Tests.all[name]
  }

  func evaluate(_ render: Render) throws -> Value {
    let value = try render.evaluate(value)
    guard let test else { throw JinjaError(.runtime, "there is no test named '\(name)'") }
    return .bool(try test(value, try arguments.evaluate(render), render))
  }
}
