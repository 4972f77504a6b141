import Core

/// A Parquet file's columns as a tree of what JSON has: objects, lists, texts, numbers.
struct ParquetSchema {
  /// A column that holds values.
  struct Leaf {
    var storage: PageValues.Storage
    /// Of values of a fixed length.
    var length: Int
    /// Levels at which a value is there, and of its innermost list.
    var (definition, repetition): (Int, Int)
    var form: Form
  }

  /// How a leaf's value is written.
  enum Form: Equatable {
    case boolean, integer, unsigned32, unsigned64, float, double, float16, text, bytes, uuid, date, nothing
    case decimal(scale: Int)
    case time(perSecond: Int)
    case timestamp(perSecond: Int)
    case int96
  }

  indirect enum Content {
    case leaf(Int)
    case object([(name: String, node: Node)])
    /// Of elements, at levels of their own.
    case list(Node, definition: Int, repetition: Int)
    /// An object whose names are values.
    case map(key: Node, value: Node?, definition: Int, repetition: Int)
  }

  struct Node {
    /// The level below which it is null; 0 where it never is.
    var nullBelow: Int
    var content: Content
    /// Its leaves, of which there is one at least.
    var leaves: Range<Int>
  }

  private static let deepest = 24

  private(set) var leaves: [Leaf] = []
  private(set) var columns: [(name: String, node: Node)] = []

  init(_ elements: [ParquetMetadata.Element]) throws {
    var next = 1
    for _ in 0..<elements[0].children {
      let element = try Self.element(elements, next)
      columns.append((element.name, try node(elements, &next, 0, 0, 0)))
    }
    guard next == elements.count else { throw damaged("its schema is no tree") }
    guard !columns.isEmpty else { throw damaged("it has no columns") }
  }

  private static func element(_ elements: [ParquetMetadata.Element], _ index: Int) throws -> ParquetMetadata.Element {
    guard index < elements.count else { throw damaged("its schema is no tree") }
    return elements[index]
  }

  /// The node of the schema element at `next`, which is moved past the element and all below it.
  private mutating func node(
    _ elements: [ParquetMetadata.Element], _ next: inout Int, _ definition: Int, _ repetition: Int, _ depth: Int
  ) throws -> Node {
    let element = try Self.element(elements, next)
    guard depth <= Self.deepest, (0...2).contains(element.repetition) else { throw damaged("its schema is no tree") }
    let first = leaves.count
    if element.repetition == 2 {
      // A list without a group of its own.
      let inner = try content(elements, &next, definition + 1, repetition + 1, depth)
      let node = Node(nullBelow: 0, content: inner, leaves: first..<leaves.count)
      return Node(
        nullBelow: 0, content: .list(node, definition: definition + 1, repetition: repetition + 1),
        leaves: first..<leaves.count)
    }
    let own = definition + element.repetition
    let content = try content(elements, &next, own, repetition, depth)
    guard leaves.count > first else { throw damaged("a group of its schema has no column") }
    return Node(nullBelow: element.repetition == 1 ? own : 0, content: content, leaves: first..<leaves.count)
  }

  private mutating func content(
    _ elements: [ParquetMetadata.Element], _ next: inout Int, _ definition: Int, _ repetition: Int, _ depth: Int
  ) throws -> Content {
    let element = try Self.element(elements, next)
    guard depth <= Self.deepest else { throw damaged("its schema is nested too deeply") }
    next += 1
    guard element.children > 0 else {
      leaves.append(try Self.leaf(element, definition, repetition))
      return .leaf(leaves.count - 1)
    }
    let isList = element.logical == .list || element.converted == 3
    let isMap = element.logical == .map || element.converted == 1 || element.converted == 2
    if isList || isMap, element.children == 1, try Self.element(elements, next).repetition == 2 {
      return isList
        ? try list(elements, &next, definition + 1, repetition + 1, depth, of: element.name)
        : try map(elements, &next, definition + 1, repetition + 1, depth)
    }
    var members: [(String, Node)] = []
    for _ in 0..<element.children {
      let name = try Self.element(elements, next).name
      members.append((name, try node(elements, &next, definition, repetition, depth + 1)))
    }
    return .object(members)
  }

