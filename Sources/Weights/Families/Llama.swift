import Core
import JSON

/// Llama and the families that differ from it by a few keys: pre-norm RMS blocks, separate projections stored [out, in],
/// rotary positions, a gated MLP (transformers' LlamaForCausalLM, and Mistral, Qwen 2 and 3, SmolLM3, OLMo 2, Granite and
/// HyperCLOVA X).
enum Llama: Family {
  static let headName = "lm_head.weight"

  static func configuration(
    _ architecture: Architecture, _ reader: ConfigurationReader
  ) throws -> ModelConfiguration {
    var configuration = try base(architecture, reader, defaultTheta: architecture == .smollm3 ? 2e6 : 1e4)
    switch architecture {
    case .llama:
      try useBiases(&configuration, reader)
    case .mistral:
      let window = try window(reader, default: 4096)
      setWindow(&configuration, window) { _ in true }
    case .qwen2, .qwen3:
      configuration.projectionBiases = architecture == .qwen2
      if architecture == .qwen3 {
        configuration.headNorm = .perHead
        try useBiases(&configuration, reader)
      }
      try setQwenWindow(&configuration, reader)
    case .smollm3:
      try useBiases(&configuration, reader)
      try dropRotaries(&configuration, reader)
      try setQwenWindow(&configuration, reader)
    case .olmo2:
      configuration.headNorm = .whole
      (configuration.normsInputs, configuration.normsOutputs) = (false, true)
      try useBiases(&configuration, reader)
    case .granite, .hyperclovax:
      try useBiases(&configuration, reader)
      try useMultipliers(&configuration, reader)
    default: preconditionFailure("\(architecture) is not one of these families")
    }
    return configuration
  }

  /// What all decoders of this kind share; the names of the keys are Llama's. `headWidth` stands where the config says nothing.
  static func base(
    _ architecture: Architecture, _ reader: ConfigurationReader, defaultTheta: Double, epsilon: String = "rms_norm_eps",
    layersKey: String = "num_hidden_layers", activationKey: String = "hidden_act", defaultHeadWidth: Int? = nil,
    rotaries: ((_ headWidth: Int) throws -> [RotaryConfiguration])? = nil
  ) throws -> ModelConfiguration {
    let width = try reader.size("hidden_size", limit: 1 << 20)
    let heads = try reader.size("num_attention_heads", limit: 1 << 16)
    let standardEpsilon = [.phi3, .olmo2, .exaone4, .exaone].contains(architecture) ? 1e-5 : 1e-6
    let headWidth = try headWidth(architecture, reader, width: width, heads: heads, default: defaultHeadWidth)
    let vocabulary = try reader.size("vocab_size", limit: 1 << 24)
    let rotary = RotaryReader(reader: reader, architecture: architecture, headWidth: headWidth)
    let context = try reader.size("max_position_embeddings", limit: 1 << 30)
    let found = try rotaries?(headWidth) ?? [rotary.read(defaultTheta: defaultTheta)]
    let layers = try reader.size(layersKey, limit: 10_000)
    try reader.refuse(true: "use_bidirectional_attention", "add_cross_attention", "is_encoder_decoder")
    return ModelConfiguration(
      architecture: architecture, vocabularySize: vocabulary,
      contextLength: context, width: width, heads: heads,
      keyValueHeads: try reader.integer("num_key_value_heads", in: 1...1 << 16) ?? heads, headWidth: headWidth,
      mlpWidth: try reader.size("intermediate_size", limit: 1 << 22), norm: .rms(unitOffset: false),
      normEpsilon: Float(try reader.number(epsilon, default: standardEpsilon, in: 1e-12...1)), learnedPositions: false,
      rotaries: found, blocks: Array(repeating: ModelConfiguration.Layer(rotary: 0), count: layers),
      fusedProjections: false, headNorm: nil, normsInputs: true, normsOutputs: false, gatedMLP: true,
      activation: try activation(reader, activationKey, architecture), projectionBiases: false,
      attentionOutputBias: false, mlpBiases: false,
      tiedHead: try reader.bool("tie_word_embeddings", default: architecture == .smollm3),
      embeddingScale: 1, residualScale: 1, logitScale: 1,
      attentionScale: Float(1 / Double(headWidth).squareRoot()), scoreCap: nil, logitCap: nil,
      initializerRange: try reader.number("initializer_range", default: 0.02, in: 0...100),
      scalesInitialOutputs: false, dropout: ModelConfiguration.Dropout(coversStream: false),
      endTokens: try reader.tokens("eos_token_id", limit: vocabulary),
      quantizationMethod: try reader.quantizationMethod())
  }

  /// Half-split rotation takes an even number of dimensions.
  private static func headWidth(
    _ architecture: Architecture, _ reader: ConfigurationReader, width: Int, heads: Int, default standard: Int?
  ) throws -> Int {
    // Qwen 3 has a default of its own; OLMo 2 knows no such key.
    let standard = standard ?? (architecture == .qwen3 ? 128 : nil)
    let given = architecture == .olmo2 ? nil : try reader.integer("head_dim", in: 1...1 << 16)
    guard let headWidth = given ?? standard ?? (width % heads == 0 ? width / heads : nil) else {
      throw reader.failure(
        "num_attention_heads", "is \(heads), which does not divide hidden_size \(width), and there is no head_dim")
    }
    guard headWidth % 2 == 0 else {
      throw reader.failure("head_dim", "is \(headWidth), which cannot be rotated: it is odd")
    }
    return headWidth
  }

  private static func activation(
    _ reader: ConfigurationReader, _ key: String, _ architecture: Architecture
  ) throws -> ModelConfiguration.Activation {
    switch try reader.string(key) ?? "silu" {
    case "silu", "swish": return .silu
    case "gelu_pytorch_tanh", "gelu_new": return .geluTanh
    case "gelu": return .gelu
    case let other:
      throw reader.failure(key, "is \(quoted(other)); supported: silu, gelu, gelu_pytorch_tanh, gelu_new")
    }
  }

