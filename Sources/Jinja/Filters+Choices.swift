extension Filters {
  static let choices: [String: Body] = [
    "map": { value, arguments, render in
      try render.generator(of: value) {
        guard value.isTrue else { return [] }
        return try mapped(value, arguments, render)
      }
    },
    "select": { try chosen($0, $1, $2, byAttribute: false, keeps: true) },
    "reject": { try chosen($0, $1, $2, byAttribute: false, keeps: false) },
    "selectattr": { try chosen($0, $1, $2, byAttribute: true, keeps: true) },
    "rejectattr": { try chosen($0, $1, $2, byAttribute: true, keeps: false) },
  ]

  private static func mapped(_ value: Value, _ arguments: Arguments, _ render: Render) throws -> [Value] {
    if arguments.positional.isEmpty, arguments.named.contains(where: { $0.name == "attribute" }) {
      let bound = try arguments.bound("map", ["attribute", "default"])
      let path = AttributePath(bound[0], fallback: bound[1].given)
      return try iterate(value, render).map { try path.value(of: $0, render) }
    }
    var rest = arguments
    guard !rest.positional.isEmpty else { throw JinjaError(.runtime, "map requires a filter argument") }
    let name = try text(rest.positional.removeFirst(), render).string
    guard let filter = all[name] else { throw JinjaError(.runtime, "there is no filter named '\(name)'") }
    return try iterate(value, render).map { item in
      try render.step()
      return try render.nested { try filter(item, rest, render) }
    }
  }

  private static func chosen(
    _ value: Value, _ arguments: Arguments, _ render: Render, byAttribute: Bool, keeps: Bool
  ) throws -> Value {
    try render.generator(of: value) {
      guard value.isTrue else { return [] }
      var rest = arguments
      var path = AttributePath(nil)
      if byAttribute {
        guard !rest.positional.isEmpty else {
          throw JinjaError(.runtime, "Missing parameter for attribute name")
        }
        path = AttributePath(rest.positional.removeFirst())
      }
      let holds = try condition(rest, render)
      return try iterate(value, render).filter { try holds(path.value(of: $0, render)) == keeps }
    }
  }

  /// The test that the arguments name, or truth.
  private static func condition(_ arguments: Arguments, _ render: Render) throws -> (Value) throws -> Bool {
    var rest = arguments
    guard !rest.positional.isEmpty else { return { $0.isTrue } }
    let name = try text(rest.positional.removeFirst(), render).string
    guard let test = Tests.all[name] else { throw JinjaError(.runtime, "there is no test named '\(name)'") }
    return { [rest] item in
      try render.step()
      return try test(item, rest, render)
    }
  }
}
