import Core
import JSON

/// GPT-2 (Radford et al. 2019) in Hugging Face's words: the keys of its `config.json` (transformers' GPT2Config) and
/// the names of its tensors (GPT2LMHeadModel). Linears are Conv1D, stored [in, out]; queries, keys and values are one
/// of them.
enum GPT2: Family {
  private static let activations: [String: ModelConfiguration.Activation] = [
    "gelu": .gelu, "gelu_new": .geluTanh, "gelu_pytorch_tanh": .geluTanh,
  ]
  static let headName = "lm_head.weight"

  static func configuration(
    _ architecture: Architecture, _ reader: ConfigurationReader
  ) throws -> ModelConfiguration {
    try refuseVariants(reader)
    let width = try reader.size("n_embd", limit: 1 << 20)
    let heads = try reader.size("n_head", limit: 1 << 16)
    guard width % heads == 0 else {
      throw reader.failure("n_head", "is \(heads), which does not divide n_embd \(width)")
    }
    let context = reader.value("n_positions") == nil && reader.value("n_ctx") != nil ? "n_ctx" : "n_positions"
    var configuration = ModelConfiguration.gpt2(
      vocabularySize: try reader.size("vocab_size", limit: 1 << 24),
      contextLength: try reader.size(context, limit: 1 << 24), width: width,
      layers: try reader.size("n_layer", limit: 10_000), heads: heads,
      mlpWidth: try reader.integer("n_inner", in: 1...1 << 22),
      tiedHead: try reader.bool("tie_word_embeddings", default: true))
    configuration.activation = try activation(reader)
    configuration.normEpsilon = Float(try reader.number("layer_norm_epsilon", default: 1e-5, in: 1e-12...1))
    configuration.initializerRange = try reader.number("initializer_range", default: 0.02, in: 0...100)
    for key in ["embd_pdrop", "attn_pdrop", "resid_pdrop"] { _ = try reader.number(key, default: 0.1, in: 0...1) }
    configuration.endTokens = try reader.tokens("eos_token_id", limit: configuration.vocabularySize)
    configuration.quantizationMethod = try reader.quantizationMethod()
    return configuration
  }

  private static func activation(_ reader: ConfigurationReader) throws -> ModelConfiguration.Activation {
    let name = try reader.string("activation_function") ?? "gelu_new"
    guard let activation = activations[name] else {
      throw reader.failure(
        "activation_function",
        "is \(quoted(name)); supported: \(activations.keys.sorted().joined(separator: ", "))")
    }
    return activation
  }

  /// What changes GPT-2's arithmetic and is not supported, each by its key.
  private static func refuseVariants(_ reader: ConfigurationReader) throws {
    guard try reader.bool("scale_attn_weights", default: true) else {
      throw reader.failure("scale_attn_weights", "is false, which is not supported")
    }
    for key in ["scale_attn_by_inverse_layer_idx", "add_cross_attention"] where try reader.bool(key, default: false) {
      throw reader.failure(key, "is true, which is not supported")
    }
  }

  static func tensors(_ configuration: ModelConfiguration) -> [TensorSpecification] {
    let (width, vocabulary) = (configuration.width, configuration.vocabularySize)
    var tensors = [
      TensorSpecification(.tokenEmbedding, "transformer.wte.weight", [vocabulary, width]),
      TensorSpecification(.positionEmbedding, "transformer.wpe.weight", [configuration.contextLength, width]),
    ]
    func add(_ role: TensorRole, _ layer: Int?, _ name: String, _ shape: [Int]) {
      tensors.append(TensorSpecification(role, layer: layer, name, shape, orientation: .inputsByOutputs))
    }
    func addLinear(_ kind: TensorRole.BlockLinear, _ layer: Int, _ name: String, _ inputs: Int, _ outputs: Int) {
      add(.linear(kind, .weight), layer, name + ".weight", [inputs, outputs])
      add(.linear(kind, .bias), layer, name + ".bias", [outputs])
    }
    func addNorm(_ kind: TensorRole.BlockNorm, _ layer: Int, _ name: String) {
      add(.norm(kind, .weight), layer, name + ".weight", [width])
      add(.norm(kind, .bias), layer, name + ".bias", [width])
    }
    for layer in 0..<configuration.layers {
      let block = "transformer.h.\(layer)."
      addNorm(.attentionInput, layer, block + "ln_1")
      addLinear(.queryKeyValue, layer, block + "attn.c_attn", width, 3 * width)
      addLinear(.attentionOutput, layer, block + "attn.c_proj", width, width)
      addNorm(.mlpInput, layer, block + "ln_2")
      addLinear(.up, layer, block + "mlp.c_fc", width, configuration.mlpWidth)
      addLinear(.mlpOutput, layer, block + "mlp.c_proj", configuration.mlpWidth, width)
    }
    add(.finalNorm(.weight), nil, "transformer.ln_f.weight", [width])
    add(.finalNorm(.bias), nil, "transformer.ln_f.bias", [width])
    if !configuration.tiedHead { tensors.append(TensorSpecification(.head, headName, [vocabulary, width])) }
    return tensors
  }

  /// Both layouts are known: with the prefix `transformer.`, as transformers writes it, and without, as the hub's own files
  /// have it.
  static func storedName(_ stored: String) -> StoredName {
    let name = ["wte.", "wpe.", "h.", "ln_f."].contains { stored.hasPrefix($0) } ? "transformer." + stored : stored
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    let isAttention = parts.count == 5 && parts[0] == "transformer" && parts[1] == "h" && parts[3] == "attn"
    // The causal mask and its fill value, which older versions of transformers stored.
    if isAttention, parts[4] == "bias" || parts[4] == "masked_bias" { return .buffer }
    return .tensor(name)
  }
}

extension ModelConfiguration {
  /// GPT-2 of any size: `mlpWidth` is 4 × `width` unless given. The sizes are the caller's to have right: `width` a multiple of
  /// `heads`, all positive.
  public static func gpt2(
    vocabularySize: Int, contextLength: Int, width: Int, layers: Int, heads: Int, mlpWidth: Int? = nil,
    tiedHead: Bool = true
  ) -> ModelConfiguration {
    precondition(heads > 0 && width % heads == 0)
    return ModelConfiguration(
      architecture: .gpt2, vocabularySize: vocabularySize, contextLength: contextLength, width: width, heads: heads,
      keyValueHeads: heads, headWidth: width / heads, mlpWidth: mlpWidth ?? 4 * width, norm: .layer,
      normEpsilon: 1e-5, learnedPositions: true, rotaries: [], blocks: Array(repeating: Layer(), count: layers),
      fusedProjections: true, headNorm: nil, normsInputs: true, normsOutputs: false, gatedMLP: false,
      activation: .geluTanh, projectionBiases: true, attentionOutputBias: true, mlpBiases: true, tiedHead: tiedHead,
      embeddingScale: 1, residualScale: 1, logitScale: 1, attentionScale: 1 / Float(width / heads).squareRoot(),
      scoreCap: nil, logitCap: nil, initializerRange: 0.02, scalesInitialOutputs: true,
      dropout: Dropout(coversStream: true), endTokens: [])
  }
}
