/// `loop`: where a `for` is.
final class LoopState {
  let depth: Int
  private(set) var index0 = -1
  private var items: [Value]
  private var position = 0
  /// Which of the items count; asked as late as Python does.
  private var filter: ((Value) throws -> Bool)?
  /// How many items count, once that has been asked.
  private var total: Int?
  private var upcoming: Value?
  private var current: Value?
  private var previous: Value?
  private var lastChanged: [Value]?
  /// How deep a recursive loop is, from 0.
  let level: Int
  /// Renders the loop's body for other items, where the loop is recursive.
  let recurse: ((Value, Int) throws -> Value)?

  init(
    _ items: [Value], depth: Int, level: Int = 0, filter: ((Value) throws -> Bool)?,
    recurse: ((Value, Int) throws -> Value)?
  ) {
    self.items = items
    self.depth = depth + 1
    self.level = level
    self.filter = filter
    self.recurse = recurse
  }

  func next() throws -> Value? {
    guard let item = try peek() else { return nil }
    upcoming = nil
    index0 += 1
    previous = current
    current = item
    return item
  }

  private func peek() throws -> Value? {
    if let upcoming { return upcoming }
    while position < items.count {
      let item = items[position]
      position += 1
      if try filter?(item) ?? true {
        upcoming = item
        return item
      }
    }
    return nil
  }

  func length() throws -> Int {
    if let total { return total }
    guard let filter else { return items.count }
    // What has not been asked yet is asked now, once.
    items = try items[position...].filter(filter)
    position = 0
    self.filter = nil
    let count = index0 + 1 + (upcoming == nil ? 0 : 1) + items.count
    total = count
    return count
  }

  func attribute(_ name: String) throws -> Value? {
    switch name {
    case "index0": .integer(index0)
    case "index": .integer(index0 + 1)
    case "first": .bool(index0 == 0)
    case "last": .bool(try peek() == nil)
    case "length": .integer(try length())
    case "revindex": .integer(try length() - index0)
    case "revindex0": .integer(try length() - index0 - 1)
    case "previtem": index0 == 0 ? .undefined(.hint("there is no previous item")) : previous
    case "nextitem": try peek() ?? .undefined(.hint("there is no next item"))
    case "depth": .integer(level + 1)
    case "depth0": .integer(level)
    case "cycle": .function(Function("cycle", depth: depth) { [self] arguments, _ in try cycle(arguments) })
    case "changed": .function(Function("changed", depth: depth) { [self] in changed($0, $1) })
    default: nil
    }
  }

  private func cycle(_ arguments: Arguments) throws -> Value {
    guard !arguments.positional.isEmpty else { throw JinjaError(.runtime, "no items for cycling given") }
    return arguments.positional[index0 % arguments.positional.count]
  }

  /// Frees what `changed` has kept.
  func forget() { lastChanged = nil }

  private func changed(_ arguments: Arguments, _ render: Render) -> Value {
    if lastChanged == nil { render.keep(self) }
    let values = arguments.positional
    if let lastChanged, lastChanged.count == values.count, zip(lastChanged, values).allSatisfy(areEqual) {
      return .bool(false)
    }
    lastChanged = values
    return .bool(true)
  }
}
