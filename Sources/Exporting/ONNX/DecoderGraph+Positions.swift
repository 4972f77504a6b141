import ONNX
import Weights

/// Positions, rotations, and which keys a query sees. B batch, S tokens given, T keys, D head width.
extension DecoderGraph {
  /// Cosines and sines [B, 1, S, pairs] of what a position turns by.
  struct Turn {
    var cosines: GraphValue
    var sines: GraphValue
  }

  /// What queries and keys of a rotation turn by.
  mutating func turn(_ rotary: Int) -> Turn {
    if let known = turns[rotary] { return known }
    let scope = builder.scope
    defer { builder.scope = scope }
    builder.scope = "rotary.\(rotary)"
    let made = turn(by: frequencies(rotary), amplitude: Float(configuration.rotaries[rotary].amplitude))
    turns[rotary] = made
    return made
  }

  /// Radians a position, one for each pair: [pairs], or [B, 1, pairs] where each sequence's length chooses them.
  private mutating func frequencies(_ rotary: Int) -> GraphValue {
    let description = configuration.rotaries[rotary]
    let short = builder.constant("rotary.\(rotary).frequencies", description.frequencies)
    guard let limit = configuration.shortLength, let frequencies = description.longFrequencies else { return short }
    let long = builder.constant("rotary.\(rotary).long_frequencies", frequencies)
    let isLong = builder.isGreater(builder.rowSums(of: inputs.mask), than: builder.constant(limit))
    return builder.choice(builder.expanded(isLong, at: [2]), long, else: short)
  }

  private mutating func turn(by frequencies: GraphValue, amplitude: Float) -> Turn {
    let column = builder.expanded(builder.converted(inputs.positions, to: .float32), at: [2])
    let radians = builder.expanded(builder.product(column, frequencies), at: [1])
    let cosines = builder.scaled(builder.add("Cos", [radians]), by: amplitude)
    return Turn(cosines: cosines, sines: builder.scaled(builder.add("Sin", [radians]), by: amplitude))
  }

  /// Heads x[B, ·, ·, D] whose dimensions i and i + pairs turn together; those after them pass through.
  mutating func rotated(_ x: GraphValue, _ rotary: Int) -> GraphValue {
    let turn = turn(rotary)
    let (width, pairs) = (configuration.headWidth, configuration.rotaries[rotary].width / 2)
    let rest = width - 2 * pairs
    let parts = builder.split(x, [pairs, pairs] + (rest > 0 ? [rest] : []), axis: -1)
    let first = builder.difference(
      builder.product(parts[0], turn.cosines), builder.product(parts[1], turn.sines))
    let second = builder.sum(builder.product(parts[1], turn.cosines), builder.product(parts[0], turn.sines))
    return builder.concatenated([first, second] + parts.dropFirst(2), axis: -1)
  }

  /// Which keys each query sees, [B, 1, S, T]: those at or before it that are not padding, and of them the last `window`.
  mutating func visible(window: Int?) -> GraphValue {
    if let known = visibility[window ?? 0] { return known }
    let scope = builder.scope
    defer { builder.scope = scope }
    builder.scope = "mask"
    let made: GraphValue
    if let window {
      let all = visible(window: nil)
      builder.scope = "mask"
      let first = builder.difference(inputs.queryPlaces, builder.constant(window))
      made = builder.both(all, builder.isGreater(inputs.keyPlaces, than: first))
    } else {
      let causal = builder.isAtMost(inputs.keyPlaces, inputs.queryPlaces)
      made = builder.both(builder.expanded(builder.isNonzero(inputs.mask), at: [1, 2]), causal)
    }
    visibility[window ?? 0] = made
    return made
  }
}
