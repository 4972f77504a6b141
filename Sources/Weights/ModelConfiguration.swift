import Core
import Files
import JSON

/// What describes a decoder to the one composition that runs it: read from a Hugging Face `config.json`, and checked.
public struct ModelConfiguration: Sendable, Equatable {
  /// By Hugging Face's `model_type`.
  public enum Architecture: String, Sendable, CaseIterable { case gpt2 }
  public enum Norm: Sendable, Equatable { case layerNorm, rmsNorm }
  public enum Positions: Sendable, Equatable {
    /// A table [contextLength, width], added to the embeddings.
    case learned
    /// Rotated queries and keys, RoPE (Su et al. 2021), of base `theta`.
    case rotary(theta: Double)
  }
  public enum MLP: Sendable, Equatable {
    /// down(act(up(x)))
    case plain
    /// down(act(gate(x)) · up(x))
    case gated
  }
  public enum Activation: Sendable, Equatable {
    /// GELU by its tanh form (`gelu_new`).
    case geluTanh
    /// x · sigmoid(x)
    case silu
  }

  public var architecture: Architecture
  /// Rows of the embedding table, V.
  public var vocabularySize: Int
  /// The longest sequence in tokens.
  public var contextLength: Int
  /// Size of the residual stream.
  public var width: Int
  public var layers: Int
  /// Query heads.
  public var heads: Int
  /// Key and value heads: `heads`, or fewer where they are shared in groups.
  public var keyValueHeads: Int
  public var headWidth: Int
  /// Size between the MLP's two products.
  public var mlpWidth: Int
  public var norm: Norm
  public var normEpsilon: Float
  public var positions: Positions
  public var mlp: MLP
  public var activation: Activation
  /// The head's weights are the embedding table's.
  public var tiedHead: Bool
  /// The blocks' linears have biases.
  public var biases: Bool
  /// Standard deviation of fresh weights.
  public var initializerRange: Double
  /// The base's own dropout probabilities: after the embeddings, on attention weights, on what is added to the stream.
  public var embeddingDropout: Double
  public var attentionDropout: Double
  public var residualDropout: Double
  /// Ids that end a text; empty where the configuration names none. Ids beyond the vocabulary are left out.
  public var endTokens: [Int]
  /// The id that starts a text, where there is one within the vocabulary.
  public var beginToken: Int?
  /// `quant_method` of weights that are stored quantised (`bitsandbytes`), else nil.
  public var quantizationMethod: String?

  /// GPT-2 (Radford et al. 2019) of any size: `mlpWidth` is 4 × `width` unless given. The sizes are the caller's to have
  /// right: `width` a multiple of `heads`, all positive.
  public static func gpt2(
    vocabularySize: Int, contextLength: Int, width: Int, layers: Int, heads: Int, mlpWidth: Int? = nil,
    tiedHead: Bool = true
  ) -> ModelConfiguration {
    precondition(heads > 0 && width % heads == 0)
    return ModelConfiguration(
      architecture: .gpt2, vocabularySize: vocabularySize, contextLength: contextLength, width: width, layers: layers,
      heads: heads, keyValueHeads: heads, headWidth: width / heads, mlpWidth: mlpWidth ?? 4 * width, norm: .layerNorm,
      normEpsilon: 1e-5, positions: .learned, mlp: .plain, activation: .geluTanh, tiedHead: tiedHead, biases: true,
      initializerRange: 0.02, embeddingDropout: 0.1, attentionDropout: 0.1, residualDropout: 0.1, endTokens: [])
  }
}

extension ModelConfiguration {
  /// Reads and checks a `config.json`. Throws `notFound` where there is none, and `badData`, naming the key, for what is
  /// missing, out of bounds, or asks for something that is not supported.
  public init(path: String) throws {
    guard let object = try parseJSONFile(path, limit: 16 << 20).object else {
      throw SFTError(.badData, "is not a JSON object", file: path)
    }
    try self.init(object, path: path)
  }

  /// The same of what stands, or is to stand, in the file at `path`.
  public init(_ object: JSONObject, path: String) throws {
    let reader = ConfigurationReader(object: object, path: path)
    guard let type = try reader.string("model_type") else { throw reader.failure("model_type", "is missing") }
    guard let architecture = Architecture(rawValue: type) else {
      let supported = Architecture.allCases.map(\.rawValue).joined(separator: ", ")
      throw SFTError(.badData, "model_type \(quoted(type)) is not supported yet; supported: \(supported)", file: path)
    }
    switch architecture {
    case .gpt2: self = try ModelConfiguration(gpt2: reader)
    }
    try checkParameterCount(path)
  }

  /// Parameters of the model, a tied head counted once.
  public var parameterCount: Int {
    expectedTensors.reduce(0) { $0 + $1.shape.reduce(1, *) }
  }

  /// Each size has its own bound, under which no product overflows; this bounds what they give together.
  private func checkParameterCount(_ path: String) throws {
    guard parameterCount <= 1 << 40 else {
      throw SFTError(
        .badData, "the sizes give a model of \(grouped(parameterCount)) parameters, more than can be handled",
        file: path)
    }
  }
}
