import Core
import Weights

/// `adapter_config.json` as PEFT 0.21 needs it.
struct PEFTConfiguration: Encodable {
  var configuration: LoRAConfiguration
  var targets: [String]
  var fanInFanOut: Bool
  /// What PEFT calls the embedding.
  var embedding: String
  var baseModel: String?

  init(_ configuration: LoRAConfiguration, _ decoder: Decoder, baseModel: String?) {
    self.configuration = configuration
    self.baseModel = baseModel
    embedding = decoder.configuration.moduleName(of: .embedding)
    // "all-linear" would make PEFT choose by itself, so the modules are written out.
    let modules = Set(decoder.linears.map(\.module))
    let named = configuration.targets.filter { $0 != LoRAConfiguration.allLinear }
    targets = named.count == configuration.targets.count ? Array(Set(named)).sorted() : modules.sorted()
    fanInFanOut = decoder.isFanInFanOut
  }

  private enum Key: String, CodingKey {
    case alpha_pattern, base_model_name_or_path, bias, fan_in_fan_out, inference_mode, init_lora_weights
    case layers_pattern, layers_to_transform, lora_alpha, lora_dropout, modules_to_save, peft_type, peft_version, r
    case rank_pattern, revision, target_modules, task_type, trainable_token_indices, use_dora, use_rslora
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    let none: String? = nil
    try container.encode([String: Int](), forKey: .alpha_pattern)
    try container.encode(baseModel, forKey: .base_model_name_or_path)
    try container.encode("none", forKey: .bias)
    try container.encode(fanInFanOut, forKey: .fan_in_fan_out)
    try container.encode(true, forKey: .inference_mode)
    try container.encode(true, forKey: .init_lora_weights)
    try container.encode(none, forKey: .layers_pattern)
    try container.encode(configuration.layers, forKey: .layers_to_transform)
    if let whole = Int(exactly: configuration.alpha) {
      try container.encode(whole, forKey: .lora_alpha)
    } else {
      try container.encode(configuration.alpha, forKey: .lora_alpha)
    }
    try container.encode(configuration.dropout, forKey: .lora_dropout)
    try container.encode(configuration.savedModules, forKey: .modules_to_save)
    try container.encode("LORA", forKey: .peft_type)
    try container.encode("0.21.2", forKey: .peft_version)
    try container.encode(configuration.rank, forKey: .r)
    try container.encode([String: Int](), forKey: .rank_pattern)
    try container.encode(none, forKey: .revision)
    try container.encode(targets, forKey: .target_modules)
    try container.encode("CAUSAL_LM", forKey: .task_type)
    if let tokens = configuration.tokens {
      // A list is the embedding's.
      if tokens.count == 1, tokens[0].module == nil {
        try container.encode(tokens[0].tokens, forKey: .trainable_token_indices)
      } else {
        let named = tokens.map { ($0.module ?? embedding, $0.tokens) }
        try container.encode(Dictionary(named) { first, _ in first }, forKey: .trainable_token_indices)
      }
    }
    try container.encode(false, forKey: .use_dora)
    try container.encode(configuration.rankStabilized, forKey: .use_rslora)
  }
}
