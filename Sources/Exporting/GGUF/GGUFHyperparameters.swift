import Core
import GGUF
import Weights

/// The keys of a model that say how it is computed, as llama.cpp reads them.
struct GGUFHyperparameters {
  let configuration: ModelConfiguration
  let architecture: GGUFArchitecture
  /// What the file says less of than the model's own files do, each a sentence without a full stop.
  private(set) var remarks: [String] = []
  private(set) var metadata = GGUFMetadata()

  /// Throws `badData` where llama.cpp cannot compute the model as it is.
  init(_ configuration: ModelConfiguration) throws {
    self.configuration = configuration
    architecture = try GGUFArchitecture(configuration)
    try setAll()
  }

  private mutating func set(_ key: String, _ value: GGUFValue) { metadata[architecture.name + "." + key] = value }
  private mutating func set(_ key: String, _ value: Int) {
    set(key, .uint32(UInt32(clamping: value)))
  }
  private mutating func set(_ key: String, _ value: Double) { set(key, .float32(Float(value))) }

  private mutating func setAll() throws {
    let rotary = try GGUFRotary(configuration, architecture)
    set("block_count", configuration.layers)
    set("context_length", try contextLength(rotary))
    set("embedding_length", configuration.width)
    set("feed_forward_length", configuration.mlpWidth)
    set("attention.head_count", configuration.heads)
    set("vocab_size", configuration.vocabularySize)
    switch configuration.norm {
    case .layer: set("attention.layer_norm_epsilon", .float32(configuration.normEpsilon))
    case .rms: set("attention.layer_norm_rms_epsilon", .float32(configuration.normEpsilon))
    }
    guard !configuration.learnedPositions else { return }
    set("attention.head_count_kv", configuration.keyValueHeads)
    set("attention.key_length", configuration.headWidth)
    set("attention.value_length", configuration.headWidth)
    for (key, value) in rotary.entries { set(key, value) }
    setScales()
    setWindows()
  }

  private mutating func setScales() {
    if architecture.readsScales {
      set("attention.scale", .float32(configuration.attentionScale))
      set("embedding_scale", configuration.embeddingScale)
      set("residual_scale", configuration.residualScale)
      // What logits are divided by.
      set("logit_scale", 1 / configuration.logitScale)
    }
    if let cap = configuration.scoreCap { set("attn_logit_softcapping", cap) }
    if let cap = configuration.logitCap { set("final_logit_softcapping", cap) }
  }

  /// Layers of the kind that slides; with Gemma 3 they rotate in their own way, whether they have a window or not.
  private var sliding: [Bool] {
    configuration.blocks.map { $0.window != nil || architecture.name == "gemma3" && $0.rotary == 1 }
  }

  private mutating func setWindows() {
    guard case .pattern(let interval) = architecture.windows else { return }
    // Gemma 2's layers are taken to slide whatever the file says.
    guard sliding.contains(true) || architecture.name == "gemma2" else { return }
    let window = configuration.blocks.compactMap(\.window).min() ?? configuration.contextLength
    set("attention.sliding_window", window)
    if sliding.contains(true), sliding != sliding.indices.map({ $0 % interval < interval - 1 }) {
      set("attention.sliding_window_pattern", .array(.bools(sliding)))
    }
  }

  /// The longest context in which llama.cpp computes what the model's files say.
  private mutating func contextLength(_ rotary: GGUFRotary) throws -> Int {
    var length = configuration.contextLength
    if !architecture.hasWindows, let window = configuration.blocks.compactMap(\.window).min(), window < length {
      length = window
      remarks.append(
        "llama.cpp computes no sliding windows for \(architecture.name), so the context is said to be the window's "
          + "\(grouped(window)) tokens of \(grouped(configuration.contextLength))")
    }
    if let short = rotary.shortContext, short < length {
      length = short
      remarks.append(
        "llama.cpp rotates short texts as long ones once its context is above \(grouped(short)) tokens, so the context is "
          + "said to be that of \(grouped(configuration.contextLength))")
    }
    return length
  }
}
