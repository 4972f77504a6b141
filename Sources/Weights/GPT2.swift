import Core
import JSON

// GPT-2 in Hugging Face's words: the keys of its `config.json` (transformers' GPT2Config) and the names of its tensors
// (GPT2LMHeadModel). V vocabulary, C context, W width, M MLP width; linears are Conv1D, stored [in, out].

extension ModelConfiguration {
  /// GELU's names for its tanh form.
  private static let tanhForms: Set<String> = ["gelu_new", "gelu_pytorch_tanh"]

  init(gpt2 reader: ConfigurationReader) throws {
    try Self.refuseVariants(gpt2: reader)
    let width = try reader.size("n_embd", limit: 1 << 20)
    let heads = try reader.size("n_head", limit: 1 << 16)
    guard width % heads == 0 else {
      throw reader.failure("n_head", "is \(heads), which does not divide n_embd \(width)")
    }
    let context = reader.value("n_positions") == nil && reader.value("n_ctx") != nil ? "n_ctx" : "n_positions"
    self = .gpt2(
      vocabularySize: try reader.size("vocab_size", limit: 1 << 24),
      contextLength: try reader.size(context, limit: 1 << 24), width: width,
      layers: try reader.size("n_layer", limit: 10_000), heads: heads,
      mlpWidth: try reader.integer("n_inner", in: 1...1 << 22),
      tiedHead: try reader.bool("tie_word_embeddings", default: true))
    normEpsilon = Float(try reader.number("layer_norm_epsilon", default: 1e-5, in: 1e-12...1))
    initializerRange = try reader.number("initializer_range", default: 0.02, in: 0...100)
    embeddingDropout = try reader.number("embd_pdrop", default: 0.1, in: 0...1)
    attentionDropout = try reader.number("attn_pdrop", default: 0.1, in: 0...1)
    residualDropout = try reader.number("resid_pdrop", default: 0.1, in: 0...1)
    endTokens = try reader.tokens("eos_token_id", limit: vocabularySize)
    beginToken = try reader.tokens("bos_token_id", limit: vocabularySize).first
    quantizationMethod = try Self.quantizationMethod(reader)
  }

  /// What changes GPT-2's arithmetic and is not supported, each by its key.
  private static func refuseVariants(gpt2 reader: ConfigurationReader) throws {
    let activation = try reader.string("activation_function") ?? "gelu_new"
    guard tanhForms.contains(activation) else {
      throw reader.failure(
        "activation_function", "is \(quoted(activation)); supported: \(tanhForms.sorted().joined(separator: ", "))")
    }
    guard try reader.bool("scale_attn_weights", default: true) else {
      throw reader.failure("scale_attn_weights", "is false, which is not supported")
    }
    for key in ["scale_attn_by_inverse_layer_idx", "add_cross_attention"] where try reader.bool(key, default: false) {
      throw reader.failure(key, "is true, which is not supported")
    }
  }

  private static func quantizationMethod(_ reader: ConfigurationReader) throws -> String? {
    guard let value = reader.value("quantization_config") else { return nil }
    guard let object = value.object else { throw reader.failure("quantization_config", "is not an object") }
    return object["quant_method"]?.string ?? "unknown"
  }

  /// Names and shapes of GPT-2's tensors in transformers' order.
  var gpt2Tensors: [TensorSpecification] {
    var tensors = [
      TensorSpecification("transformer.wte.weight", [vocabularySize, width]),
      TensorSpecification("transformer.wpe.weight", [contextLength, width]),
    ]
    func add(_ name: String, _ shape: [Int]) { tensors.append(TensorSpecification(name, shape)) }
    func addLinear(_ name: String, _ inputs: Int, _ outputs: Int) {
      add(name + ".weight", [inputs, outputs])
      add(name + ".bias", [outputs])
    }
    func addNorm(_ name: String) {
      add(name + ".weight", [width])
      add(name + ".bias", [width])
    }
    for layer in 0..<layers {
      let block = "transformer.h.\(layer)."
      addNorm(block + "ln_1")
      addLinear(block + "attn.c_attn", width, 3 * width)
      addLinear(block + "attn.c_proj", width, width)
      addNorm(block + "ln_2")
      addLinear(block + "mlp.c_fc", width, mlpWidth)
      addLinear(block + "mlp.c_proj", mlpWidth, width)
    }
    addNorm("transformer.ln_f")
    if !tiedHead { add("lm_head.weight", [vocabularySize, width]) }
    return tensors
  }
}

/// What a name in a GPT-2 file stands for. Both layouts are known: with the prefix `transformer.`, as transformers writes
/// it, and without, as the hub's own files have it.
func gpt2Name(_ stored: String) -> StoredName {
  let name = ["wte.", "wpe.", "h.", "ln_f."].contains { stored.hasPrefix($0) } ? "transformer." + stored : stored
  let parts = name.split(separator: ".", omittingEmptySubsequences: false)
  let isAttention = parts.count == 5 && parts[0] == "transformer" && parts[1] == "h" && parts[3] == "attn"
  // The causal mask and its fill value, which older versions of transformers stored.
  if isAttention, parts[4] == "bias" || parts[4] == "masked_bias" { return .buffer }
  return .tensor(name)
}
