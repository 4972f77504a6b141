import ONNX
import Weights

/// Attention. B batch, S tokens given, T keys, N = B · S rows, H query heads and K key heads of width D.
extension DecoderGraph {
  /// [N, C] to [N, C].
  mutating func attention(_ x: GraphValue, _ layer: Int) -> GraphValue {
    var (queries, keys, values) = projected(x, layer)
    if let rotary = configuration.blocks[layer].rotary {
      (queries, keys) = (rotated(queries, rotary), rotated(keys, rotary))
    }
    if isCached { (keys, values) = cached(keys, values, layer) }
    let attended = attended(queries, keys, values, window: configuration.blocks[layer].window)
    let rows = builder.reshaped(builder.transposed(attended, [0, 2, 1, 3]), [-1, configuration.queryWidth])
    return linear(rows, .attentionOutput, layer)
  }

  /// Queries [B, H, S, D], keys and values [B, K, S, D], normed where the model does that.
  private mutating func projected(
    _ x: GraphValue, _ layer: Int
  ) -> (queries: GraphValue, keys: GraphValue, values: GraphValue) {
    let (wide, narrow) = (configuration.queryWidth, configuration.keyValueWidth)
    let rows =
      configuration.fusedProjections
      ? builder.split(linear(x, .queryKeyValue, layer), [wide, narrow, narrow], axis: -1)
      : [linear(x, .query, layer), linear(x, .key, layer), linear(x, .value, layer)]
    let queries = heads(rows[0], configuration.heads, norm: .query, layer)
    let keys = heads(rows[1], configuration.keyValueHeads, norm: .key, layer)
    return (queries, keys, heads(rows[2], configuration.keyValueHeads, norm: nil, layer))
  }

  /// [N, count · D] to [B, count, S, D].
  private mutating func heads(
    _ rows: GraphValue, _ count: Int, norm: TensorRole.BlockNorm?, _ layer: Int
  ) -> GraphValue {
    var rows = rows
    let form = norm == nil ? nil : configuration.headNorm
    if let norm, form == .whole { rows = rmsNorm(rows, weight(.norm(norm, .weight), layer)) }
    let sizes = builder.constant([count, configuration.headWidth])
    let shape = builder.concatenated([inputs.shape, sizes], axis: 0)
    var heads = builder.reshaped(rows, to: shape)
    if let norm, form == .perHead { heads = rmsNorm(heads, weight(.norm(norm, .weight), layer)) }
    return builder.transposed(heads, [0, 2, 1, 3])
  }

  /// [B, H, S, D] from queries [B, H, S, D], keys and values [B, K, T, D]. Query heads that share a key head lie behind each
  /// other in one matrix, so that no key is copied for each of them.
  private mutating func attended(
    _ queries: GraphValue, _ keys: GraphValue, _ values: GraphValue, window: Int?
  ) -> GraphValue {
    let scaled = builder.scaled(queries, by: configuration.attentionScale)
    let products = builder.matrixProduct(
      withHeads(configuration.keyValueHeads, scaled), builder.transposed(keys, [0, 1, 3, 2]))
    var scores = withHeads(configuration.heads, products)
    if let cap = configuration.scoreCap { scores = builder.softCapped(scores, at: Float(cap)) }
    // Not -∞: a row of padding that sees nothing must not become NaN.
    let hidden = builder.constant(-Float.greatestFiniteMagnitude)
    scores = builder.choice(visible(window: window), scores, else: hidden)
    let shares = withHeads(configuration.keyValueHeads, builder.softmax(scores))
    return withHeads(configuration.heads, builder.matrixProduct(shares, values))
  }

  /// [B, H, S, ·] as [B, K, H / K · S, ·], or back.
  private mutating func withHeads(_ count: Int, _ x: GraphValue) -> GraphValue {
    configuration.keyValueHeads == configuration.heads ? x : builder.reshaped(x, [0, count, -1, 0])
  }
}
