extension Filters {
  static let lists: [String: Body] = [
    "length": { value, arguments, _ in try count(value, arguments) },
    "count": { value, arguments, _ in try count(value, arguments) },
    "list": { value, arguments, render in
      try arguments.expectNone("list")
      return try render.list(try iterate(value, render))
    },
    "items": { value, arguments, render in
      try arguments.expectNone("items")
      return try render.generator(of: value) {
        switch value {
        case .undefined: return []
        case .mapping(let mapping): return try mapping.members.map { try render.tuple([$0.key, $0.value]) }
        default: throw JinjaError(.runtime, "Can only get item pairs from a mapping.")
        }
      }
    },
    "first": { value, arguments, render in
      try arguments.expectNone("first")
      return try iterate(value, render).first ?? .undefined(.hint("No first item, sequence was empty."))
    },
    "last": { value, arguments, render in
      try arguments.expectNone("last")
      if case .generator = value { throw JinjaError(.runtime, "'generator' object is not reversible") }
      return try iterate(value, render).last ?? .undefined(.hint("No last item, sequence was empty."))
    },
    "reverse": { value, arguments, render in
      try arguments.expectNone("reverse")
      if case .text(let text) = value {
        return .text(try TextMethods.join(text.characters().reversed(), .empty, render))
      }
      let items = try iterate(value, render)
      return try render.generator(of: value) { items.reversed() }
    },
    "join": { value, arguments, render in
      let bound = try arguments.bound("join", ["d", "attribute"])
      let separator = try bound[0].map { try text($0, render) } ?? .empty
      let path = AttributePath(bound[1])
      let texts = try iterate(value, render).map { try text(path.value(of: $0, render), render) }
      return .text(try TextMethods.join(texts, separator.plain(), render))
    },
    "sum": { value, arguments, render in
      let bound = try arguments.bound("sum", ["attribute", "start"])
      let path = AttributePath(bound[0])
      let start = bound[1] ?? .integer(0)
      if case .text = start { throw JinjaError(.runtime, "sum() can't sum strings [use ''.join(seq) instead]") }
      return try iterate(value, render).reduce(start) { sum, item in
        try Arithmetic.apply(.add, sum, try path.value(of: item, render), render)
      }
    },
    "batch": { value, arguments, render in
      let bound = try arguments.bound("batch", ["linecount", "fill_with"], required: 1)
      let size = try (bound[0] ?? .none).expectInteger("batch")
      return try render.generator(of: value) { try batches(iterate(value, render), size, bound[1].given, render) }
    },
    "slice": { value, arguments, render in
      let bound = try arguments.bound("slice", ["slices", "fill_with"], required: 1)
      let count = try (bound[0] ?? .none).expectInteger("slice")
      return try render.generator(of: value) { try slices(iterate(value, render), count, bound[1].given, render) }
    },
    "attr": { value, arguments, render in
      let name = try (arguments.bound("attr", ["name"], required: 1)[0] ?? .none).expectText("attr").string
      return try attribute(value, name, Methods.ByName(name), render) ?? .undefined(.attribute(name, of: value.type))
    },
    "default": { value, arguments, _ in try fallback(value, arguments) },
    "d": { value, arguments, _ in try fallback(value, arguments) },
  ]

  private static func count(_ value: Value, _ arguments: Arguments) throws -> Value {
    try arguments.expectNone("length")
    return .integer(try value.count())
  }

  private static func fallback(_ value: Value, _ arguments: Arguments) throws -> Value {
    let bound = try arguments.bound("default", ["default_value", "boolean"])
    let replaces = value.isUndefined || (bound[1]?.isTrue ?? false) && !value.isTrue
    return replaces ? bound[0] ?? .text(.empty) : value
  }

  private static func batches(_ items: [Value], _ size: Int, _ filler: Value?, _ render: Render) throws -> [Value] {
    guard size > 0 else {
      // A list is never as short as that, so nothing is ever cut.
      return items.isEmpty ? [] : [try render.list(items)]
    }
    var batches: [Value] = []
    for start in stride(from: 0, to: items.count, by: size) {
      var batch = Array(items[start..<min(items.count - start, size) + start])
      if let filler, batch.count < size {
        try render.charge(Render.itemCost, times: size)
        batch += Array(repeating: filler, count: size - batch.count)
      }
      batches.append(try render.list(batch))
    }
    return batches
  }

  private static func slices(_ items: [Value], _ count: Int, _ filler: Value?, _ render: Render) throws -> [Value] {
    guard count != 0 else { throw JinjaError(.runtime, "integer division or modulo by zero") }
    guard count > 0 else { return [] }
    try render.charge(2 * Render.itemCost, times: count)
    let (size, extra) = items.count.quotientAndRemainder(dividingBy: count)
    var start = 0
    return try (0..<count).map { place in
      let end = start + size + (place < extra ? 1 : 0)
      defer { start = end }
      let part = Array(items[start..<end])
      return try render.list(place >= extra ? part + [filler].compactMap(\.self) : part)
    }
  }
}
