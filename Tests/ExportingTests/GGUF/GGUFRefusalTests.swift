import Core
import Exporting
import Files
import GGUF
import JSON
import Models
import TestSupport
import Testing
import Weights

/// What llama.cpp would compute otherwise than the model's files say, or cannot load, is not written.
@Suite struct GGUFRefusalTests {
  struct Refused: Sendable, CustomStringConvertible {
    var model: String
    var edits: [(String, JSONValue)] = []
    var words: String
    var description: String { "\(model) \(edits.map(\.0))" }
  }

  private static func scaling(_ members: [(String, JSONValue)]) -> (String, JSONValue) {
    ("rope_scaling", .object(JSONObject([("original_max_position_embeddings", .integer(64))] + members)))
  }

  static let refused = [
    Refused(model: "gemma2-tiny", words: "attention scores times 0.707107, where it takes 0.204124"),
    Refused(
      model: "gemma2-tiny", edits: [("query_pre_attn_scalar", .integer(24)), ("attn_logit_softcapping", .null)],
      words: "gemma2 without caps on scores and on logits"),
    Refused(model: "smollm3-tiny", words: "layer 1 of smollm3 without rotation"),
    Refused(
      model: "gpt2-tiny", edits: [("activation_function", .string("gelu"))], words: "the activation gelu in gpt2"),
    Refused(model: "llama3-tiny", edits: [("hidden_act", .string("gelu"))], words: "the activation gelu in llama"),
    Refused(
      model: "qwen2-tiny",
      edits: [
        scaling([("rope_type", .string("llama3")), ("factor", .number(8))])
      ], words: "Llama 3's scaling of rotations in qwen2"),
    Refused(
      model: "qwen2-tiny",
      edits: [
        scaling([("rope_type", .string("yarn")), ("factor", .number(4)), ("beta_fast", .number(16))])
      ], words: "YaRN with other bounds than beta_fast 32 and beta_slow 1, rounded"),
    Refused(
      model: "granite-tiny",
      edits: [
        scaling([
          ("rope_type", .string("yarn")), ("factor", .number(4)), ("partial_rotary_factor", .number(0.5)),
        ])
      ], words: "a rotation of 8 of 16 dimensions in granite"),
  ]

  @Test(arguments: refused) func `what llama.cpp computes otherwise is refused in words`(_ refused: Refused) throws {
    try GGUFFolder.edited(refused.model, refused.edits) { folder in
      let error = #expect(throws: SFTError.self) { try GGUFFolder.exporting(folder) { _ in } }
      #expect(error?.kind == .badData)
      #expect(error?.message == "the model cannot be written as GGUF: llama.cpp cannot compute \(refused.words)")
    }
  }

  /// HyperCLOVA X without norms after its branches is Granite, which divides logits where it multiplies them.
  @Test(arguments: [true, false]) func `HyperCLOVA X is written as Granite, or refused`(_ postNorms: Bool) throws {
    try GGUFFolder.edited(
      "granite-tiny",
      [("model_type", .string("hyperclovax")), ("use_post_norm", .bool(postNorms)), ("logits_scaling", .number(4))]
    ) { folder in
      guard postNorms else {
        return try GGUFFolder.exporting(folder) { export in
          let metadata = try export.file().metadata
          #expect(metadata["general.architecture"] == .string("granite"))
          #expect(metadata["granite.logit_scale"] == .float32(0.25))
          #expect(metadata["granite.attention.scale"] == .float32(0.05))
        }
      }
      let error = #expect(throws: (any Error).self) { try GGUFFolder.exporting(folder) { _ in } }
      // Its norms are not among the weights of this case, which may be found first.
      #expect("\(error.map { "\($0)" } ?? "")".contains("norm"))
    }
  }

  @Test func `what an adapter trains beside linears is merged, and not written as LoRA`() throws {
    for name in ["modules-qwen2-tiny", "tokens-gpt2-tiny"] {
      let base = fixturesFolder + "/" + name.drop { $0 != "-" }.dropFirst() + "/model"
      let decoder = try Decoder(ModelCheckpoint(folder: base))
      let adapter = try AdapterFolder.read(fixturesFolder + "/ends/\(name)/adapter", for: decoder)
      try withTemporaryFolder { folder in
        let error = #expect(throws: SFTError.self) {
          try exportGGUFAdapter(adapter, for: decoder, base: "b", dtype: .f32, name: "a", to: folder + "/out")
        }
        #expect(error?.kind == .usage)
        #expect(error?.message.hasSuffix("beside linears, which a LoRA file for llama.cpp cannot say") == true)
        let isThere = try fileExists(folder + "/out")
        #expect(!isThere)
      }
    }
  }

  @Test func `a value that half precision cannot hold is refused by its tensor`() throws {
    var model = RandomModel(.qwen3)
    model.scale = 1e6
    try withTemporaryFolder { folder in
      try model.write(to: folder)
      let checkpoint = try ModelCheckpoint(folder: folder)
      let tokenizer = GGUFTokenizer(metadata: GGUFMetadata(), tokenCount: model.vocabulary, stops: [])
      let error = #expect(throws: SFTError.self) {
        try exportGGUF(
          checkpoint, Decoder(checkpoint), adapter: nil, tokenizer: tokenizer, dtype: .f16, name: "m",
          to: folder + "/out", threads: 1)
      }
      #expect(error?.message.contains("tensor 'model.embed_tokens.weight' holds") == true)
      let isThere = try fileExists(folder + "/out")
      #expect(!isThere)
    }
  }
}
