import ONNX
import Weights

extension GraphDimension {
  static let batch = named("batch")
  static let sequence = named("sequence")
  static let past = named("past")
  static let total = named("total")
}

/// What goes into the graph, and the cache that comes out. B batch, S tokens given, P tokens in the cache, T = P + S.
extension DecoderGraph {
  static func inputs(
    _ configuration: ModelConfiguration, isCached: Bool, _ builder: inout GraphBuilder
  ) -> (Inputs, past: [CachedPair]) {
    let tokens = builder.input("input_ids", .int64, [.batch, .sequence])
    let mask = builder.input("attention_mask", .int64, [.batch, isCached ? .total : .sequence])
    let given = isCached ? builder.input("position_ids", .int64, [.batch, .sequence]) : nil
    let past = isCached ? configuration.blocks.indices.map { pair(configuration, $0, &builder) } : []
    builder.scope = "inputs"
    let positions = given ?? positions(of: mask, &builder)
    let (total, zero) = (builder.size(of: mask, axis: 1), builder.constant(0))
    let keyPlaces = builder.range(from: zero, to: total)
    var queryPlaces = keyPlaces
    if isCached {
      let first = builder.difference(total, builder.size(of: tokens, axis: 1))
      queryPlaces = builder.range(from: first, to: total)
    }
    let checked =
      isCached
      ? checked(tokens, mask, places: queryPlaces, configuration, &builder) : tokens
    let inputs = Inputs(
      tokens: checked, mask: mask, positions: positions, shape: builder.add("Shape", [tokens]),
      queryPlaces: builder.expanded(queryPlaces, at: [1]), keyPlaces: keyPlaces)
    return (inputs, past)
  }

  /// How many tokens that are not padding stand before each: [B, T]. Padding before all of them is at 0.
  static func positions(of mask: GraphValue, _ builder: inout GraphBuilder) -> GraphValue {
    let counts = builder.add("CumSum", [mask, builder.constant(1)])
    return builder.add("Max", [builder.difference(counts, builder.constant(1)), builder.constant(0)])
  }

  /// The tokens, or, where a sequence grows beyond what keys and values in the cache were computed for, an error when the
  /// graph is run: longer sequences are computed otherwise from their first token on.
  ///
  /// No operator says so: a shape that cannot be had is asked for, by a node whose name does.
  private static func checked(
    _ tokens: GraphValue, _ mask: GraphValue, places: GraphValue, _ configuration: ModelConfiguration,
    _ builder: inout GraphBuilder
  ) -> GraphValue {
    guard let shortLength = configuration.shortLength else { return tokens }
    let limit = builder.constant(shortLength)
    let length = builder.rowSums(of: mask)
    let given = builder.rowSums(of: builder.add("Gather", [mask, places], ["axis": .int(1)]))
    let before = builder.difference(length, given)
    let wasShort = builder.both(
      builder.isGreater(before, than: builder.constant(0)), builder.isAtMost(before, limit))
    let isCrossed = builder.both(wasShort, builder.isGreater(length, than: limit))
    let count = builder.add("ReduceMax", [builder.converted(isCrossed, to: .int64)], ["keepdims": .int(0)])
    let extra = builder.concatenated([builder.constant([0]), builder.expanded(count, at: [0])], axis: 0)
    let shape = builder.sum(builder.add("Shape", [tokens]), extra)
    return builder.add(
      "Reshape", [tokens, shape],
      label: "start_over_with_an_empty_cache_where_a_sequence_grows_beyond_\(shortLength)_tokens")
  }

  private static func pair(
    _ configuration: ModelConfiguration, _ layer: Int, _ builder: inout GraphBuilder
  ) -> CachedPair {
    let shape = cacheShape(configuration, .past)
    return CachedPair(
      keys: builder.input("past_key_values.\(layer).key", .float32, shape),
      values: builder.input("past_key_values.\(layer).value", .float32, shape))
  }

  private static func cacheShape(_ configuration: ModelConfiguration, _ length: GraphDimension) -> [GraphDimension] {
    [.batch, .size(configuration.keyValueHeads), length, .size(configuration.headWidth)]
  }

  /// Keys and values [B, K, S, D] behind those that are there, [B, K, T, D]; they become outputs.
  mutating func cached(
    _ keys: GraphValue, _ values: GraphValue, _ layer: Int
  ) -> (keys: GraphValue, values: GraphValue) {
    let pair = CachedPair(
      keys: builder.concatenated([past[layer].keys, keys], axis: 2, name: "present.\(layer).key"),
      values: builder.concatenated([past[layer].values, values], axis: 2, name: "present.\(layer).value"))
    present.append(pair)
    return (pair.keys, pair.values)
  }

  /// After the logits, which come first.
  mutating func addPresentOutputs() {
    let shape = Self.cacheShape(configuration, .total)
    for value in present.flatMap({ [$0.keys, $0.values] }) { builder.output(value, .float32, shape) }
  }
}
