import Core
import GGUF
import JSON

extension ModelConfiguration {
  /// Reads and checks the keys of a GGUF file that holds a whole model. Throws `badData`, naming the key, for what is missing,
  /// out of bounds, contradicts another key or a tensor, or asks for something that is not supported.
  init(_ file: GGUFFile) throws { try self.init(try GGUFConfiguration(file).members(), path: file.path) }
}

/// A GGUF file's keys in the words of a `config.json`, which says how a family is computed.
///
/// Keys that llama.cpp reads and this does not obey are refused; those that it does not read either do not count.
struct GGUFConfiguration {
  let file: GGUFFile
  let keys: GGUFKeys
  let family: Architecture
  let architecture: GGUFArchitecture
  private let layers: Int
  private let width: Int
  private let heads: Int
  let headWidth: Int

  /// Throws `badData` for a file that is no whole model of a known architecture.
  init(_ file: GGUFFile) throws {
    self.file = file
    guard let name = try file.metadata.string("general.architecture") else {
      throw SFTError(.badData, "the key 'general.architecture' is missing", file: file.path)
    }
    keys = GGUFKeys(file: file, prefix: name + ".")
    if let type = try file.metadata.string("general.type"), type != "model" {
      throw SFTError(
        .badData, "the key 'general.type' says that the file holds \(quoted(type)), expected a model", file: file.path)
    }
    if let parts = try file.metadata.int("split.count"), parts > 1 {
      throw SFTError(
        .badData, "the key 'split.count' says that the file is one of \(parts), which are not read apart",
        file: file.path, advice: "Put them together with llama.cpp's `llama-gguf-split`")
    }
    guard let family = GGUFArchitecture.family(name) else {
      let supported = Architecture.allCases.map { GGUFArchitecture.of($0, layers: 1).name }
      let names = Set(supported).sorted().joined(separator: ", ")
      throw SFTError(
        .badData, "the key 'general.architecture' is \(quoted(name)); supported: \(names)", file: file.path)
    }
    self.family = family
    layers = try keys.size("block_count", limit: 512)
    architecture = GGUFArchitecture.of(family, layers: layers)
    width = try keys.size("embedding_length", limit: 1 << 20)
    heads = try keys.size("attention.head_count", limit: 1 << 16)
    let given = try keys.size(ifThere: "attention.key_length", limit: 1 << 16)
    guard let headWidth = given ?? (width % heads == 0 ? width / heads : nil) else {
      throw keys.failure("attention.head_count", "is \(heads), which does not divide embedding_length \(width)")
    }
    self.headWidth = headWidth
  }

  /// The members of a `config.json` that says the same.
  func members() throws -> JSONObject {
    try refuseVariants()
    var members: [(String, JSONValue)] = [("model_type", .string(family.rawValue))]
    members += try sizes()
    if family != .gpt2 {
      members += try GGUFRotaryReader(self).members()
      members += try scales() + windows()
      members.append(("attention_bias", .bool(file.info("blk.0.attn_q.bias") != nil)))
      members.append(("mlp_bias", .bool(file.info("blk.0.ffn_up.bias") != nil)))
    }
    return JSONObject(members)
  }

  /// What llama.cpp reads for one or the other architecture and is not computed here.
  private func refuseVariants() throws {
    for key in [
      "expert_count", "nextn_predict_layers", "attention.clamp_kqv", "attention.max_alibi_bias", "rope.scaling.alpha",
    ] {
      try keys.refuse(key, unless: 0)
    }
    try keys.refuse("attention.causal", unless: true)
    if keys.has("deepstack_mapping") { throw keys.failure("deepstack_mapping", "is set, which is not supported") }
    for key in ["attention.value_length", "attention.key_length_swa", "attention.value_length_swa"] {
      if let size = try keys.size(ifThere: key, limit: 1 << 16), size != headWidth {
        throw keys.failure(key, "is \(size), and queries have \(headWidth) dimensions, which is not supported")
      }
    }
    guard !architecture.hasStreamWideQueries || heads * headWidth == width else {
      throw keys.failure(
        "attention.key_length", "is \(headWidth), and \(heads) heads do not make the embedding_length of \(width)")
    }
    if architecture.mustTieHead, file.info(TensorSpecification.headNameInGGUF) != nil {
      throw SFTError(
        .badData, "tensor '\(TensorSpecification.headNameInGGUF)': a \(architecture.name) has no head of its own",
        file: file.path)
    }
  }

  // MARK: - Sizes

  private func sizes() throws -> [(String, JSONValue)] {
    let context = try keys.size("context_length", limit: family == .gpt2 ? 1 << 24 : 1 << 30)
    let inner = try keys.size("feed_forward_length", limit: 1 << 22)
    let tied = file.info(TensorSpecification.headNameInGGUF) == nil
    let shared: [(String, JSONValue)] = [
      ("vocab_size", .integer(try vocabularySize())), ("tie_word_embeddings", .bool(tied)),
      ("eos_token_id", .array(try endTokens().map { .integer($0) })),
    ]
    if family == .gpt2 {
      return shared + [
        ("n_embd", .integer(width)), ("n_head", .integer(heads)), ("n_layer", .integer(layers)),
        ("n_positions", .integer(context)), ("n_inner", .integer(inner)),
        ("layer_norm_epsilon", .number(try epsilon("attention.layer_norm_epsilon"))),
      ]
    }
    let groups = try keys.size(ifThere: "attention.head_count_kv", limit: 1 << 16) ?? heads
    guard heads % groups == 0 else {
      throw keys.failure("attention.head_count_kv", "is \(groups), which does not divide the \(heads) attention heads")
    }
    return shared + [
      ("hidden_size", .integer(width)), ("num_attention_heads", .integer(heads)),
      ("num_key_value_heads", .integer(groups)), ("head_dim", .integer(headWidth)),
      ("num_hidden_layers", .integer(layers)), ("intermediate_size", .integer(inner)),
      ("max_position_embeddings", .integer(context)),
      (
        family == .exaone ? "layer_norm_epsilon" : "rms_norm_eps",
        .number(try epsilon("attention.layer_norm_rms_epsilon"))
      ),
    ]
  }

