/// Python's `==`.
func areEqual(_ left: Value, _ right: Value) -> Bool {
  switch (left, right) {
  case (.text(let a), .text(let b)): return a == b
  case (.undefined, .undefined), (.none, .none): return true
  case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)):
    return a === b || a.items.count == b.items.count && zip(a.items, b.items).allSatisfy(areEqual)
  case (.mapping(let a), .mapping(let b)): return a === b || areEqual(a, b)
  case (.range(let a), .range(let b)):
    return a.count == b.count && (a.count == 0 || a.start == b.start && (a.count == 1 || a.step == b.step))
  case (.view(let a), .view(let b)):
    return a.name != "dict_values" && a.items.items.count == b.items.items.count
      && a.items.items.allSatisfy { item in b.items.items.contains { areEqual(item, $0) } }
  case (.namespace(let a), .namespace(let b)): return a === b
  case (.generator(let a), .generator(let b)): return a === b
  case (.loop(let a), .loop(let b)): return a === b
  case (.macro(let a), .macro(let b)): return a === b
  case (.function(let a), .function(let b)): return a === b
  case (.object(let a), .object(let b)): return a === b
  default: return compareNumbers(left, right) == .equal
  }
}

private func areEqual(_ left: Mapping, _ right: Mapping) -> Bool {
  guard left.count == right.count else { return false }
  return left.members.allSatisfy { member in
    guard let found = try? right.find(member.key) else { return false }
    return areEqual(member.value, found)
  }
}

/// Python's `is`, as far as a template can tell.
func areSame(_ left: Value, _ right: Value) -> Bool {
  switch (left, right) {
  case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)): return a === b
  case (.mapping(let a), .mapping(let b)): return a === b
  case (.integer(let a), .integer(let b)): return a == b
  case (.bool(let a), .bool(let b)): return a == b
  case (.float, _), (.undefined, _), (.range, _): return false
  case (.integer, _), (.bool, _): return false
  default: return areEqual(left, right)
  }
}

enum Order {
  case less, equal, greater
  /// A number that is none.
  case unordered
}

/// nil where one is no number.
private func compareNumbers(_ left: Value, _ right: Value) -> Order? {
  if let a = left.integer, let b = right.integer { return a < b ? .less : a == b ? .equal : .greater }
  guard let a = left.number, let b = right.number else { return nil }
  // An integer that a double does not hold exactly is compared by its own digits.
  if let a = left.integer, let order = compare(a, b) { return order }
  if let b = right.integer, let order = compare(b, a) {
    return order == .less ? .greater : order == .greater ? .less : order
  }
  return a < b ? .less : a == b ? .equal : a > b ? .greater : .unordered
}

private func compare(_ integer: Int, _ number: Double) -> Order? {
  guard integer.magnitude > 1 << 53, let whole = Int(exactly: number.rounded(.down)) else { return nil }
  if integer != whole { return integer < whole ? .less : .greater }
  return Double(whole) == number ? .equal : .less
}

/// Python's `<` and its kin; throws where the two have no order.
func order(_ left: Value, _ right: Value, _ operation: String = "<") throws -> Order {
  switch (left, right) {
  case (.text(let a), .text(let b)): return order(a.bytes, b.bytes)
  case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)):
    for (x, y) in zip(a.items, b.items) where !areEqual(x, y) { return try order(x, y, operation) }
    return a.items.count < b.items.count ? .less : a.items.count == b.items.count ? .equal : .greater
  case (.undefined(let undefined), _), (_, .undefined(let undefined)): throw undefined.error
  default:
    if let order = compareNumbers(left, right) { return order }
    throw JinjaError(
      .runtime,
      "'\(operation)' not supported between instances of '\(left.type.rawValue)' and '\(right.type.rawValue)'")
  }
}

/// UTF-8 orders as the scalars do.
private func order(_ left: [UInt8], _ right: [UInt8]) -> Order {
  left == right ? .equal : left.lexicographicallyPrecedes(right) ? .less : .greater
}

/// Python's `item in container`.
func contains(_ container: Value, _ item: Value) throws -> Bool {
  switch container {
  case .text(let text):
    guard case .text(let part) = item else {
      throw JinjaError(.runtime, "'in <string>' requires string as left operand, not \(item.type.rawValue)")
    }
    return text.contains(part)
  case .mapping(let mapping): return try mapping.find(item) != nil
  case .list(let items), .tuple(let items):
    return items.items.contains { areSame($0, item) || areEqual($0, item) }
  case .view(let view):
    // Keys are looked up by their hash, which not everything has.
    if view.name == "dict_keys" { _ = try Key(item) }
    return view.items.items.contains { areEqual($0, item) }
  case .range(let range): return range.items.contains { areEqual($0, item) }
  case .undefined: return false
  case .generator(let generator): return try generator.take().contains { areEqual($0, item) }
  default: throw JinjaError(.runtime, "argument of type '\(container.type.rawValue)' is not iterable")
  }
}
