import Core

/// EXAONE 3.0 and 3.5: Llama under other names.
enum EXAONE: Family {
  static let headName = Llama.headName

  static func configuration(
    _ architecture: Architecture, _ reader: ConfigurationReader
  ) throws -> ModelConfiguration {
    let layers = reader.value("num_layers") != nil ? "num_layers" : "num_hidden_layers"
    return try Llama.base(
      architecture, reader, defaultTheta: 5e5, epsilon: "layer_norm_epsilon", layersKey: layers,
      activationKey: "activation_function")
  }

  static func tensors(_ configuration: ModelConfiguration) -> [TensorSpecification] {
    var names = BlockNames()
    (names.prefix, names.embedding, names.block, names.finalNorm) = ("transformer.", "wte", "h", "ln_f")
    names.norms = [.attentionInput: "ln_1", .mlpInput: "ln_2"]
    names.linears = [
      .query: "attn.attention.q_proj", .key: "attn.attention.k_proj", .value: "attn.attention.v_proj",
      .attentionOutput: "attn.attention.out_proj", .gate: "mlp.c_fc_0", .up: "mlp.c_fc_1", .mlpOutput: "mlp.c_proj",
    ]
    return Llama.tensors(configuration, names, headName: headName)
  }

  static func storedName(_ stored: String) -> StoredName {
    let isBuffer = stored.hasSuffix(".rotary.inv_freq") || stored.hasSuffix(".rotary_emb.inv_freq")
    return isBuffer ? .buffer : .tensor(stored)
  }
}

/// EXAONE 4: norms after the branches only, as OLMo 2; each head's queries and keys normed, as Qwen 3; where there is a window,
/// only its layers rotate.
enum EXAONE4: Family {
  static let headName = Llama.headName

  static func configuration(
    _ architecture: Architecture, _ reader: ConfigurationReader
  ) throws -> ModelConfiguration {
    var configuration = try Llama.base(architecture, reader, defaultTheta: 1e4)
    configuration.headNorm = .perHead
    (configuration.normsInputs, configuration.normsOutputs) = (false, true)
    guard let window = try Llama.window(reader, default: 4096) else { return configuration }
    let pattern = try pattern(reader, layers: configuration.layers)
    let sliding = try Llama.slidingLayers(configuration.layers, reader) { pattern[$0] }
    for layer in configuration.blocks.indices {
      if sliding[layer] {
        configuration.blocks[layer].window = window
      } else {
        configuration.blocks[layer].rotary = nil
      }
    }
    return configuration
  }

  /// `sliding_window_pattern`: every how many layers one is full, or a text such as LLLG.
  private static func pattern(_ reader: ConfigurationReader, layers: Int) throws -> [Bool] {
    if case .string(let text)? = reader.value("sliding_window_pattern") {
      guard !text.isEmpty, text.allSatisfy({ "LG".contains($0) }) else {
        throw reader.failure("sliding_window_pattern", "is \(quoted(text)), expected letters L and G")
      }
      let letters = Array(text)
      return (0..<layers).map { $0 == layers - 1 ? false : letters[$0 % letters.count] == "L" }
    }
    let interval = try reader.integer("sliding_window_pattern", in: 1...10_000) ?? 4
    return (0..<layers).map { ($0 + 1) % interval != 0 }
  }

  static func tensors(_ configuration: ModelConfiguration) -> [TensorSpecification] { Llama.tensors(configuration) }
  static func storedName(_ stored: String) -> StoredName { Llama.storedName(stored) }
}
