import Weights

extension RandomModel {
  /// A `config.json` with what sets the family apart switched on, and small enough to show in a few tokens.
  var familyConfiguration: String {
    let text = object(base + own)
    // The language model of the one with vision.
    return family == .gemma3 ? object([("model_type", quote("gemma3")), ("text_config", text)]) : text
  }

  private typealias Member = (key: String, value: String)

  private func quote(_ text: String) -> String { "\"\(text)\"" }

  private func object(_ members: [Member]) -> String {
    "{" + members.map { "\(quote($0.key)): \($0.value)" }.joined(separator: ", ") + "}"
  }

  private var base: [Member] {
    [
      ("model_type", quote(family == .gemma3 ? "gemma3_text" : family.rawValue)), ("vocab_size", "\(vocabulary)"),
      ("max_position_embeddings", "\(context)"), ("hidden_size", "\(width)"),
      ("intermediate_size", "\(2 * width + 6)"), ("num_hidden_layers", "\(layers)"),
      ("num_attention_heads", "\(heads)"), ("num_key_value_heads", "\(heads / 2)"),
      ("tie_word_embeddings", "\(tiedHead)"), ("eos_token_id", "0"),
    ]
  }

  /// Heads wider than the stream's share of them, where a family may have that.
  private var headWidth: Member { ("head_dim", "\(width / heads + 2)") }

  private var own: [Member] {
    let theta: Member = ("rope_theta", "100")
    let window: Member = ("sliding_window", "6")
    let multipliers: [Member] = [
      ("embedding_multiplier", "3"), ("residual_multiplier", "0.6"), ("attention_multiplier", "0.3"),
    ]
    switch family {
    case .gpt2, .olmo2: return [theta]
    case .llama:
      let rotation = object([
        ("rope_type", quote("llama3")), ("rope_theta", "500"), ("factor", "8"), ("low_freq_factor", "1"),
        ("high_freq_factor", "4"), ("original_max_position_embeddings", "64"),
      ])
      return [headWidth, ("rope_parameters", rotation), ("attention_bias", "true"), ("mlp_bias", "true")]
    case .mistral: return [headWidth, theta, window]
    case .qwen2: return [theta, window, ("use_sliding_window", "true"), ("max_window_layers", "1")]
    case .qwen3: return [headWidth, theta]
    case .smollm3: return [theta, ("no_rope_layer_interval", "2")]
    case .granite: return multipliers + [theta, ("logits_scaling", "2")]
    case .hyperclovax: return multipliers + [theta, ("logits_scaling", "0.5")]
    case .phi3: return [theta, ("partial_rotary_factor", "0.5")]
    case .gemma: return [headWidth, theta]
    case .gemma2:
      return [
        headWidth, theta, window, ("query_pre_attn_scalar", "3"), ("attn_logit_softcapping", "1.5"),
        ("final_logit_softcapping", "2"),
      ]
    case .gemma3Text, .gemma3:
      return [
        headWidth, window, ("query_pre_attn_scalar", "3"), ("sliding_window_pattern", "2"),
        ("rope_local_base_freq", "50"), ("rope_theta", "1000"), ("rope_scaling", #"{"type": "linear", "factor": 4}"#),
      ]
    case .exaone: return [("activation_function", quote("silu")), ("layer_norm_epsilon", "1e-5"), theta]
    case .exaone4: return [headWidth, theta, window, ("sliding_window_pattern", quote("LLG"))]
    }
  }
}
