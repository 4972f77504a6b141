import Core
import Glibc
import Kernels
import Models

/// How the learning rate goes over a run; multipliers are transformers'.
public struct Schedule: Sendable, Equatable, Codable {
  public enum Kind: String, Sendable, Codable, CaseIterable {
    case constant
    case linear
    case cosine
  }

  public var kind: Kind
  /// The highest rate.
  public var learningRate: Double
  /// Where linear and cosine end.
  public var minimum: Double
  public var warmupSteps: Int

  public init(kind: Kind, learningRate: Double, minimum: Double = 0, warmupSteps: Int = 0) {
    self.kind = kind
    self.learningRate = learningRate
    self.minimum = minimum
    self.warmupSteps = warmupSteps
  }

  /// The rate of the 0-based update `step` of `total`: s/warmup during warm-up, then the kind's own way down.
  public func rate(at step: Int, of total: Int) -> Double {
    if step < warmupSteps { return learningRate * Double(step) / Double(warmupSteps) }
    let progress = Double(step - warmupSteps) / Double(max(1, total - warmupSteps))
    switch kind {
    case .constant: return learningRate
    case .linear: return minimum + (learningRate - minimum) * max(0, 1 - progress)
    case .cosine: return minimum + (learningRate - minimum) * 0.5 * (1 + cos(.pi * min(1, progress)))
    }
  }
}

/// How the moments of AdamW are kept.
public enum Optimizer: String, Sendable, Codable, CaseIterable {
  /// In float32.
  case adamw
  /// In 8 bits, as bitsandbytes' `AdamW8bit` does.
  case adamw8bit
}

/// What is trained, and from where.
public enum TrainingMethod: String, Sendable, Codable {
  /// An adapter beside a frozen base.
  case adapter
  /// All weights of a base.
  case full
  /// All weights, from scratch.
  case pretrain

  /// Whether weight decay leaves biases and norms alone.
  public var decaysMatricesOnly: Bool { self == .pretrain }
}

/// Everything that a run's numbers depend on, besides base and data. Recorded with the run; a resumed run must have the
/// same.
public struct TrainingSettings: Sendable, Equatable, Codable {
  public var method: TrainingMethod
  /// The adapter that is trained; nil where all the weights are.
  public var lora: LoRAConfiguration?
  /// Digest of the adapter folder training starts from, where it does not start from a fresh one.
  public var initialAdapter: String?
  /// Updates in all.
  public var steps: Int
  /// Records of a micro-batch, on average; 0 where `batchTokens` decides.
  public var batchSize: Int
  /// Tokens of a micro-batch, on average: an update takes records in order until their tokens, EOS included, reach
  /// `batchTokens` · `gradientAccumulation`.
  public var batchTokens: Int?
  /// Micro-batches of an update, at most.
  public var gradientAccumulation: Int
  /// Micro-batches are joined where together they cost no more than so many rows; nil for never, as in runs from before
  /// there was a choice.
  public var joinedRows: Int?
  /// An update's records are divided into so many shares, whose gradients are summed pairwise: the same sum, to the bit,
  /// however many processes compute them. nil for one, as in runs from before there was a choice.
  public var shares: Int?
  public var schedule: Schedule
  public var optimizer: Optimizer
  public var beta1: Double
  public var beta2: Double
  public var weightDecay: Double
  /// Gradients are clipped to this norm; 0 for no clipping.
  public var maxGradientNorm: Double
  public var shuffle: Bool
  public var seed: UInt64
  /// Updates between validations; 0 for never.
  public var evalEvery: Int
  /// How many of the validation records each validation is over; nil for all.
  public var validationRecords: Int?
  /// Tokens of the records that a validation takes at once, where it is not the usual number.
  public var validationTokens: Int?
  /// Tokens of the sample answer after each validation, 0 for none; nil in runs from before there was a choice.
  public var sampleTokens: Int?
  /// Stops after so many validations without a new best; 0 for never.
  public var earlyStopping: Int
  public var engine: Engine
  public var threads: Int
  /// Computes activations again on the way back instead of keeping them; the bits are the same either way.
  public var gradientCheckpointing: Bool
  /// Does so for this many of the lowest blocks; nil for none or all.
  public var checkpointedLayers: Int?
  /// The block from which on an update computes, where the outputs of those below are stored; nil where all are computed.
  /// Rounding differs between the two.
  public var trunkLayer: Int?
  /// Probability of the base's own dropout: on the embeddings, the attention weights, and what is added to the stream; nil
  /// for none.
  public var dropout: Double?

  public init(
    lora: LoRAConfiguration?, initialAdapter: String?, steps: Int, batchSize: Int, gradientAccumulation: Int,
    schedule: Schedule, beta1: Double, beta2: Double, weightDecay: Double, maxGradientNorm: Double, shuffle: Bool,
    seed: UInt64, evalEvery: Int, earlyStopping: Int, engine: Engine, threads: Int,
    gradientCheckpointing: Bool = false, optimizer: Optimizer = .adamw, method: TrainingMethod = .adapter,
    dropout: Double? = nil, batchTokens: Int? = nil
  ) {
    self.method = method
    self.lora = lora
    self.initialAdapter = initialAdapter
    self.steps = steps
    self.batchSize = batchSize
    self.batchTokens = batchTokens
    self.gradientAccumulation = gradientAccumulation
    self.schedule = schedule
    self.optimizer = optimizer
    self.beta1 = beta1
    self.beta2 = beta2
    self.weightDecay = weightDecay
    self.maxGradientNorm = maxGradientNorm
    self.shuffle = shuffle
    self.seed = seed
    self.evalEvery = evalEvery
    self.earlyStopping = earlyStopping
    self.engine = engine
    self.threads = threads
    self.gradientCheckpointing = gradientCheckpointing
    self.dropout = dropout
  }

  /// How many of the model's lowest blocks are computed again on the way back.
  public func recomputedBlocks(of blocks: Int) -> Int {
    gradientCheckpointing ? blocks : min(checkpointedLayers ?? 0, blocks)
  }

  /// Shares of an update, 1 at least.
  public var shareCount: Int { max(1, shares ?? 1) }

  /// Records of an update, B; 0 where `batchTokens` decides.
  public var effectiveBatch: Int { batchSize * gradientAccumulation }

  /// Whether a batch computes a common prefix once. Dropout's masks differ from record to record, and windows of a text
  /// have no prefix in common but by chance.
  public var sharesPrefixes: Bool {
    engine == .auto && method != .pretrain && (lora?.dropout ?? 0) == 0 && dropout == nil
  }
}

extension KeyedDecodingContainer {
  /// An optimiser, AdamW where the key is missing, as in runs from before there was a choice. Swift prefers this to the general
  /// `decode` where settings are decoded.
  func decode(_ type: Optimizer.Type, forKey key: Key) throws -> Optimizer {
    try decodeIfPresent(type, forKey: key) ?? .adamw
  }

  /// A training method, an adapter where the key is missing, as in runs from before there was a choice. Swift prefers this to
  /// the general `decode` where settings are decoded.
  func decode(_ type: TrainingMethod.Type, forKey key: Key) throws -> TrainingMethod {
    try decodeIfPresent(type, forKey: key) ?? .adapter
  }
}
