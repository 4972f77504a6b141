/// The methods of Python's own types that the sandbox lets a template call.
enum Methods {
  /// The methods of one name, found once when the template is parsed.
  struct ByName: Sendable {
    private let text: TextMethod?
    private let mapping: MappingMethod?
    private let list: ListMethod?

    init(_ name: String) {
      text = TextMethods.all[name]
      mapping = MappingMethods.all[name]
      list = ListMethods.all[name]
    }

    /// The method of a value, to be called with arguments; nil where its type has none of the name.
    func method(of value: Value) -> Function.Body? {
      switch value {
      case .text(let receiver):
        guard let text else { return nil }
        return { try text(receiver, $0, $1) }
      case .mapping(let receiver):
        guard let mapping else { return nil }
        return { try mapping(receiver, $0, $1) }
      case .list, .tuple, .range:
        guard let list else { return nil }
        return { try list(value, $0, $1) }
      default: return nil
      }
    }
  }
}

typealias TextMethod = @Sendable (Text, Arguments, Render) throws -> Value
typealias MappingMethod = @Sendable (Mapping, Arguments, Render) throws -> Value
typealias ListMethod = @Sendable (Value, Arguments, Render) throws -> Value

enum MappingMethods {
  static let all = reading.merging(forbidden) { method, _ in method }

  private static let reading: [String: MappingMethod] = [
    "get": { mapping, arguments, _ in
      let arguments = try arguments.bound("get", ["key", "default"], required: 1)
      return try mapping.find(arguments[0] ?? .none) ?? arguments[1] ?? .none
    },
    "keys": { mapping, arguments, render in
      try arguments.expectNone("keys")
      return try render.view("dict_keys", mapping.members.map(\.key))
    },
    "values": { mapping, arguments, render in
      try arguments.expectNone("values")
      return try render.view("dict_values", mapping.members.map(\.value))
    },
    "items": { mapping, arguments, render in
      try arguments.expectNone("items")
      return try render.view("dict_items", mapping.members.map { try render.tuple([$0.key, $0.value]) })
    },
    "copy": { mapping, arguments, _ in
      try arguments.expectNone("copy")
      return .mapping(mapping)
    },
  ]

  private static let forbidden: [String: MappingMethod] = {
    var methods: [String: MappingMethod] = [:]
    for name in ["clear", "pop", "popitem", "setdefault", "update"] {
      methods[name] = { _, _, _ in throw unsafe(name, "dict") }
    }
    return methods
  }()
}

/// What would change a value.
private func unsafe(_ name: String, _ type: String) -> JinjaError {
  JinjaError(.runtime, "access to attribute '\(name)' of '\(type)' object is unsafe.")
}

enum ListMethods {
  static let all = reading.merging(forbidden) { method, _ in method }

  private static let reading: [String: ListMethod] = [
    "index": { value, arguments, render in
      let wanted = try arguments.bound("index", ["value"], required: 1)[0] ?? .none
      let items = try iterate(value, render)
      try render.chargeComparison(value, wanted)
      guard let place = items.firstIndex(where: { areEqual($0, wanted) }) else {
        throw JinjaError(.runtime, "\(try Printing.repr(wanted, render).string) is not in list")
      }
      return .integer(place)
    },
    "count": { value, arguments, render in
      let wanted = try arguments.bound("count", ["value"], required: 1)[0] ?? .none
      try render.chargeComparison(value, wanted)
      return .integer(try iterate(value, render).count { areEqual($0, wanted) })
    },
    "copy": { value, arguments, _ in
      try arguments.expectNone("copy")
      return value
    },
  ]

  private static let forbidden: [String: ListMethod] = {
    var methods: [String: ListMethod] = [:]
    for name in ["append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"] {
      methods[name] = { _, _, _ in throw unsafe(name, "list") }
    }
    return methods
  }()
}
