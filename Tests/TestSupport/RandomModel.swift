import Core
import Files
import Kernels
import Models
import Weights

/// A small model with random weights, read back from a folder as any other.
public struct RandomModel: Sendable {
  /// Other families than GPT-2 have two query heads to a key head, so `heads` is even.
  public var family = Architecture.gpt2
  public var vocabulary = 61
  public var context = 40
  public var width = 12
  public var layers = 3
  public var heads = 3
  public var tiedHead = true
  /// Standard deviation of the linears' weights and of the embeddings.
  public var scale = 0.35
  public var seed: UInt64 = 1
  /// Tokens whose embedding is NaN.
  public var brokenTokens: [Int] = []
  /// Tensors [4] that belong to another part of the model, such as its vision tower.
  public var otherParts: [String] = []

  public init() {}

  /// Of any family, `heads` and `width` chosen to fit it.
  public init(_ family: Architecture) {
    self.family = family
    if family != .gpt2 { (heads, width) = (4, 16) }
  }

  /// Wide enough that queries fill whole panels of the products, and some more columns.
  public static var wide: RandomModel {
    var model = RandomModel()
    (model.width, model.scale) = (72, 0.14)
    return model
  }

  /// Writes `config.json` and `model.safetensors`.
  public func write(to folder: String) throws {
    let text = family == .gpt2 ? gpt2Configuration : familyConfiguration
    try writeAtomically(Array(text.utf8), to: folder + "/config.json")
    let configuration = try ModelConfiguration(path: folder + "/config.json")
    let outputs = configuration.expectedTensors.enumerated().map { index, tensor in
      TensorOutput(tensor.name, tensor.shape, values(tensor, index, configuration.norm))
    }
    let others = otherParts.map { TensorOutput($0, [4], [1, 2, 3, 4.5]) }
    try writeSafetensors(outputs + others, to: folder + "/model.safetensors")
  }

  private var gpt2Configuration: String {
    """
    {"model_type": "gpt2", "vocab_size": \(vocabulary), "n_positions": \(context), "n_embd": \(width),
     "n_layer": \(layers), "n_head": \(heads), "activation_function": "gelu_new", "n_inner": null,
     "layer_norm_epsilon": 1e-5, "tie_word_embeddings": \(tiedHead), "eos_token_id": 0, "bos_token_id": 0}
    """
  }

  private func values(_ tensor: TensorSpecification, _ index: Int, _ norm: ModelConfiguration.Norm) -> [Float] {
    let isNormWeight: Bool
    switch tensor.role {
    case .norm(_, .weight), .finalNorm(.weight): isNormWeight = true
    default: isNormWeight = false
    }
    let isVector = isNormWeight || tensor.name.hasSuffix("bias")
    let count = tensor.shape.reduce(1, *)
    var values = noise(count, seed: seed &* 1000 &+ UInt64(index), scale: isVector ? 0.1 : scale)
    if isNormWeight, norm != .rms(unitOffset: true) { values = values.map { $0 + 1 } }
    if tensor.role == .tokenEmbedding {
      for token in brokenTokens { for i in 0..<width { values[token * width + i] = .nan } }
    }
    return values
  }

  /// The decoder; its weights stay mapped when the folder is gone. With `panels` the linears are laid out for training.
  public func decoder(panels: Compute? = nil) throws -> Decoder {
    try withTemporaryFolder { folder in
      try write(to: folder)
      return try Decoder(ModelCheckpoint(folder: folder), panels: panels)
    }
  }

  /// The same weights, to be trained.
  public func trainable() throws -> TrainableWeights {
    try withTemporaryFolder { folder in
      try write(to: folder)
      return try TrainableWeights(ModelCheckpoint(folder: folder))
    }
  }

  /// Records with a common preamble of 5 tokens and unequal lengths up to `longest`; two are the same, one is the
  /// beginning of another, and some part inside the answer.
  public func samples(_ count: Int, seed: UInt64, longest: Int = 30) -> [Sample] {
    var generator = SeededGenerator(seed: seed, stream: 7)
    func tokens(_ count: Int) -> [Int32] { (0..<count).map { _ in Int32(1 + generator.below(vocabulary - 1)) } }
    let preamble = tokens(5)
    var samples: [Sample] = []
    for index in 0..<count {
      switch (index % 5, samples.last) {
      case (2, let last?): samples.append(last)
      case (3, let last?):
        let kept = max(6, last.tokens.count - 2)
        samples.append(Sample(tokens: Array(last.tokens.prefix(kept)) + [0], promptCount: min(6, last.promptCount)))
      default:
        let prompt = preamble + tokens(1 + generator.below(longest / 3))
        let answer = tokens(1 + generator.below(longest - prompt.count - 1))
        samples.append(Sample(tokens: prompt + answer + [0], promptCount: prompt.count))
      }
    }
    return samples
  }

  /// An adapter with neither A nor B zero.
  public func adapter(_ configuration: LoRAConfiguration, for decoder: Decoder, seed: UInt64 = 5) throws -> Adapter {
    let adapter = try Adapter(configuration, for: decoder)
    for (index, value) in noise(adapter.count, seed: seed, scale: 0.2).enumerated() {
      adapter.parameters.pointer[index] = value
    }
    return adapter
  }
}
