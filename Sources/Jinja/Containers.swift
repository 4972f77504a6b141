/// The items of a list or a tuple. A list cannot be changed by a template, so both are the same.
final class ItemList {
  let items: [Value]
  let depth: Int
  /// Where the list itself came from: its brackets, when it is printed.
  let origin: Origin
  /// Values in all within it, in steps of comparing them.
  let size: Int
  /// Names of the items, where they have any.
  let fields: [String]

  init(_ items: [Value], origin: Origin = .template, fields: [String] = []) {
    self.items = items
    self.fields = fields
    self.origin = origin
    depth = 1 + items.reduce(0) { max($0, $1.depth) }
    size = items.reduce(0) { $0 + $1.size }
  }
}

/// A dictionary in the order of its making.
final class Mapping {
  let members: [(key: Value, value: Value)]
  let depth: Int
  let origin: Origin
  let size: Int
  private var index: [Key: Int]?

  /// Dictionaries up to this size are searched from the front.
  private static let indexThreshold = 12

  /// Keys must be distinct; `Render.mapping` sees to that.
  init(_ members: [(key: Value, value: Value)], origin: Origin = .template) {
    self.members = members
    self.origin = origin
    depth = 1 + members.reduce(0) { max($0, $1.key.depth, $1.value.depth) }
    size = members.reduce(0) { $0 + $1.key.size + $1.value.size }
  }

  var count: Int { members.count }

  /// The value of a key that is text; O(1) for large dictionaries.
  func find(_ key: Text) -> Value? {
    if members.count <= Self.indexThreshold {
      for member in members {
        if case .text(let text) = member.key, text.bytes == key.bytes { return member.value }
      }
      return nil
    }
    return place(Key(text: key.bytes)).map { members[$0].value }
  }

  /// Throws where the key cannot be hashed.
  func find(_ key: Value) throws -> Value? {
    if case .text(let text) = key { return find(text) }
    let key = try Key(key)
    return place(key).map { members[$0].value }
  }

  private func place(_ key: Key) -> Int? {
    if index == nil {
      var made = [Key: Int](minimumCapacity: members.count)
      for (place, member) in members.enumerated() {
        if let key = try? Key(member.key) { made[key] = place }
      }
      index = made
    }
    return index?[key]
  }
}

/// `keys()`, `values()` and `items()` of a dictionary: to be walked over, but no list.
final class View {
  let name: String
  let items: ItemList

  init(_ name: String, _ items: ItemList) { (self.name, self.items) = (name, items) }
}

/// What can be a key: equal where Python's `==` and `hash` say so.
enum Key: Hashable {
  case none
  case number(Double)
  case integer(Int)
  case text([UInt8])
  case tuple([Key])
  case identity(ObjectIdentifier)

  /// Values in a key, which may be a tuple of tuples.
  private static let sizeLimit = 1 << 12

  init(text: [UInt8]) { self = .text(text) }

  init(_ value: Value) throws {
    switch value {
    case .none: self = .none
    case .undefined: self = .tuple([.none])
    case .bool(let value): self = .integer(value ? 1 : 0)
    case .integer(let value): self = .integer(value)
    case .float(let value): self = Int(exactly: value).map(Key.integer) ?? .number(value)
    case .text(let text): self = .text(text.bytes)
    case .tuple(let items):
      guard items.size <= Self.sizeLimit else { throw JinjaError(.limit, "a key is too large") }
      self = .tuple(try items.items.map { try Key($0) })
    case .range(let range): self = .tuple([.integer(range.start), .integer(range.count), .integer(range.step)])
    case .namespace(let object): self = .identity(ObjectIdentifier(object))
    case .generator(let object): self = .identity(ObjectIdentifier(object))
    case .loop(let object): self = .identity(ObjectIdentifier(object))
    case .macro(let object): self = .identity(ObjectIdentifier(object))
    case .function(let object): self = .identity(ObjectIdentifier(object))
    case .object(let object): self = .identity(ObjectIdentifier(object))
    case .list, .mapping, .view: throw JinjaError(.runtime, "unhashable type: '\(value.type.rawValue)'")
    }
  }
}

/// `range(start, stop, step)`, of at most 100,000 numbers.
struct PythonRange: Equatable, Sendable {
  let start: Int
  let stop: Int
  let step: Int
  let count: Int

  static let limit = 100_000

  /// Throws for a step of 0 and for more numbers than jinja2's sandbox allows.
  init(start: Int, stop: Int, step: Int) throws {
    guard step != 0 else { throw JinjaError(.runtime, "range() arg 3 must not be zero") }
    (self.start, self.stop, self.step) = (start, stop, step)
    guard step > 0 ? start < stop : start > stop else {
      count = 0
      return
    }
    let (distance, overflow) = stop.subtractingReportingOverflow(start)
    let steps = overflow ? UInt.max : (distance.magnitude - 1) / step.magnitude + 1
    guard steps <= UInt(Self.limit) else {
      throw JinjaError(.limit, "range too big: more than \(Self.limit) numbers")
    }
    count = Int(steps)
  }

  subscript(index: Int) -> Int { start + index * step }

  var items: [Value] { (0..<count).map { .integer(self[$0]) } }
}

/// `namespace()`: the one thing that a template can change.
final class Namespace {
  private(set) var names: [String] = []
  private(set) var values: [Value] = []

  func find(_ name: String) -> Value? { names.firstIndex(of: name).map { values[$0] } }

  func set(_ name: String, _ value: Value) {
    if let place = names.firstIndex(of: name) {
      values[place] = value
    } else {
      names.append(name)
      values.append(value)
    }
  }

  /// Frees what it holds, and with it any circle that goes through it.
  func clear() { values = [] }
}

/// What Python gives out one by one and once only: the results of `map`, `select`, `items` … Made when first asked for.
final class Generator {
  let depth: Int
  private var make: (() throws -> [Value])?

  init(depth: Int, _ make: @escaping () throws -> [Value]) {
    self.depth = depth + 1
    self.make = make
  }

  /// All items the first time, none after that.
  func take() throws -> [Value] {
    guard let make else { return [] }
    self.make = nil
    return try make()
  }
}

/// Something that can be called with arguments: a global, or a method with its receiver.
final class Function {
  typealias Body = (Arguments, Render) throws -> Value

  let name: String
  let depth: Int
  let call: Body

  init(_ name: String, depth: Int = 0, _ call: @escaping Body) {
    self.name = name
    self.depth = depth + 1
    self.call = call
  }
}
