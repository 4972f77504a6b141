import Core
import Files
import JSON

/// What describes a decoder to the one composition that runs it: read from a Hugging Face `config.json`, and checked.
///
/// A block is two branches, attention and MLP, each x + scale · after(branch(before(x))), where `before` and `after` are norms
/// or nothing. Every property here is obeyed; a key of a `config.json` that would change the arithmetic and is not
/// supported is refused by name.
public struct ModelConfiguration: Sendable, Equatable {
  /// How a norm treats its input.
  public enum Norm: Sendable, Equatable {
    /// Mean and deviation, weight and bias (Ba, Kiros, Hinton 2016).
    case layer
    /// Root mean square, weight (Zhang & Sennrich 2019); `unitOffset`: the weight is stored less one.
    case rms(unitOffset: Bool)
  }

  /// The MLP's function between its two products.
  public enum Activation: Sendable, Equatable {
    /// GELU by its tanh form (`gelu_new`).
    case geluTanh
    /// GELU by its definition, x · Φ(x) (`gelu`).
    case gelu
    /// x · sigmoid(x)
    case silu
  }

  /// Norms over queries and over keys.
  public enum HeadNorm: Sendable, Equatable {
    /// Each head by itself, with one weight [headWidth] for all.
    case perHead
    /// All heads together, with a weight for each dimension.
    case whole
  }

  /// Probabilities of the base's own dropout, in the places where the family has it.
  public struct Dropout: Sendable, Equatable {
    /// After the embeddings, and on what is added to the stream; else on attention weights only.
    public var coversStream: Bool
  }

  /// What a block's attention has that another block's may not.
  public struct Layer: Sendable, Equatable {
    /// Keys that a query sees, itself among them; nil for all before it.
    public var window: Int?
    /// Index into `rotaries`; nil for none.
    public var rotary: Int?

    public init(window: Int? = nil, rotary: Int? = nil) {
      self.window = window
      self.rotary = rotary
    }
  }

  public var architecture: Architecture
  /// Rows of the embedding table, V.
  public var vocabularySize: Int
  /// The longest sequence in tokens.
  public var contextLength: Int
  /// Size of the residual stream.
  public var width: Int
  /// Query heads.
  public var heads: Int
  /// Key and value heads: `heads`, or fewer where they are shared in groups.
  public var keyValueHeads: Int
  public var headWidth: Int
  /// Size between the MLP's two products.
  public var mlpWidth: Int
  public var norm: Norm
  public var normEpsilon: Float
  /// A table of position vectors is added to the embeddings.
  public var learnedPositions: Bool
  public var rotaries: [RotaryConfiguration]
  /// One a block.
  public var blocks: [Layer]
  /// Queries, keys and values are one linear's outputs, side by side; so are gate and up.
  public var fusedProjections: Bool
  public var headNorm: HeadNorm?
  /// Norms before and after each branch.
  public var normsInputs: Bool
  public var normsOutputs: Bool
  /// down(act(gate(x)) · up(x)), not down(act(up(x))).
  public var gatedMLP: Bool
  public var activation: Activation
  /// Biases of the linears: those that make queries, keys and values, the one after attention, and the MLP's.
  public var projectionBiases: Bool
  public var attentionOutputBias: Bool
  public var mlpBiases: Bool
  /// The head's weights are the embedding table's.
  public var tiedHead: Bool
  /// Embeddings, what branches add to the stream, and logits are multiplied by these.
  public var embeddingScale: Double
  public var residualScale: Double
  public var logitScale: Double
  /// Attention scores are multiplied by this.
  public var attentionScale: Float
  /// Attention scores and logits x become cap · tanh(x / cap).
  public var scoreCap: Double?
  public var logitCap: Double?
  /// Standard deviation of fresh weights.
  public var initializerRange: Double
  /// Fresh weights of linears that add to the stream are divided by √(2 · layers), as GPT-2's.
  public var scalesInitialOutputs: Bool
  public var dropout: Dropout
  /// Ids that end a text; empty where the configuration names none. Ids beyond the vocabulary are left out.
  public var endTokens: [Int]
  /// `quant_method` of weights that are stored quantised (`bitsandbytes`), else nil.
  public var quantizationMethod: String?

  public var layers: Int { blocks.count }

  /// Sequences of more tokens than this rotate otherwise than shorter ones, from their first token on, so that the two share no
  /// rows; nil where length has no part in it.
  public var shortLength: Int? { rotaries.compactMap(\.shortLength).min().flatMap { $0 < contextLength ? $0 : nil } }

  /// Dimensions of the queries, and of the keys or values.
  public var queryWidth: Int { heads * headWidth }
  public var keyValueWidth: Int { keyValueHeads * headWidth }
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

  /// Reads and checks the content of a `config.json` that is, or is to be, at `path`. Throws `badData`, naming the key, for
  /// what is missing, out of bounds, or asks for something that is not supported.
  public init(_ object: JSONObject, path: String) throws {
    let reader = ConfigurationReader(object: object, path: path)
    guard let type = try reader.string("model_type") else { throw reader.failure("model_type", "is missing") }
    guard let architecture = Architecture(rawValue: type) else {
      let supported = Architecture.allCases.map(\.rawValue).joined(separator: ", ")
      throw SFTError(.badData, "model_type \(quoted(type)) is not supported; supported: \(supported)", file: path)
    }
    self = try architecture.family.configuration(architecture, reader)
    try check(reader)
  }

  /// Parameters of the model, a tied head counted once.
  public var parameterCount: Int {
    expectedTensors.reduce(0) { $0 + $1.shape.reduce(1, *) }
  }

  /// Each size has its own bound, under which no product overflows; this checks how they go together.
  private func check(_ reader: ConfigurationReader) throws {
    guard heads % keyValueHeads == 0 else {
      throw reader.failure(
        "num_key_value_heads", "is \(keyValueHeads), which does not divide the \(heads) attention heads")
    }
    guard parameterCount <= 1 << 40 else {
      throw SFTError(
        .badData, "the sizes give a model of \(grouped(parameterCount)) parameters, more than can be handled",
        file: reader.path)
    }
  }
}
