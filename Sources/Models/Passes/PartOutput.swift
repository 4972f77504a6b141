import Kernels

/// What a decoder is made of, as far as an inspection shows it, in the order of the computation. The names are also those of
/// `Tests/Fixtures/inspect_activations.py`.
public enum DecoderPart: String, Sendable, CaseIterable {
  /// What enters the first block, scaled, positions added.
  case embeddings
  case attentionInputNorm = "attention_input_norm"
  /// As they were projected; then after norms over them, and after rotation, where the layer has those.
  case queries, keys, values
  case queriesNormed = "queries_normed"
  case keysNormed = "keys_normed"
  case queriesRotated = "queries_rotated"
  case keysRotated = "keys_rotated"
  /// What attention gives to the projection that follows it, all heads side by side; then what that projection gives.
  case attended
  case attentionOutput = "attention_output"
  case attentionOutputNorm = "attention_output_norm"
  /// The stream between attention and MLP.
  case afterAttention = "after_attention"
  case mlpInputNorm = "mlp_input_norm"
  /// Before the activation; a plain MLP has no gate.
  case gate, up
  /// What the MLP's last linear gets, and gives.
  case activated
  case mlpOutput = "mlp_output"
  case mlpOutputNorm = "mlp_output_norm"
  /// The stream after the block.
  case afterMLP = "after_mlp"
  case finalNorm = "final_norm"
  /// Capped where the model caps them.
  case logits
}

/// Some neighbouring rows of what a part gives, one a token; valid while they are shown.
public struct PartOutput {
  /// nil for what stands before and after the blocks.
  public var layer: Int?
  public var part: DecoderPart
  /// [rows, width], the rows `stride` floats apart.
  public var values: Floats
  public var rows: Int
  public var width: Int
  public var stride: Int
}
