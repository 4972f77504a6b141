/// What something is called with.
struct Arguments {
  var positional: [Value] = []
  var named: [(name: String, value: Value)] = []

  /// The arguments in the order of `names`, nil for those that are not given. The first `required` must be.
  func bound(_ function: String, _ names: [String], required: Int = 0) throws -> [Value?] {
    guard positional.count <= names.count else {
      throw JinjaError(
        .runtime, "\(function)() takes at most \(names.count) arguments, and \(positional.count) are given")
    }
    var values: [Value?] = positional + [Value?](repeating: nil, count: names.count - positional.count)
    for argument in named {
      guard let place = names.firstIndex(of: argument.name) else {
        throw JinjaError(.runtime, "\(function)() got an unexpected keyword argument '\(argument.name)'")
      }
      guard values[place] == nil else {
        throw JinjaError(.runtime, "\(function)() got multiple values for argument '\(argument.name)'")
      }
      values[place] = argument.value
    }
    for place in 0..<required where values[place] == nil {
      throw JinjaError(.runtime, "\(function)() missing a required argument: '\(names[place])'")
    }
    return values
  }

  /// None at all.
  func expectNone(_ function: String) throws { _ = try bound(function, []) }
}

extension Value {
  /// For arguments: the error says what was wanted.
  func expectText(_ function: String) throws -> Text {
    if case .text(let text) = self { return text }
    if case .undefined(let undefined) = self { throw undefined.error }
    throw JinjaError(.runtime, "\(function)() wants a str, not \(type.rawValue)")
  }

  func expectInteger(_ function: String) throws -> Int {
    if let integer { return integer }
    if case .undefined(let undefined) = self { throw undefined.error }
    throw JinjaError(.runtime, "\(function)() wants an int, not \(type.rawValue)")
  }
}

extension Optional<Value> {
  /// An argument that may be None.
  var given: Value? {
    if case .some(.none) = self { return nil }
    return self
  }
}
