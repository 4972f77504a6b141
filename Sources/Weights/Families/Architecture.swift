/// The model families that are read, by Hugging Face's `model_type`.
public enum Architecture: String, Sendable, CaseIterable {
  case gpt2, llama, mistral, qwen2, qwen3, smollm3, olmo2, granite, hyperclovax, phi3, gemma, gemma2
  case gemma3Text = "gemma3_text"
  case gemma3, exaone, exaone4

  /// The one place that a family is chosen at.
  var family: any Family.Type {
    switch self {
    case .gpt2: GPT2.self
    case .llama, .mistral, .qwen2, .qwen3, .smollm3, .olmo2, .granite, .hyperclovax: Llama.self
    case .phi3: Phi3.self
    case .gemma, .gemma2, .gemma3Text: Gemma.self
    case .gemma3: Gemma3Multimodal.self
    case .exaone: EXAONE.self
    case .exaone4: EXAONE4.self
    }
  }

  /// transformers' class of the language model, for `architectures` of a new `config.json`.
  public var className: String {
    switch self {
    case .gpt2: "GPT2LMHeadModel"
    case .llama: "LlamaForCausalLM"
    case .mistral: "MistralForCausalLM"
    case .qwen2: "Qwen2ForCausalLM"
    case .qwen3: "Qwen3ForCausalLM"
    case .smollm3: "SmolLM3ForCausalLM"
    case .olmo2: "Olmo2ForCausalLM"
    case .granite: "GraniteForCausalLM"
    case .hyperclovax: "HyperCLOVAXForCausalLM"
    case .phi3: "Phi3ForCausalLM"
    case .gemma: "GemmaForCausalLM"
    case .gemma2: "Gemma2ForCausalLM"
    case .gemma3Text: "Gemma3ForCausalLM"
    case .gemma3: "Gemma3ForConditionalGeneration"
    case .exaone: "ExaoneForCausalLM"
    case .exaone4: "Exaone4ForCausalLM"
    }
  }
}

/// A family turns its `config.json` into the parts of a decoder and into the list of its tensors, and is the only place that
/// knows its keys and names.
protocol Family {
  /// Throws `badData`, naming the key, for what is missing, out of bounds or not supported.
  static func configuration(_ architecture: Architecture, _ reader: ConfigurationReader) throws -> ModelConfiguration
  /// In the order of the computation, the embedding table first.
  static func tensors(_ configuration: ModelConfiguration) -> [TensorSpecification]
  static var headName: String { get }
  static func storedName(_ stored: String) -> StoredName
}