  private func epsilon(_ key: String) throws -> Double {
    guard let epsilon = try keys.number(key, in: 1e-12...1) else { throw keys.failure(key, "is missing") }
    return epsilon
  }

  /// Rows of the embedding table, which keys must agree with.
  private func vocabularySize() throws -> Int {
    guard let table = file.info("token_embd.weight"), let rows = table.shape.first, (1...1 << 24).contains(rows) else {
      throw SFTError(.badData, "the file has no tensor 'token_embd.weight' of at most 16,777,216 rows", file: file.path)
    }
    if let size = try keys.integer("vocab_size", in: 1...1 << 24), size != rows {
      throw keys.failure("vocab_size", "is \(size), and the tensor 'token_embd.weight' has \(rows) rows")
    }
    if let tokens = try file.metadata.strings("tokenizer.ggml.tokens"), tokens.count != rows {
      throw SFTError(
        .badData,
        "the key 'tokenizer.ggml.tokens' lists \(tokens.count), and the tensor 'token_embd.weight' has \(rows) rows",
        file: file.path)
    }
    return rows
  }

  private func endTokens() throws -> [Int] {
    var tokens: [Int] = []
    for name in ["eos", "eot", "eom"] {
      let token = try file.metadata.int("tokenizer.ggml.\(name)_token_id")
      if let token, !tokens.contains(token) { tokens.append(token) }
    }
    return tokens
  }

  // MARK: - Scales and windows

  private func scales() throws -> [(String, JSONValue)] {
    switch family {
    case .granite:
      try keys.refuse("rope.scaling.finetuned", unless: true)
      guard let logits = try keys.number("logit_scale", in: 1e-9...1e9) else {
        throw keys.failure("logit_scale", "is missing")
      }
      func scale(_ key: String, default standard: Double) throws -> JSONValue {
        let scale = try keys.number(key, in: 0...1e9) ?? 0
        return .number(scale == 0 ? standard : scale)
      }
      return [
        ("logits_scaling", .number(logits)), ("embedding_multiplier", try scale("embedding_scale", default: 1)),
        ("residual_multiplier", try scale("residual_scale", default: 1)),
        ("attention_multiplier", try scale("attention.scale", default: 1 / Double(headWidth).squareRoot())),
      ]
    case .gemma2:
      return [
        ("query_pre_attn_scalar", .integer(preAttentionScalar(layers: 46))),
        (
          "attn_logit_softcapping",
          .number(try keys.number("attn_logit_softcapping", in: 1e-6...1e9) ?? 50)
        ),
        (
          "final_logit_softcapping",
          .number(try keys.number("final_logit_softcapping", in: 1e-6...1e9) ?? 30)
        ),
      ]
    case .gemma3Text:
      try keys.refuse("final_logit_softcapping", unless: 0)
      return [("query_pre_attn_scalar", .integer(preAttentionScalar(layers: 62)))]
    default: return []
    }
  }

  /// The 27B models of Gemma are known by their depth.
  private func preAttentionScalar(layers count: Int) -> Int { layers == count ? width / heads : headWidth }

  private func windows() throws -> [(String, JSONValue)] {
    let key = "attention.sliding_window"
    let window = try keys.integer(key, in: 0...1 << 30) ?? 0
    switch family {
    case .gemma2, .gemma3Text, .exaone4:
      // Gemma 2 and the deep EXAONE 4 have one though no key says so.
      let size = window == 0 && keys.has(key) == false && family != .gemma3Text ? 4096 : window
      guard case .pattern(let interval) = architecture.windows, size > 0 else {
        return [
          ("sliding_window", .null),
          ("layer_types", .array(Array(repeating: .string("full_attention"), count: layers))),
        ]
      }
      let types = try slidingLayers(interval: interval).map { $0 ? "sliding_attention" : "full_attention" }
      return [("sliding_window", .integer(size)), ("layer_types", .array(types.map { .string($0) }))]
    case .phi3: return window == 0 ? [] : [("sliding_window", .integer(window))]
    case .olmo2: try keys.refuse(key, unless: 0)
    default: break
    }
    return []
  }

  private func slidingLayers(interval: Int) throws -> [Bool] {
    let key = "attention.sliding_window_pattern"
    guard case .array(let array)? = file.metadata[keys.prefix + key] else {
      guard !keys.has(key) else { throw keys.failure(key, "is not a list") }
      return (0..<layers).map { $0 % interval < interval - 1 }
    }
    let flags: [Bool]
    if case .bools(let values) = array {
      flags = values
    } else {
      flags = try (file.metadata.ints(keys.prefix + key) ?? []).map { $0 != 0 }
    }
    guard flags.count == layers else {
      throw keys.failure(key, "has \(counted(flags.count, "value")) for \(counted(layers, "layer"))")
    }
    return flags
  }
}
