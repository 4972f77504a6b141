extension Filters {
  static let orders: [String: Body] = [
    "sort": { value, arguments, render in
      let bound = try arguments.bound("sort", ["reverse", "case_sensitive", "attribute"])
      let key = try sortKey(bound[2], isCaseSensitive: bound[1]?.isTrue ?? false, render)
      return try render.list(
        try render.sorted(try iterate(value, render), reversed: bound[0]?.isTrue ?? false, skipsEqual: true, key: key))
    },
    "dictsort": { value, arguments, render in
      let bound = try arguments.bound("dictsort", ["case_sensitive", "by", "reverse"])
      let by = try bound[1]?.expectText("dictsort").string ?? "key"
      guard by == "key" || by == "value" else {
        throw JinjaError(.runtime, "You can only sort by either \"key\" or \"value\"")
      }
      if case .undefined(let undefined) = value { throw undefined.error }
      guard case .mapping(let mapping) = value else {
        throw JinjaError(.runtime, "'\(value.type.rawValue)' object has no attribute 'items'")
      }
      let isCaseSensitive = bound[0]?.isTrue ?? false
      let members = try render.sorted(mapping.members, reversed: bound[2]?.isTrue ?? false) { member in
        let key = by == "key" ? member.key : member.value
        return isCaseSensitive ? key : ignoringCase(key)
      }
      return try render.list(members.map { try render.tuple([$0.key, $0.value]) })
    },
    "unique": { value, arguments, render in
      let bound = try arguments.bound("unique", ["case_sensitive", "attribute"])
      let key = itemKey(bound[1], isCaseSensitive: bound[0]?.isTrue ?? false, render)
      return try render.generator(of: value) {
        var seen = Set<Key>()
        return try iterate(value, render).filter { seen.insert(try Key(key($0))).inserted }
      }
    },
    "min": { try extreme($0, $1, $2, "min", .less) },
    "max": { try extreme($0, $1, $2, "max", .greater) },
    "groupby": { value, arguments, render in
      let bound = try arguments.bound("groupby", ["attribute", "default", "case_sensitive"], required: 1)
      return try grouped(value, bound, render)
    },
  ]

  private static func itemKey(
    _ attribute: Value?, isCaseSensitive: Bool, _ render: Render, fallback: Value? = nil
  ) -> (Value) throws -> Value {
    let path = AttributePath(attribute, fallback: fallback)
    return { item in
      let key = try path.value(of: item, render)
      return isCaseSensitive ? key : ignoringCase(key)
    }
  }

  /// `sort` takes several attributes, with commas between.
  private static func sortKey(
    _ attribute: Value?, isCaseSensitive: Bool, _ render: Render
  ) throws -> (Value) throws -> Value {
    guard case .some(.text(let names)) = attribute, names.contains(Text(",")) else {
      return itemKey(attribute, isCaseSensitive: isCaseSensitive, render)
    }
    let keys = names.split(by: Text(","), limit: .max, fromRight: false).map { name in
      itemKey(.text(name), isCaseSensitive: isCaseSensitive, render)
    }
    return { item in try render.list(keys.map { try $0(item) }) }
  }

  private static func extreme(
    _ value: Value, _ arguments: Arguments, _ render: Render, _ name: String, _ wanted: Order
  ) throws -> Value {
    let bound = try arguments.bound(name, ["case_sensitive", "attribute"])
    let key = itemKey(bound[1], isCaseSensitive: bound[0]?.isTrue ?? false, render)
    let items = try iterate(value, render)
    guard var best = items.first else { return .undefined(.hint("No aggregated item, sequence was empty.")) }
    var bestKey = try key(best)
    for item in items.dropFirst() {
      let itemKey = try key(item)
      try render.chargeComparison(itemKey, bestKey)
      if try order(itemKey, bestKey, wanted == .less ? "<" : ">") == wanted { (best, bestKey) = (item, itemKey) }
    }
    return best
  }

  private static func grouped(_ value: Value, _ bound: [Value?], _ render: Render) throws -> Value {
    let isCaseSensitive = bound[2]?.isTrue ?? false
    let key = itemKey(bound[0], isCaseSensitive: isCaseSensitive, render, fallback: bound[1].given)
    let name = itemKey(bound[0], isCaseSensitive: true, render, fallback: bound[1].given)
    var groups: [(key: Value, items: [Value])] = []
    for item in try render.sorted(try iterate(value, render), key: key) {
      let itemKey = try key(item)
      if let last = groups.last, areEqual(last.key, itemKey) {
        groups[groups.count - 1].items.append(item)
      } else {
        groups.append((itemKey, [item]))
      }
    }
    return try render.list(
      groups.map { group in
        let grouper = try name(group.items[0])
        return try render.tuple([grouper, try render.list(group.items)], fields: ["grouper", "list"])
      })
  }
}