  /// Where the repeated element is a group of one, that one is the list's element, but for what old writers called so.
  private mutating func list(
    _ elements: [ParquetMetadata.Element], _ next: inout Int, _ definition: Int, _ repetition: Int, _ depth: Int,
    of name: String
  ) throws -> Content {
    let repeated = try Self.element(elements, next)
    let isElement = repeated.children != 1 || repeated.name == "array" || repeated.name == name + "_tuple"
    let first = leaves.count
    if isElement {
      let inner = try content(elements, &next, definition, repetition, depth + 1)
      return .list(
        Node(nullBelow: 0, content: inner, leaves: first..<leaves.count), definition: definition, repetition: repetition
      )
    }
    next += 1
    return .list(
      try node(elements, &next, definition, repetition, depth + 1), definition: definition, repetition: repetition)
  }

  private mutating func map(
    _ elements: [ParquetMetadata.Element], _ next: inout Int, _ definition: Int, _ repetition: Int, _ depth: Int
  ) throws -> Content {
    let pair = try Self.element(elements, next)
    guard (1...2).contains(pair.children) else { throw damaged("a map of its schema has no pairs") }
    next += 1
    let key = try node(elements, &next, definition, repetition, depth + 1)
    let value = pair.children == 2 ? try node(elements, &next, definition, repetition, depth + 1) : nil
    return .map(key: key, value: value, definition: definition, repetition: repetition)
  }

  private static func leaf(
    _ element: ParquetMetadata.Element, _ definition: Int, _ repetition: Int
  ) throws -> Leaf {
    guard let type = element.type, let storage = PageValues.Storage(rawValue: type) else {
      throw damaged("a column of its schema has no known type")
    }
    guard storage != .fixed || (1...1 << 20).contains(element.length) else {
      throw damaged("a column of its schema has values of no length")
    }
    guard definition < 256, repetition < 256 else { throw damaged("its schema is nested too deeply") }
    return Leaf(
      storage: storage, length: element.length, definition: definition, repetition: repetition,
      form: form(element, storage))
  }

  private static func form(_ element: ParquetMetadata.Element, _ storage: PageValues.Storage) -> Form {
    if element.logical == .unknown { return .nothing }
    if case .decimal(let scale) = element.logical { return .decimal(scale: scale) }
    if element.converted == 5 { return .decimal(scale: element.scale) }
    switch storage {
    case .boolean: return .boolean
    case .int32, .int64: return integerForm(element, storage)
    case .int96: return .int96
    case .float: return .float
    case .double: return .double
    case .bytes:
      return element.logical == .text || [0, 4, 19].contains(element.converted) ? .text : .bytes
    case .fixed:
      return element.logical == .uuid ? .uuid : element.logical == .float16 && element.length == 2 ? .float16 : .bytes
    }
  }

  private static func integerForm(_ element: ParquetMetadata.Element, _ storage: PageValues.Storage) -> Form {
    let perSecond = [ParquetMetadata.Unit.milliseconds: 1000, .microseconds: 1_000_000, .nanoseconds: 1_000_000_000]
    switch element.logical {
    case .date: return .date
    case .time(let unit): return .time(perSecond: perSecond[unit] ?? 1000)
    case .timestamp(let unit): return .timestamp(perSecond: perSecond[unit] ?? 1000)
    case .integer(isSigned: false): return storage == .int32 ? .unsigned32 : .unsigned64
    default: break
    }
    switch element.converted {
    case 6: return .date
    case 7: return .time(perSecond: 1000)
    case 8: return .time(perSecond: 1_000_000)
    case 9: return .timestamp(perSecond: 1000)
    case 10: return .timestamp(perSecond: 1_000_000)
    case 11, 12, 13: return .unsigned32
    case 14: return .unsigned64
    default: return .integer
    }
  }
}
