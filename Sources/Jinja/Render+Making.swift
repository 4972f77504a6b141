/// Values made while rendering, each paid for.
extension Render {
  func joined(_ left: Text, _ right: Text) throws -> Text {
    try charge(left.bytes.count + right.bytes.count)
    if left.isMarkup != right.isMarkup {
      return (left.isMarkup ? left + escapedHTML(right) : escapedHTML(left) + right).markup()
    }
    let sum = left + right
    return left.isMarkup ? sum.markup() : sum
  }

  func list(_ items: [Value], origin: Origin = .template) throws -> Value { .list(try itemList(items, origin)) }

  func tuple(_ items: [Value], fields: [String] = []) throws -> Value {
    .tuple(try itemList(items, .template, fields))
  }

  func view(_ name: String, _ items: [Value]) throws -> Value { .view(View(name, try itemList(items, .template))) }

  func texts(_ texts: [Text]) throws -> Value { try list(texts.map { .text($0) }) }

  private func itemList(_ items: [Value], _ origin: Origin, _ fields: [String] = []) throws -> ItemList {
    try charge(Self.itemCost * (items.count + 1))
    try step(items.count >> 4)
    let list = ItemList(items, origin: origin, fields: fields)
    try check(nesting: list.depth)
    return list
  }

  /// Later members take the place of earlier ones of the same key.
  func mapping(_ members: [(key: Value, value: Value)], origin: Origin = .template) throws -> Value {
    try charge(2 * Self.itemCost * (members.count + 1))
    var places = [Key: Int](minimumCapacity: members.count)
    var distinct: [(key: Value, value: Value)] = []
    for member in members {
      let key = try Key(member.key)
      if let place = places[key] {
        distinct[place].value = member.value
      } else {
        places[key] = distinct.count
        distinct.append(member)
      }
    }
    let mapping = Mapping(distinct, origin: origin)
    try check(nesting: mapping.depth)
    return .mapping(mapping)
  }

  func generator(of source: Value, _ make: @escaping () throws -> [Value]) throws -> Value {
    try charge(2 * Self.itemCost)
    try check(nesting: source.depth + 1)
    return .generator(Generator(depth: source.depth, make))
  }

  func check(nesting depth: Int) throws {
    if depth > limits.nesting { throw JinjaError(.limit, "values are nested deeper than \(limits.nesting) levels") }
  }
}

extension Render {
  /// What comparing two values takes, beside the step for the comparison itself.
  @inline(__always)
  func chargeComparison(_ left: Value, _ right: Value) throws {
    switch (left, right) {
    case (.text(let a), .text(let b)): try step((a.bytes.count + b.bytes.count) >> 8)
    default: try step(left.size + right.size)
    }
  }
}
