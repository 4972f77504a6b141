extension Render {
  /// Python's stable `sorted`, by keys. Keys that are equal need no order where `skipsEqual`, as within Python's lists.
  func sorted<Item>(
    _ items: [Item], reversed: Bool = false, skipsEqual: Bool = false, key: (Item) throws -> Value
  ) throws -> [Item] {
    var keyed: [(key: Value, item: Item)] = []
    var size = 0
    for item in items {
      let key = try key(item)
      size += key.size
      keyed.append((key, item))
    }
    try step(size)
    let rounds = Int.bitWidth - items.count.leadingZeroBitCount
    try step(min(size, 1 << 40) * rounds)
    func precedes(_ left: Value, _ right: Value) throws -> Bool {
      if skipsEqual, areEqual(left, right) { return false }
      return try order(left, right) == .less
    }
    if items.count == 1 { return items }
    // Reversed, equal items keep their order too.
    return try keyed.sorted { try reversed ? precedes($1.key, $0.key) : precedes($0.key, $1.key) }.map(\.item)
  }
}

/// Jinja's `ignore_case`.
func ignoringCase(_ value: Value) -> Value {
  if case .text(let text) = value { .text(text.lowercased()) } else { value }
}

/// A path of attributes, `function.name` or `0`, as filters take it.
struct AttributePath {
  private let parts: [Value]
  private let fallback: Value?

  /// nil or None for the item itself.
  init(_ attribute: Value?, fallback: Value? = nil) {
    self.fallback = fallback
    switch attribute {
    case .some(.text(let text)):
      parts = text.split(by: Text("."), limit: .max, fromRight: false).map { part in
        let isNumber = !part.isEmpty && part.bytes.allSatisfy { (0x30..<0x3a).contains($0) }
        return (isNumber ? Int(part.string).map(Value.integer) : nil) ?? .text(part)
      }
    case .some(.none), nil: parts = []
    case .some(let other): parts = [other]
    }
  }

  func value(of item: Value, _ render: Render) throws -> Value {
    try render.step()
    return try parts.reduce(item) { value, part in
      let found = try Jinja.item(of: value, part, render)
      if found.isUndefined, let fallback { return fallback }
      return found
    }
  }
}
