import Core

/// What llama.cpp computes for a family of models: the parts that its graph of that name has.
///
/// A configuration that asks for more, or for something else, is refused: a file with keys that llama.cpp does not read would
/// load and compute something that the model's files do not say.
package struct GGUFArchitecture {
  /// How layers with a window are told from others.
  package enum Windows {
    /// Every layer sees all that came before.
    case none
    /// Every `interval`th layer sees all, where the file does not list them.
    case pattern(interval: Int)
  }

  /// `general.architecture`.
  package var name: String
  /// Rotates dimensions 2i and 2i + 1 as a pair, where the model's files have i and i + width/2: the rows of queries and keys
  /// change places.
  package var rotatesNeighbours = false
  package var windows = Windows.none
  /// Every how many layers one is not rotated; nil for none.
  package var unrotatedInterval: Int?
  /// Queries of all heads must be as wide as the stream.
  package var hasStreamWideQueries = false
  /// Reads a tensor of factors that frequencies are divided by, one for all lengths.
  package var readsFrequencyFactors = false
  /// Reads two such tensors, one for long contexts.
  package var readsLengthFactors = false
  package var rotatesParts = false
  /// Biases that are read, besides those of the norms.
  package var projectionBiases = true
  package var attentionOutputBias = false
  package var mlpBiases = false
  /// Reads no head of its own.
  package var mustTieHead = false
  /// Reads a head though it is tied.
  package var mustHoldHead = false
  /// Reads scales of embeddings, residuals, scores and logits.
  package var readsScales = false
  /// Caps scores and logits.
  package var hasCaps = false
  package var activation = ModelConfiguration.Activation.silu

  /// llama.cpp has no more.
  package static let layerLimit = 512

  /// Throws `badData`, naming what it is, for a configuration that llama.cpp cannot compute as it is.
  package init(_ configuration: ModelConfiguration) throws {
    self = Self.of(configuration.architecture, layers: configuration.layers)
    // It is Granite, but for what stands after the branches.
    guard configuration.architecture != .hyperclovax || !configuration.normsOutputs else {
      throw Self.refusal("norms after attention and MLP (use_post_norm) of \(configuration.architecture.rawValue)")
    }
    try check(configuration)
  }

  private init(
    _ name: String, activation: ModelConfiguration.Activation = .silu,
    _ change: (inout GGUFArchitecture) -> Void = { _ in }
  ) {
    self.name = name
    self.activation = activation
    change(&self)
  }

  /// What it has for a family's model of so many layers.
  package static func of(_ architecture: Architecture, layers: Int) -> GGUFArchitecture {
    switch architecture {
    case .gpt2:
      return GGUFArchitecture("gpt2", activation: .geluTanh) {
        ($0.attentionOutputBias, $0.mlpBiases, $0.hasStreamWideQueries) = (true, true, true)
      }
    case .llama, .mistral: return likeLlama("llama")
    case .granite, .hyperclovax: return likeLlama("granite") { $0.readsScales = true }
    case .qwen2: return GGUFArchitecture("qwen2") { $0.hasStreamWideQueries = true }
    case .qwen3: return GGUFArchitecture("qwen3")
    case .smollm3:
      return GGUFArchitecture("smollm3") { ($0.rotatesNeighbours, $0.unrotatedInterval) = (true, 4) }
    case .olmo2:
      return GGUFArchitecture("olmo2") { ($0.hasStreamWideQueries, $0.mustHoldHead) = (true, true) }
    case .phi3:
      return GGUFArchitecture("phi3") {
        ($0.hasStreamWideQueries, $0.readsLengthFactors, $0.rotatesParts) = (true, true, true)
      }
    case .gemma: return GGUFArchitecture("gemma", activation: .geluTanh) { $0.mustTieHead = true }
    case .gemma2:
      return GGUFArchitecture("gemma2", activation: .geluTanh) {
        ($0.mustTieHead, $0.hasCaps, $0.windows) = (true, true, .pattern(interval: 2))
      }
    case .gemma3, .gemma3Text:
      return GGUFArchitecture("gemma3", activation: .geluTanh) { $0.windows = .pattern(interval: 6) }
    case .exaone: return GGUFArchitecture("exaone") { $0.readsFrequencyFactors = true }
    case .exaone4:
      return GGUFArchitecture("exaone4") {
        ($0.hasStreamWideQueries, $0.readsFrequencyFactors) = (true, true)
        // It takes the depth of the 32B model for a sign of windows.
        if layers == 64 { $0.windows = .pattern(interval: 4) }
      }
    }
  }

  private static func likeLlama(
    _ name: String, _ change: (inout GGUFArchitecture) -> Void = { _ in }
  ) -> GGUFArchitecture {
    GGUFArchitecture(name) {
      ($0.rotatesNeighbours, $0.readsFrequencyFactors, $0.readsLengthFactors) = (true, true, true)
      ($0.attentionOutputBias, $0.mlpBiases) = (true, true)
      change(&$0)
    }
  }

  /// The family that a file of this `general.architecture` is read as; nil for one that is not read.
  static func family(_ name: String) -> Architecture? {
    let families: [Architecture] = [
      .gpt2, .llama, .qwen2, .qwen3, .smollm3, .olmo2, .granite, .phi3, .gemma, .gemma2, .gemma3Text, .exaone, .exaone4,
    ]
    return families.first { of($0, layers: 1).name == name }
  }

  /// `what` is a noun.
  package static func refusal(_ what: String) -> SFTError {
    SFTError(
      .badData, "the model cannot be written as GGUF: llama.cpp cannot compute \(what)",
      advice: "Export it with \(OptionName.format) merged")
  }
}
