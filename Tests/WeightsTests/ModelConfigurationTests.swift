import Testing
import Weights

@Suite struct ModelConfigurationTests {
  private static let required: [String: String] = [
    "model_type": "\"gpt2\"", "vocab_size": "50257", "n_positions": "1024", "n_embd": "768", "n_layer": "12",
    "n_head": "12",
  ]

  /// Reads GPT-2's own configuration with some members replaced; nil takes one away.
  private func read(_ changes: [String: String?] = [:]) throws -> ModelConfiguration {
    var members = Self.required
    for (key, value) in changes { members[key] = value }
    let folder = try TemporaryFolder()
    let text =
      "{" + members.sorted { $0.key < $1.key }.map { "\"\($0.key)\": \($0.value)" }.joined(separator: ", ") + "}"
    return try ModelConfiguration(path: try folder.write("config.json", text))
  }

  private func refused(_ key: String, _ value: String?, _ part: String, location: SourceLocation = #_sourceLocation) {
    let error = failure { _ = try read([key: value]) }
    #expect(error?.kind == .badData, "\(key): \(value ?? "absent")", sourceLocation: location)
    #expect(
      part.isEmpty || error?.message.contains(part) == true, "\(String(describing: error))", sourceLocation: location)
    #expect(error?.file?.hasSuffix("config.json") == true, sourceLocation: location)
  }

  @Test func gpt2() throws {
    var expected = ModelConfiguration.gpt2(
      vocabularySize: 50257, contextLength: 1024, width: 768, layers: 12, heads: 12)
    #expect(try read() == expected)
    #expect(expected.headWidth == 64 && expected.mlpWidth == 3072 && expected.keyValueHeads == 12)
    #expect(expected.parameterCount == 124_439_808)
    #expect(expected.expectedTensors.count == 148)
    expected.normEpsilon = 1e-6
    expected.mlpWidth = 100
    expected.tiedHead = false
    expected.initializerRange = 0.5
    expected.endTokens = [50256]
    let changed = try read([
      "layer_norm_epsilon": "1e-6", "n_inner": "100", "tie_word_embeddings": "false", "attn_pdrop": "0",
      "initializer_range": "0.5", "eos_token_id": "50256", "bos_token_id": "50256", "n_ctx": "1024",
      "activation_function": "\"gelu_pytorch_tanh\"", "reorder_and_upcast_attn": "true", "task": "{}",
    ])
    #expect(changed == expected)
  }

  @Test func tokensAndOldKeys() throws {
    #expect(try read(["eos_token_id": "[1, 2]", "bos_token_id": "null"]).endTokens == [1, 2])
    #expect(try read(["eos_token_id": "50257"]).endTokens == [])
    #expect(try read(["n_positions": String?.none, "n_ctx": "64"]).contextLength == 64)
    #expect(try read(["n_inner": "null"]).mlpWidth == 3072)
    #expect(try read(["quantization_config": "{\"quant_method\": \"q\"}"]).quantizationMethod == "q")
    refused("eos_token_id", "\"x\"", "'eos_token_id' is not a token id")
    refused("eos_token_id", "-5", "'eos_token_id' is not a token id")
  }

  @Test func sizes() {
    for key in ["vocab_size", "n_positions", "n_embd", "n_layer", "n_head"] {
      refused(key, nil, "'\(key)' is missing")
      for value in ["0", "-1", "9223372036854775807"] { refused(key, value, "'\(key)' is \(value), expected 1 to") }
      for value in ["\"12\"", "12.5", "[]", "true", "1e400"] { refused(key, value, "") }
    }
    refused("n_head", "5", "'n_head' is 5, which does not divide n_embd 768")
    refused("n_inner", "0", "'n_inner' is 0")
    refused("n_embd", "1048576", "")
    refused("vocab_size", "16777217", "'vocab_size' is 16777217")
    #expect(
      failure { _ = try read(["n_embd": "1048572", "n_layer": "10000"]) }?.message.contains("parameters") == true)
  }

  @Test func whatIsNotSupported() {
    refused("model_type", "\"mamba\"", "model_type 'mamba' is not supported; supported: gpt2, llama")
    refused("model_type", nil, "'model_type' is missing")
    refused("model_type", "3", "'model_type' is not a string")
    refused("activation_function", "\"relu\"", "'activation_function' is 'relu'; supported: gelu, gelu_new")
    refused("scale_attn_weights", "false", "'scale_attn_weights' is false")
    refused("scale_attn_by_inverse_layer_idx", "true", "'scale_attn_by_inverse_layer_idx' is true")
    refused("add_cross_attention", "true", "'add_cross_attention' is true")
    refused("layer_norm_epsilon", "0", "'layer_norm_epsilon' is 0")
    refused("layer_norm_epsilon", "\"1e-5\"", "'layer_norm_epsilon' is not a number")
    refused("resid_pdrop", "1.5", "'resid_pdrop' is 1.5")
    refused("tie_word_embeddings", "1", "'tie_word_embeddings' is not true or false")
  }
}
