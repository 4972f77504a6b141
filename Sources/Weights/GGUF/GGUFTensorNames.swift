extension TensorSpecification {
  /// What llama.cpp calls it.
  package var nameInGGUF: String {
    let block = layer.map { "blk.\($0)." } ?? ""
    switch role {
    case .tokenEmbedding: return "token_embd.weight"
    case .positionEmbedding: return "position_embd.weight"
    case .norm(let norm, let parameter): return block + Self.name(of: norm) + Self.suffix(parameter)
    case .linear(let linear, let parameter): return block + Self.name(of: linear) + Self.suffix(parameter)
    case .finalNorm(let parameter): return "output_norm" + Self.suffix(parameter)
    case .head: return Self.headNameInGGUF
    }
  }

  package static let headNameInGGUF = "output.weight"

  private static func suffix(_ parameter: TensorRole.Parameter) -> String {
    switch parameter {
    case .weight: ".weight"
    case .bias: ".bias"
    }
  }

  private static func name(of norm: TensorRole.BlockNorm) -> String {
    switch norm {
    case .attentionInput: "attn_norm"
    case .attentionOutput: "post_attention_norm"
    case .mlpInput: "ffn_norm"
    case .mlpOutput: "post_ffw_norm"
    case .query: "attn_q_norm"
    case .key: "attn_k_norm"
    }
  }

  /// Gate and up in one matrix go by the name of up.
  private static func name(of linear: TensorRole.BlockLinear) -> String {
    switch linear {
    case .queryKeyValue: "attn_qkv"
    case .query: "attn_q"
    case .key: "attn_k"
    case .value: "attn_v"
    case .attentionOutput: "attn_output"
    case .gate: "ffn_gate"
    case .gateUp, .up: "ffn_up"
    case .mlpOutput: "ffn_down"
    }
  }
}
