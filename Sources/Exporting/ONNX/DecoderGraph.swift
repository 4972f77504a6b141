import Core
import ONNX
import Weights

/// A decoder as an ONNX graph: what `Decoder` computes, in the same order of operations and by the same facts of the
/// `ModelConfiguration`.
///
/// B batch, S tokens given, P tokens in the cache, T = P + S, N = B · S rows, C width, H query heads, K key heads, D head width.
/// The residual stream is [N, C].
///
/// Attention sees tokens whose `attention_mask` [B, T] is not 0, so that padding on either side changes nothing; a token's
/// position is the number of those before it.
struct DecoderGraph {
  let configuration: ModelConfiguration
  /// With inputs of keys and values that are there already; there may be none of them (P = 0).
  let isCached: Bool
  var builder: GraphBuilder
  let weights: [TensorKey: GraphValue]
  let head: GraphValue
  /// Of the blocks' linears.
  let orientation: Orientation
  let inputs: Inputs
  /// Of each layer, [B, K, P, D]; none without a cache.
  let past: [CachedPair]
  var present: [CachedPair] = []
  /// Rotations by number, each worked out at its first use.
  var turns: [Int: Turn] = [:]
  /// [B, 1, S, T] by window; 0 for none.
  var visibility: [Int: GraphValue] = [:]

  struct TensorKey: Hashable {
    var role: TensorRole
    var layer: Int?
  }

  struct Inputs {
    /// input_ids [B, S].
    var tokens: GraphValue
    /// attention_mask [B, T].
    var mask: GraphValue
    /// [B, S]: of the tokens.
    var positions: GraphValue
    /// [B, S] as a shape.
    var shape: GraphValue
    /// The places of queries [S, 1] and keys [T] among the T tokens.
    var queryPlaces: GraphValue
    var keyPlaces: GraphValue
  }

  /// Keys and values of a layer.
  struct CachedPair {
    var keys: GraphValue
    var values: GraphValue
  }

  /// The names and sizes that optimum and transformers.js know: `input_ids` and `attention_mask` to `logits`; with a cache
  /// also `position_ids`, and `past_key_values.L.key` and `.value` to `present.L.key` and `.value`.
  ///
  /// `hasOwnHead`: the head has a matrix of its own, though the configuration may say that it is tied.
  static func graph(_ configuration: ModelConfiguration, isCached: Bool, hasOwnHead: Bool) -> Graph {
    var graph = DecoderGraph(configuration, isCached: isCached, hasOwnHead: hasOwnHead)
    graph.addDecoder()
    return graph.builder.build()
  }

  private init(_ configuration: ModelConfiguration, isCached: Bool, hasOwnHead: Bool) {
    var builder = GraphBuilder(name: configuration.architecture.rawValue)
    (inputs, past) = Self.inputs(configuration, isCached: isCached, &builder)
    var weights: [TensorKey: GraphValue] = [:]
    for tensor in configuration.expectedTensors {
      weights[TensorKey(role: tensor.role, layer: tensor.layer)] = builder.weight(tensor.name, tensor.shape)
    }
    if configuration.tiedHead, !hasOwnHead, let table = weights[TensorKey(role: .tokenEmbedding)] {
      head = table
    } else {
      head =
        weights[TensorKey(role: .head)] ?? builder.weight(configuration.headName, configuration.embedding.shape)
    }
    orientation = configuration.linears.first?.orientation ?? .outputsByInputs
    (self.configuration, self.isCached, self.builder, self.weights) = (configuration, isCached, builder, weights)
  }

  func weight(_ role: TensorRole, _ layer: Int? = nil) -> GraphValue {
    guard let weight = weights[TensorKey(role: role, layer: layer)] else {
      preconditionFailure("the model has no tensor for \(role)")
    }
    return weight
  }

  private mutating func addDecoder() {
    var x = embedded()
    for layer in configuration.blocks.indices {
      builder.scope = "layers.\(layer)/attention"
      x = branch(x, layer, .attentionInput, .attentionOutput) { $0.attention($1, layer) }
      builder.scope = "layers.\(layer)/mlp"
      x = branch(x, layer, .mlpInput, .mlpOutput) { $0.mlp($1, layer) }
    }
    builder.scope = "head"
    x = builder.scaled(norm(x, .finalNorm(.weight), .finalNorm(.bias)), by: Float(configuration.logitScale))
    var logits = builder.linear(x, head, transposed: true, bias: nil)
    if let cap = configuration.logitCap { logits = builder.softCapped(logits, at: Float(cap)) }
    let shape = builder.concatenated([inputs.shape, builder.constant([configuration.vocabularySize])], axis: 0)
    logits = builder.add("Reshape", [logits, shape], name: "logits")
    builder.output(logits, .float32, [.batch, .sequence, .size(configuration.vocabularySize)])
    addPresentOutputs()
  }

  /// [N, C].
  private mutating func embedded() -> GraphValue {
    builder.scope = "embedding"
    let tokens = builder.reshaped(inputs.tokens, [-1])
    let words = builder.rows(of: weight(.tokenEmbedding), tokens)
    let x = builder.scaled(words, by: Float(configuration.embeddingScale))
    guard configuration.learnedPositions else { return x }
    let positions = builder.reshaped(inputs.positions, [-1])
    return builder.sum(x, builder.rows(of: weight(.positionEmbedding), positions))
  }

  /// x + scale · after(f(before(x))).
  private mutating func branch(
    _ x: GraphValue, _ layer: Int, _ before: TensorRole.BlockNorm, _ after: TensorRole.BlockNorm,
    _ body: (inout DecoderGraph, GraphValue) -> GraphValue
  ) -> GraphValue {
    var added = x
    if configuration.normsInputs { added = norm(added, .norm(before, .weight), .norm(before, .bias), layer) }
    added = body(&self, added)
    if configuration.normsOutputs { added = norm(added, .norm(after, .weight), .norm(after, .bias), layer) }
    return builder.sum(x, builder.scaled(added, by: Float(configuration.residualScale)))
  }
}
