import Core

/// Gemma 1, 2 and 3 (text): norms of 1 + w, embeddings scaled by √width, a GELU-gated MLP; from 2 on norms after each branch
/// too, a scale of its own and sliding layers; 2 caps scores and logits, 3 norms queries and keys (transformers'
/// GemmaForCausalLM, Gemma2ForCausalLM, Gemma3ForCausalLM).
enum Gemma: Family {
  static let headName = Llama.headName

  static func configuration(
    _ architecture: Architecture, _ reader: ConfigurationReader
  ) throws -> ModelConfiguration {
    let isThird = architecture == .gemma3Text || architecture == .gemma3
    let key = reader.value("hidden_activation") != nil || architecture != .gemma ? "hidden_activation" : "hidden_act"
    var configuration = try Llama.base(
      architecture, withTanhForm(reader, key), defaultTheta: 1e4, activationKey: key, defaultHeadWidth: 256,
      rotaries: isThird ? { try rotaries(reader, architecture, headWidth: $0) } : nil)
    configuration.norm = .rms(unitOffset: true)
    configuration.tiedHead = try reader.bool("tie_word_embeddings", default: true)
    configuration.embeddingScale = Double(Float(configuration.width).squareRoot())
    try Llama.useBiases(&configuration, reader)
    guard architecture != .gemma else { return configuration }

    configuration.normsOutputs = true
    let scalar = try reader.number("query_pre_attn_scalar", default: 256, in: 1e-6...1e6)
    configuration.attentionScale = Float(1 / scalar.squareRoot())
    if isThird {
      configuration.headNorm = .perHead
      try refuseCaps(reader)
    } else {
      configuration.scoreCap = try cap("attn_logit_softcapping", default: 50, reader)
      configuration.logitCap = try cap("final_logit_softcapping", default: 30, reader)
    }
    try setLayers(&configuration, reader, isThird: isThird)
    return configuration
  }

  /// A key that is absent has the family's default; null is no cap.
  private static func cap(_ key: String, default standard: Double, _ reader: ConfigurationReader) throws -> Double? {
    reader.object[key] == nil ? standard : try reader.number(key, in: 1e-6...1e9)
  }

  private static func refuseCaps(_ reader: ConfigurationReader) throws {
    for key in ["attn_logit_softcapping", "final_logit_softcapping"] where reader.value(key) != nil {
      throw reader.failure(key, "is set, which this family does not support")
    }
  }

  /// Gemma 1 files that say `gelu` mean its tanh form, as transformers has it; and where nothing is said, that form stands.
  private static func withTanhForm(_ reader: ConfigurationReader, _ key: String) throws -> ConfigurationReader {
    let given = try reader.string(key)
    guard given == nil || given == "gelu" else { return reader }
    var copy = reader
    copy.object.members.removeAll { $0.key == key }
    copy.object.members.append((key, .string("gelu_pytorch_tanh")))
    return copy
  }

  /// Sliding and full layers; in Gemma 3 they rotate differently.
  private static func setLayers(
    _ configuration: inout ModelConfiguration, _ reader: ConfigurationReader, isThird: Bool
  ) throws {
    let pattern =
      try reader.integer("sliding_window_pattern", in: 1...10_000)
      ?? reader.integer("_sliding_window_pattern", in: 1...10_000) ?? 6
    let sliding = try Llama.slidingLayers(configuration.layers, reader) { layer in
      isThird ? (layer + 1) % pattern != 0 : layer % 2 == 0
    }
    let window = try Llama.window(reader, default: 4096)
    for layer in configuration.blocks.indices where sliding[layer] {
      configuration.blocks[layer].window = window
      if isThird { configuration.blocks[layer].rotary = 1 }
    }
  }

  /// Of full and of sliding layers.
  private static func rotaries(
    _ reader: ConfigurationReader, _ architecture: Architecture, headWidth: Int
  ) throws -> [RotaryConfiguration] {
    let rotary = RotaryReader(reader: reader, architecture: architecture, headWidth: headWidth)
    if let both = try rotary.byLayerType(full: 1e6, sliding: 1e4) { return both }
    let local = try reader.number("rope_local_base_freq", default: 1e4, in: 1...1e12)
    return [try rotary.read(defaultTheta: 1e6), RotaryConfiguration(width: headWidth, theta: local)]
  }

  static func tensors(_ configuration: ModelConfiguration) -> [TensorSpecification] {
    Llama.tensors(configuration, names(configuration), headName: headName)
  }

  static func names(_ configuration: ModelConfiguration) -> BlockNames {
    var names = BlockNames()
    if configuration.normsOutputs {
      names.norms = [
        .attentionInput: "input_layernorm", .attentionOutput: "post_attention_layernorm",
        .mlpInput: "pre_feedforward_layernorm", .mlpOutput: "post_feedforward_layernorm",
      ]
    }
    return names
  }

  static func storedName(_ stored: String) -> StoredName { Llama.storedName(stored) }
}

/// Gemma 3 with vision: its language model, found in `text_config`; the vision tower and its projector are left alone.
enum Gemma3Multimodal: Family {
  static let headName = Llama.headName
  private static let prefix = "model.language_model."

  static func configuration(
    _ architecture: Architecture, _ reader: ConfigurationReader
  ) throws -> ModelConfiguration {
    guard var text = try reader.nested("text_config") else { throw reader.failure("text_config", "is missing") }
    // A sparse text_config leaves out what is transformers' default of Gemma3TextConfig.
    let defaults: [(String, Int)] = [
      ("vocab_size", 262_208), ("num_attention_heads", 8), ("num_key_value_heads", 4), ("head_dim", 256),
      ("max_position_embeddings", 131_072),
    ]
    for (key, value) in defaults where text.value(key) == nil {
      text.object.members.removeAll { $0.key == key }
      text.object.members.append((key, .integer(value)))
    }
    var configuration = try Gemma.configuration(architecture, text)
    if let tokens = try? reader.tokens("eos_token_id", limit: configuration.vocabularySize), !tokens.isEmpty {
      configuration.endTokens = tokens
    }
    configuration.quantizationMethod = try reader.quantizationMethod()
    return configuration
  }

  static func tensors(_ configuration: ModelConfiguration) -> [TensorSpecification] {
    var names = Gemma.names(configuration)
    names.prefix = prefix
    return Llama.tensors(configuration, names, headName: headName)
  }

  /// Files from before transformers 4.52 have `language_model.model.…`.
  static func storedName(_ stored: String) -> StoredName {
    for other in ["vision_tower.", "multi_modal_projector.", "model.vision_tower.", "model.multi_modal_projector."]
    where stored.hasPrefix(other) { return .otherPart }
    let old = "language_model."
    guard stored.hasPrefix(old) else { return Llama.storedName(stored) }
    let rest = stored.dropFirst(old.count)
    return .tensor(rest.hasPrefix("model.") ? prefix + rest.dropFirst("model.".count) : String(rest))
  }
}
