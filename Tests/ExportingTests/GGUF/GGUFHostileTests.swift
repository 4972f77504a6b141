import Core
import Exporting
import Files
import GGUF
import Models
import TestSupport
import Testing
import Tokenizing
import Weights

/// A file whose keys do not fit each other or its tensors is refused by the key.
@Suite struct GGUFHostileTests {
  struct Refused: Sendable, CustomStringConvertible {
    var key: String
    /// nil to leave the key out.
    var value: GGUFValue?
    var words: String
    var description: String { "\(key) \(words)" }

    init(_ key: String, _ value: GGUFValue?, _ words: String) {
      (self.key, self.value, self.words) = (key, value, words)
    }
  }

  /// Of a Qwen 2 of 3 layers, width 64, 4 heads, and 2 for keys.
  static let models: [Refused] = [
    Refused("general.architecture", nil, "the key 'general.architecture' is missing"),
    Refused("general.architecture", .string("bert"), "the key 'general.architecture' is 'bert'; supported: exaone"),
    Refused("general.architecture", .uint32(3), "the key 'general.architecture' is expected to be a string"),
    Refused("general.type", .string("adapter"), "says that the file holds 'adapter', expected a model"),
    Refused("split.count", .uint16(3), "the key 'split.count' says that the file is one of 3"),
    Refused("qwen2.block_count", nil, "the key 'qwen2.block_count' is missing"),
    Refused("qwen2.block_count", .uint32(0), "the key 'qwen2.block_count' is 0, expected 1 to 512"),
    Refused("qwen2.block_count", .uint64(.max), "the key 'qwen2.block_count' is expected to be an integer"),
    Refused("qwen2.block_count", .uint32(4), "the file lacks 12 of 50 tensors: 'blk.3."),
    Refused("qwen2.block_count", .uint32(2), "the file has 12 tensors that a qwen2 of these keys does not: 'blk.2."),
    Refused("qwen2.embedding_length", nil, "the key 'qwen2.embedding_length' is missing"),
    Refused("qwen2.embedding_length", .uint32(48), "4 heads do not make the embedding_length of 48"),
    Refused("qwen2.attention.head_count", .uint32(3), "3 heads do not make the embedding_length of 64"),
    Refused(
      "qwen2.attention.head_count_kv", .uint32(3), "head_count_kv' is 3, which does not divide the 4 attention heads"),
    Refused(
      "qwen2.attention.head_count_kv", .uint32(1), "tensor 'blk.0.attn_k.weight': the keys 'qwen2.*' give it shape"),
    Refused("qwen2.attention.value_length", .uint32(8), "the key 'qwen2.attention.value_length' is 8"),
    Refused("qwen2.feed_forward_length", nil, "the key 'qwen2.feed_forward_length' is missing"),
    Refused(
      "qwen2.feed_forward_length", .array(.uint32s([1, 2, 3])), "the key 'qwen2.feed_forward_length' differs by layer"),
    Refused(
      "qwen2.feed_forward_length", .uint32(7), "tensor 'blk.0.ffn_gate.weight': the keys 'qwen2.*' give it shape"),
    Refused("qwen2.context_length", nil, "the key 'qwen2.context_length' is missing"),
    Refused("qwen2.attention.layer_norm_rms_epsilon", nil, "layer_norm_rms_epsilon' is missing"),
    Refused("qwen2.attention.layer_norm_rms_epsilon", .float32(.nan), "layer_norm_rms_epsilon' is nan, expected"),
    Refused("qwen2.vocab_size", .uint32(7), "the key 'qwen2.vocab_size' is 7, and the tensor 'token_embd.weight' has"),
    Refused(
      "tokenizer.ggml.tokens", .array(.strings(["a"])), "the key 'tokenizer.ggml.tokens' lists 1, and the tensor"),
    Refused("qwen2.expert_count", .uint32(8), "the key 'qwen2.expert_count' is 8.0, which is not supported"),
    Refused("qwen2.attention.causal", .bool(false), "the key 'qwen2.attention.causal' is false"),
    Refused("qwen2.rope.dimension_count", .uint32(8), "the key 'qwen2.rope.dimension_count' is 8 of 16 dimensions"),
    Refused("qwen2.rope.freq_base", .float32(.infinity), "the key 'qwen2.rope.freq_base' is inf, expected"),
    Refused("qwen2.rope.scaling.type", .string("ntk"), "the key 'qwen2.rope.scaling.type' is 'ntk'; supported: none"),
    Refused(
      "qwen2.rope.scaling.attn_factor", .float32(2), "the key 'qwen2.rope.scaling.attn_factor' is 2.0 without YaRN"),
  ]

  @Test(arguments: models) func `a model is refused by the key`(_ refused: Refused) throws {
    try withEdited(refused) { path in
      let error = #expect(throws: SFTError.self) { try ModelCheckpoint(folder: path) }
      #expect(error?.kind == .badData)
      #expect(error?.file == path)
      #expect(error?.message.contains(refused.words) == true, "\(error?.message ?? "")")
    }
  }

  static let tokenizers: [Refused] = [
    Refused("tokenizer.ggml.model", nil, "the key 'tokenizer.ggml.model' is missing"),
    Refused(
      "tokenizer.ggml.model", .string("bert"), "the key 'tokenizer.ggml.model' is 'bert'; supported: gpt2, llama"),
    Refused("tokenizer.ggml.model", .string("llama"), "the key 'tokenizer.ggml.scores' is missing"),
    Refused("tokenizer.ggml.pre", nil, "the key 'tokenizer.ggml.pre' is missing"),
    Refused(
      "tokenizer.ggml.pre", .string("default"), "the key 'tokenizer.ggml.pre' is 'default', a way of cutting text"),
    Refused("tokenizer.ggml.tokens", nil, "the key 'tokenizer.ggml.tokens' is missing"),
    Refused("tokenizer.ggml.tokens", .array(.strings(["a", "b"])), "the key 'tokenizer.ggml.token_type' has"),
    Refused("tokenizer.ggml.token_type", .array(.int32s([1])), "the key 'tokenizer.ggml.token_type' has 1 values for"),
    Refused("tokenizer.ggml.merges", nil, "the key 'tokenizer.ggml.merges' is missing"),
    Refused("tokenizer.ggml.merges", .array(.strings(["abc"])), "has 'abc' as its merge 1, which is not two tokens"),
    Refused("tokenizer.ggml.eos_token_id", .uint32(1 << 30), "the key 'tokenizer.ggml.eos_token_id' is 1073741824"),
  ]

  @Test(arguments: tokenizers) func `a tokenizer is refused by the key`(_ refused: Refused) throws {
    try withEdited(refused) { path in
      let error = #expect(throws: SFTError.self) { try Tokenizer(folder: path) }
      #expect(error?.kind == .badData)
      #expect(error?.message.contains(refused.words) == true, "\(error?.message ?? "")")
    }
  }

  private func withEdited(_ refused: Refused, _ body: (String) throws -> Void) throws {
    try GGUFFolder.exporting(fixturesFolder + "/qwen2-tiny/model") { export in
      let file = try export.file()
      var metadata = file.metadata
      metadata[refused.key] = refused.value
      let tensors = file.tensors.map { GGUFTensorOutput($0, of: file) }
      let path = export.path + "/edited.gguf"
      try writeGGUF(metadata, tensors, to: path)
      try body(path)
    }
  }
}
