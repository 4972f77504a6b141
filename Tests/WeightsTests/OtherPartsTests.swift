import Testing
import Weights

/// A language model inside a larger one.
@Suite struct OtherPartsTests {
  private static let configuration = """
    {"model_type": "gemma3", "text_config": {"vocab_size": 11, "hidden_size": 6, "num_hidden_layers": 1,
     "num_attention_heads": 1, "num_key_value_heads": 1, "head_dim": 4, "intermediate_size": 5,
     "max_position_embeddings": 8}}
    """

  @Test(arguments: ["language_model.model.", "model.language_model."]) func theyAreKeptApart(_ prefix: String) throws {
    let shapes: [(String, [Int])] = [
      ("embed_tokens", [11, 6]), ("layers.0.input_layernorm", [6]), ("layers.0.self_attn.q_proj", [4, 6]),
      ("layers.0.self_attn.k_proj", [4, 6]), ("layers.0.self_attn.v_proj", [4, 6]), ("layers.0.self_attn.q_norm", [4]),
      ("layers.0.self_attn.k_norm", [4]), ("layers.0.self_attn.o_proj", [6, 4]),
      ("layers.0.post_attention_layernorm", [6]), ("layers.0.pre_feedforward_layernorm", [6]),
      ("layers.0.mlp.gate_proj", [5, 6]), ("layers.0.mlp.up_proj", [5, 6]), ("layers.0.mlp.down_proj", [6, 5]),
      ("layers.0.post_feedforward_layernorm", [6]), ("norm", [6]),
    ]
    var tensors = shapes.map { name, shape in
      TensorOutput(prefix + name + ".weight", shape, [Float](repeating: 1, count: shape.reduce(1, *)))
    }
    let others = ["multi_modal_projector.mm_soft_emb_norm.weight", "vision_tower.vision_model.head.bias"]
    tensors += others.map { TensorOutput($0, [2], [3, 4]) }
    let folder = try modelFolder(tensors, configuration: Self.configuration)
    let checkpoint = try ModelCheckpoint(folder: folder.path)
    #expect(checkpoint.otherParts == others && checkpoint.ignored == others)
    #expect(try checkpoint.tensor("model.language_model.norm.weight", shape: [6]).array == [1, 1, 1, 1, 1, 1])
  }
}
