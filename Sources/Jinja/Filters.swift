/// Jinja's filters: `value | filter`.
enum Filters {
  typealias Body = @Sendable (Value, Arguments, Render) throws -> Value

  static let all: [String: Body] = [texts, conversions, lists, choices, orders].reduce(into: [:]) { all, part in
    all.merge(part) { first, _ in first }
  }

  /// Jinja's `soft_str`.
  static func text(_ value: Value, _ render: Render) throws -> Text { try Printing.text(value, render) }
}

extension Value {
  /// Python's `len`.
  func count() throws -> Int {
    switch self {
    case .text(let text): return text.scalarCount
    case .list(let items), .tuple(let items): return items.items.count
    case .mapping(let mapping): return mapping.count
    case .view(let view): return view.items.items.count
    case .range(let range): return range.count
    case .loop(let loop): return try loop.length()
    case .undefined: return 0
    default: throw JinjaError(.runtime, "object of type '\(type.rawValue)' has no len()")
    }
  }
}