  static func useBiases(_ configuration: inout ModelConfiguration, _ reader: ConfigurationReader) throws {
    let attention = try reader.bool("attention_bias", default: false)
    (configuration.projectionBiases, configuration.attentionOutputBias) = (attention, attention)
    configuration.mlpBiases = try reader.bool("mlp_bias", default: false)
  }

  // MARK: - Windows

  /// `sliding_window`: `standard` where the key is absent, nil for null.
  static func window(_ reader: ConfigurationReader, default standard: Int?) throws -> Int? {
    guard reader.object["sliding_window"] != nil else { return standard }
    return try reader.integer("sliding_window", in: 1...1 << 30)
  }

  /// The layers that `layer_types` calls sliding, else those that `isSliding` holds for.
  static func slidingLayers(
    _ count: Int, _ reader: ConfigurationReader, _ isSliding: (Int) throws -> Bool
  ) throws -> [Bool] {
    guard let types = try reader.strings("layer_types") else { return try (0..<count).map(isSliding) }
    try reader.check("layer_types", has: types.count, forLayers: count)
    return try types.map { type in
      guard ["sliding_attention", "full_attention"].contains(type) else {
        throw reader.failure("layer_types", "holds \(quoted(type)), which is not supported")
      }
      return type == "sliding_attention"
    }
  }

  static func setWindow(
    _ configuration: inout ModelConfiguration, _ window: Int?, _ isSliding: (Int) throws -> Bool
  ) rethrows {
    for layer in configuration.blocks.indices where try isSliding(layer) { configuration.blocks[layer].window = window }
  }

  /// Only where `use_sliding_window` is true, and then from `max_window_layers` on.
  private static func setQwenWindow(
    _ configuration: inout ModelConfiguration, _ reader: ConfigurationReader
  ) throws {
    let isUsed = try reader.bool("use_sliding_window", default: false)
    let first = try reader.integer("max_window_layers", in: 0...10_000) ?? 28
    let sliding = try slidingLayers(configuration.layers, reader) { isUsed && $0 >= first }
    guard isUsed else {
      if sliding.contains(true) {
        throw reader.failure("layer_types", "names sliding layers although use_sliding_window is not true")
      }
      return
    }
    let window = try window(reader, default: 4096)
    setWindow(&configuration, window) { sliding[$0] }
  }

  /// SmolLM3: layers without rotation, by list or by interval.
  private static func dropRotaries(_ configuration: inout ModelConfiguration, _ reader: ConfigurationReader) throws {
    let interval = try reader.integer("no_rope_layer_interval", in: 1...10_000) ?? 4
    let count = configuration.layers
    var rotates = (0..<count).map { ($0 + 1) % interval != 0 }
    if reader.value("no_rope_layers") != nil {
      rotates = try reader.numbers("no_rope_layers", in: 0...1).map { $0 != 0 }
      try reader.check("no_rope_layers", has: rotates.count, forLayers: count)
    }
    for layer in 0..<count where !rotates[layer] { configuration.blocks[layer].rotary = nil }
  }

  /// Granite's and HyperCLOVA X's factors.
  private static func useMultipliers(_ configuration: inout ModelConfiguration, _ reader: ConfigurationReader) throws {
    let bounds = 1e-9...1e9
    configuration.embeddingScale = try reader.number("embedding_multiplier", default: 1, in: bounds)
    configuration.residualScale = try reader.number("residual_multiplier", default: 1, in: bounds)
    let scaling = try reader.number("logits_scaling", default: 1, in: bounds)
    if configuration.architecture == .granite {
      configuration.attentionScale = Float(try reader.number("attention_multiplier", default: 1, in: bounds))
      configuration.logitScale = 1 / scaling
    } else {
      if let scale = try reader.number("attention_multiplier", in: bounds) {
        configuration.attentionScale = Float(scale)
      }
      configuration.logitScale = scaling
      configuration.normsOutputs = try reader.bool("use_post_norm", default: true)
    }
  }

  // MARK: - Tensors

  static func tensors(_ configuration: ModelConfiguration) -> [TensorSpecification] {
    tensors(configuration, names(configuration), headName: headName)
  }

  static func names(_ configuration: ModelConfiguration) -> BlockNames {
    var names = BlockNames()
    if !configuration.normsInputs {
      names.norms = [
        .attentionOutput: "post_attention_layernorm", .mlpOutput: "post_feedforward_layernorm",
      ]
    } else if configuration.normsOutputs {
      names.norms[.attentionOutput] = "post_norm1"
      names.norms[.mlpOutput] = "post_norm2"
    }
    return names
  }

  /// The tensors of a decoder under these names, in the order of the computation.
  static func tensors(
    _ configuration: ModelConfiguration, _ names: BlockNames, headName: String
  ) -> [TensorSpecification] {
    let width = configuration.width
    var tensors = [
      TensorSpecification(
        .tokenEmbedding, names.prefix + names.embedding + ".weight", [configuration.vocabularySize, width])
    ]
    for layer in 0..<configuration.layers {
      tensors += names.blockTensors(configuration, layer: layer)
    }
    tensors.append(TensorSpecification(.finalNorm(.weight), names.prefix + names.finalNorm + ".weight", [width]))
    if !configuration.tiedHead {
      tensors.append(TensorSpecification(.head, headName, [configuration.vocabularySize, width]))
    }
    return tensors
  }

  static func storedName(_ stored: String) -> StoredName {
    stored.hasSuffix(".rotary_emb.inv_freq") ? .buffer : .tensor(stored)
  }
}
