/// Runs a decoder's steps over tokens that come one by one. What has come out and `finish` gives, one after the other, is
/// what the steps make of all tokens together.
struct DecoderChain: Sendable {
  private struct State: Sendable {
    var step: DecoderStep
    /// Tokens come in fragments of one, because they were fused.
    var isFused: Bool
    /// No token has come yet.
    var isFirst = true
    /// A run of bytes, or characters that are stripped if nothing follows.
    var held: [UInt8] = []
    /// Characters that may still be stripped from the beginning.
    var left = 0
  }

  private var states: [State] = []

  init(_ steps: [DecoderStep]) {
    var isFused = false
    for step in steps {
      var state = State(step: step, isFused: isFused)
      if case .strip(_, let start, _) = step { state.left = start }
      states.append(state)
      if step == .fuse { isFused = true }
    }
  }

  /// Takes a token and appends the text that is now certain.
  mutating func push(_ token: [UInt8], into text: inout [UInt8]) { push(token, to: 0, into: &text) }

  /// Ends the text.
  mutating func finish(into text: inout [UInt8]) {
    for index in states.indices {
      if states[index].step == .byteFallback { endRun(index, into: &text) }
    }
  }

  private mutating func push(_ token: [UInt8], to index: Int, into text: inout [UInt8]) {
    guard index < states.count else {
      text += token
      return
    }
    switch states[index].step {
    case .replace(let replacement):
      var token = token
      replacement.apply(to: &token)
      push(token, to: index + 1, into: &text)
    case .byteFallback:
      if let byte = fallbackByte(token) {
        states[index].held.append(byte)
      } else {
        endRun(index, into: &text)
        push(token, to: index + 1, into: &text)
      }
    case .fuse: push(token, to: index + 1, into: &text)
    case .strip(let content, let start, let stop):
      let kept =
        states[index].isFused
        ? stripFragment(token, content, stop, index) : Self.strip(token, content, start, stop)
      push(kept, to: index + 1, into: &text)
    case .metaspace(let metaspace):
      let decoded = metaspace.decoded(token, isFirst: states[index].isFirst)
      if !states[index].isFused { states[index].isFirst = false }
      push(decoded, to: index + 1, into: &text)
    }
  }

  /// Gives on the bytes that were held.
  private mutating func endRun(_ index: Int, into text: inout [UInt8]) {
    let run = states[index].held
    guard !run.isEmpty else { return }
    states[index].held = []
    if String(validating: run, as: UTF8.self) != nil {
      push(run, to: index + 1, into: &text)
    } else {
      for _ in run { push(Array("\u{fffd}".utf8), to: index + 1, into: &text) }
    }
  }

  private static func strip(_ token: [UInt8], _ content: [UInt8], _ start: Int, _ stop: Int) -> [UInt8] {
    var rest = token[...]
    for _ in 0..<min(start, token.count) where rest.starts(with: content) { rest = rest.dropFirst(content.count) }
    for _ in 0..<min(stop, token.count) where rest.suffix(content.count).elementsEqual(content) {
      rest = rest.dropLast(content.count)
    }
    return Array(rest)
  }

  /// Strips a token that comes in fragments: `content` at its start as often as is left to step `index`, and up to `stop` times
  /// at its end. Gives what is certain, and holds back what may still be stripped.
  private mutating func stripFragment(
    _ fragment: [UInt8], _ content: [UInt8], _ stop: Int, _ index: Int
  ) -> [UInt8] {
    var rest = (states[index].held + fragment)[...]
    while states[index].left > 0, rest.starts(with: content) {
      rest = rest.dropFirst(content.count)
      states[index].left -= 1
    }
    if !rest.isEmpty { states[index].left = 0 }
    var certain = rest
    var held = 0
    while held < stop, certain.count >= content.count, certain.suffix(content.count).elementsEqual(content) {
      certain = certain.dropLast(content.count)
      held += 1
    }
    states[index].held = Array(rest[certain.endIndex...])
    return Array(certain)
  }
}
