import Testing
import Weights

/// Configurations of the families with rotary positions: what is read, in either spelling, and what is refused.
@Suite struct FamilyConfigurationTests {
  private static let required = [
    "vocab_size": "64", "max_position_embeddings": "128", "hidden_size": "32", "intermediate_size": "48",
    "num_hidden_layers": "4", "num_attention_heads": "4", "num_key_value_heads": "2",
  ]

  private static func object(_ members: [String: String]) -> String {
    "{" + members.sorted { $0.key < $1.key }.map { "\"\($0.key)\": \($0.value)" }.joined(separator: ", ") + "}"
  }

  private static func read(_ type: String, _ changes: [String: String?] = [:]) throws -> ModelConfiguration {
    var members = required
    members["model_type"] = "\"\(type)\""
    for (key, value) in changes { members[key] = value }
    let folder = try TemporaryFolder()
    return try ModelConfiguration(path: try folder.write("config.json", object(members)))
  }

  /// The same model as transformers 4 writes it, and as 5 does.
  struct Spelling: Sendable, CustomTestStringConvertible {
    var type: String
    var old: [String: String?]
    var new: [String: String?]
    var testDescription: String { type }
  }

  private static let sliding = #""sliding_attention""#
  private static let full = #""full_attention""#

  static let spellings = [
    Spelling(
      type: "llama", old: ["rope_theta": "500", "rope_scaling": "null", "torch_dtype": "\"float32\""],
      new: ["rope_parameters": #"{"rope_type": "default", "rope_theta": 500}"#, "dtype": "\"float32\""]),
    Spelling(
      type: "llama",
      old: [
        "rope_theta": "500000",
        "rope_scaling": #"""
        {"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4,
         "original_max_position_embeddings": 64}
        """#,
      ],
      new: [
        "rope_parameters": #"""
        {"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4,
         "original_max_position_embeddings": 64, "rope_theta": 500000}
        """#
      ]),
    Spelling(
      type: "qwen2",
      old: ["rope_theta": "1000", "rope_scaling": #"{"type": "yarn", "factor": 4}"#, "use_sliding_window": "false"],
      new: [
        "rope_parameters": #"{"rope_type": "yarn", "factor": 4, "rope_theta": 1000}"#, "use_sliding_window": "false",
        "layer_types": "[\(full), \(full), \(full), \(full)]",
      ]),
    Spelling(
      type: "qwen3", old: ["use_sliding_window": "true", "sliding_window": "9", "max_window_layers": "3"],
      new: [
        "use_sliding_window": "true", "sliding_window": "9",
        "layer_types": "[\(full), \(full), \(full), \(sliding)]",
      ]),
    Spelling(type: "mistral", old: ["head_dim": "null"], new: ["head_dim": "8", "sliding_window": "4096"]),
    Spelling(
      type: "smollm3", old: ["no_rope_layer_interval": "4"],
      new: ["no_rope_layers": "[1, 1, 1, 0]", "rope_parameters": #"{"rope_theta": 2000000, "rope_type": "default"}"#]),
    Spelling(
      type: "phi3", old: ["partial_rotary_factor": "0.5", "sliding_window": "null"],
      new: ["rope_parameters": #"{"rope_type": "default", "rope_theta": 10000, "partial_rotary_factor": 0.5}"#]),
    Spelling(
      type: "gemma2", old: ["head_dim": "8", "sliding_window": "9", "rope_theta": "10000"],
      new: [
        "head_dim": "8", "sliding_window": "9", "layer_types": "[\(sliding), \(full), \(sliding), \(full)]",
        "rope_parameters": #"{"rope_type": "default", "rope_theta": 10000}"#,
      ]),
    Spelling(
      type: "gemma3_text",
      old: [
        "rope_local_base_freq": "50", "rope_theta": "1000", "rope_scaling": #"{"rope_type": "linear", "factor": 8}"#,
        "sliding_window_pattern": "2",
      ],
      new: [
        "layer_types": "[\(sliding), \(full), \(sliding), \(full)]",
        "rope_parameters": #"""
        {"full_attention": {"rope_type": "linear", "factor": 8, "rope_theta": 1000},
         "sliding_attention": {"rope_type": "default", "rope_theta": 50}}
        """#,
      ]),
    Spelling(
      type: "exaone4", old: ["sliding_window": "9", "sliding_window_pattern": "\"LLG\""],
      new: ["sliding_window": "9", "layer_types": "[\(sliding), \(sliding), \(full), \(full)]"]),
    Spelling(
      type: "exaone", old: ["num_layers": "4", "num_hidden_layers": nil, "activation_function": "\"silu\""],
      new: ["activation_function": "\"silu\"", "rope_parameters": #"{"rope_type": "default", "rope_theta": 500000}"#]),
  ]

  @Test(arguments: spellings) func bothSpellingsAreTheSameModel(_ spelling: Spelling) throws {
    let (old, new) = (try Self.read(spelling.type, spelling.old), try Self.read(spelling.type, spelling.new))
    #expect(old == new)
    // Without what was changed it would be another model, unless the family's default was written out.
    if !["mistral", "smollm3", "exaone"].contains(spelling.type) { #expect(try Self.read(spelling.type) != new) }
  }

  /// Its text part, in which what is left out has that family's defaults.
  @Test func gemma3WithVisionIsItsTextModel() throws {
    var members = Self.required
    members["model_type"] = "\"gemma3_text\""
    var expected = try Self.read("gemma3_text")
    let folder = try TemporaryFolder()
    func read(_ members: [String: String]) throws -> ModelConfiguration {
      let text = Self.object(["model_type": "\"gemma3\"", "text_config": Self.object(members), "vision_config": "{}"])
      return try ModelConfiguration(path: try folder.write("config.json", text))
    }
    expected.architecture = .gemma3
    #expect(try read(members) == expected)
    members["num_attention_heads"] = nil
    #expect(try read(members).heads == 8 && read(members).headWidth == 256)
  }

  @Test func whatALayerIsFollowsTheFamily() throws {
    #expect(try Self.read("gemma2").blocks.map(\.window) == [4096, nil, 4096, nil])
    #expect(try Self.read("gemma3_text", ["num_hidden_layers": "7"]).blocks.map(\.rotary) == [1, 1, 1, 1, 1, 0, 1])
    #expect(try Self.read("smollm3").blocks.map(\.rotary) == [0, 0, 0, nil])
    #expect(try Self.read("exaone4").blocks.map(\.rotary) == [0, 0, 0, nil])
    #expect(try Self.read("exaone4", ["sliding_window": "null"]).blocks.map(\.rotary) == [0, 0, 0, 0])
    #expect(try Self.read("mistral", ["sliding_window": "null"]).blocks.allSatisfy { $0.window == nil })
    #expect(try Self.read("qwen2", ["sliding_window": "9"]).blocks.allSatisfy { $0.window == nil })
    #expect(try Self.read("phi3", ["sliding_window": "9"]).blocks.allSatisfy { $0.window == 9 })
  }

  struct Refusal: Sendable, CustomTestStringConvertible {
    var type: String
    var changes: [String: String?]
    var message: String
    var testDescription: String { "\(type): \(message)" }

    init(_ type: String, _ changes: [String: String?], _ message: String) {
      (self.type, self.changes, self.message) = (type, changes, message)
    }
  }

  static let missing = [
    "vocab_size", "max_position_embeddings", "hidden_size", "intermediate_size", "num_hidden_layers",
    "num_attention_heads",
  ].map { Refusal("llama", [$0: nil], "'\($0)' is missing") }

  static let refusals =
    missing + [
      Refusal("llama", ["rope_scaling": #"{"type": "spiral", "factor": 2}"#], "'rope_type' is 'spiral'; supported:"),
      Refusal("llama", ["rope_parameters": #"{"rope_type": "linear"}"#], "'rope_scaling' has no factor"),
      Refusal("llama", ["rope_parameters": #"{"rope_type": "linear", "factor": 0.5}"#], "'factor' is 0.5, expected 1"),
      Refusal(
        "llama", ["rope_scaling": #"{"type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4}"#],
        "'high_freq_factor' is not above low_freq_factor"),
      Refusal("llama", ["rope_parameters": #"{"full_attention": {}}"#], "'rope_parameters' differ by layer"),
      Refusal("llama", ["rope_theta": "0"], "'rope_theta' is 0"),
      Refusal(
        "phi3", ["rope_scaling": #"{"type": "longrope", "short_factor": [1, 2], "long_factor": [1, 2, 3, 4]}"#],
        "'short_factor' has 2 numbers, expected 4"),
      Refusal(
        "phi3",
        [
          "rope_scaling": #"{"type": "longrope", "short_factor": [1, 1, 1, 1], "long_factor": [1, 2, 3, 4]}"#,
          "original_max_position_embeddings": "1",
        ], "'original_max_position_embeddings' is 1, which gives LongRoPE no scale"),
      Refusal(
        "llama", ["rope_theta": "1", "rope_scaling": #"{"type": "yarn", "factor": 2}"#],
        "'rope_theta' is 1, with which YaRN"),
      Refusal("phi3", ["partial_rotary_factor": "0.4"], "'partial_rotary_factor' gives 3 of 8 dimensions"),
      Refusal("phi3", ["attention_bias": "true"], "'attention_bias' is true"),
      Refusal(
        "llama", ["num_attention_heads": "3"], "'num_attention_heads' is 3, which does not divide hidden_size 32"),
      Refusal(
        "llama", ["num_key_value_heads": "3"], "'num_key_value_heads' is 3, which does not divide the 4 attention"),
      Refusal("llama", ["head_dim": "5"], "'head_dim' is 5, which cannot be rotated: it is odd"),
      Refusal("llama", ["hidden_size": "36"], "'head_dim' is 9, which cannot be rotated: it is odd"),
      Refusal("llama", ["hidden_act": "\"relu\""], "'hidden_act' is 'relu'; supported:"),
      Refusal("mistral", ["sliding_window": "0"], "'sliding_window' is 0, expected 1"),
      Refusal("gemma2", ["layer_types": "[\(full)]"], "'layer_types' has 1 entry for 4 layers"),
      Refusal(
        "gemma2", ["layer_types": "[\(full), \(full), \(full), \"linear_attention\"]"],
        "'layer_types' holds 'linear_attention'"),
      Refusal("gemma2", ["attn_logit_softcapping": "0"], "'attn_logit_softcapping' is 0"),
      Refusal("gemma3_text", ["final_logit_softcapping": "30"], "'final_logit_softcapping' is set"),
      Refusal("gemma3_text", ["use_bidirectional_attention": "true"], "'use_bidirectional_attention' is true"),
      Refusal("gemma3", [:], "'text_config' is missing"),
      Refusal(
        "qwen2", ["layer_types": "[\(full), \(full), \(full), \(sliding)]"],
        "'layer_types' names sliding layers although use_sliding_window is not true"),
      Refusal("smollm3", ["no_rope_layers": "[1, 0]"], "'no_rope_layers' has 2 entries for 4 layers"),
      Refusal("exaone4", ["sliding_window_pattern": "\"LX\""], "'sliding_window_pattern' is 'LX'"),
      Refusal("granite", ["residual_multiplier": "0"], "'residual_multiplier' is 0"),
    ]

  @Test(arguments: refusals) func whatIsNotSupportedIsRefusedByName(_ refusal: Refusal) throws {
    let error = failure { _ = try Self.read(refusal.type, refusal.changes) }
    #expect(error?.kind == .badData && error?.file?.hasSuffix("config.json") == true)
    #expect(error?.message.contains(refusal.message) == true, "\(String(describing: error?.message))")
  }
}
