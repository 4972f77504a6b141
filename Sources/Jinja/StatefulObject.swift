/// `cycler` and `joiner`.
final class StatefulObject {
  enum State {
    case cycler([Value], position: Int)
    case joiner(Text, used: Bool)
  }

  private var state: State
  let depth: Int

  init(_ state: State) {
    self.state = state
    if case .cycler(let values, _) = state {
      depth = 1 + values.reduce(0) { max($0, $1.depth) }
    } else {
      depth = 1
    }
  }

  var type: PythonType {
    switch state {
    case .cycler: .cycler
    case .joiner: .joiner
    }
  }

  /// What a cycler has: `next()`, `current` and `reset()`.
  func attribute(_ name: String) -> Value? {
    guard case .cycler(let values, let position) = state else { return nil }
    switch name {
    case "current": return values[position]
    case "next": return .function(Function("next", depth: depth) { [self] _, _ in advance() })
    case "reset":
      return .function(
        Function("reset", depth: depth) { [self] _, _ in
          state = .cycler(values, position: 0)
          return .none
        })
    default: return nil
    }
  }

  private func advance() -> Value {
    guard case .cycler(let values, let position) = state else { return .none }
    state = .cycler(values, position: (position + 1) % values.count)
    return values[position]
  }

  /// A joiner gives nothing the first time, and its separator after that.
  func call(_ arguments: Arguments) throws -> Value {
    guard case .joiner(let separator, let used) = state else {
      throw JinjaError(.runtime, "'Cycler' object is not callable")
    }
    try arguments.expectNone("joiner")
    state = .joiner(separator, used: true)
    return .text(used ? separator : .empty)
  }
}
