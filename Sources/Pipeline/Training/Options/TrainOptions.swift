import Core
import Evaluating
import Kernels
import Models
import Training

/// What `sft train` is asked for; nil means that the user did not say.
public struct TrainOptions: Sendable {
  public var model: String?
  public var prepared: String?
  public var run: String?
  public var resume = false
  public var rank: Int?
  public var alpha: Double?
  public var dropout: Double?
  public var targets: [String]?
  public var layers: [Int]?
  public var rankStabilized: Bool?
  public var initialAdapter: String?
  /// Tokens whose rows are trained beside the adapter, by their text; `auto` among them for the chat template's own.
  public var trainedTokens: [String]?
  /// Modules that are trained whole beside the adapter.
  public var savedModules: [String]?
  /// Train all weights instead of an adapter.
  public var full = false
  /// The base's own dropout.
  public var baseDropout: Double?
  public var epochs: Double?
  public var maxSteps: Int?
  public var batchSize: Int?
  public var batchTokens: Int?
  public var gradientAccumulation: Int?
  /// Shares of an update; nil for one, or one a rank.
  public var shares: Int?
  public var learningRate: Double?
  public var scheduler: Schedule.Kind?
  public var minimumRate: Double?
  public var warmupSteps: Int?
  public var optimizer: Optimizer?
  /// Two.
  public var betas: [Double]?
  public var weightDecay: Double?
  public var maxGradientNorm: Double?
  public var evalEvery: Int?
  public var saveEvery: Int?
  public var keepCheckpoints: Int?
  public var earlyStopping: Int?
  public var shuffle: Bool?
  public var seed: UInt64?
  public var threads: Int?
  public var engine: Engine?
  public var gradientCheckpointing: Bool?
  /// Of so many of the lowest blocks.
  public var checkpointedLayers: Int?
  /// Bytes that the outputs of frozen layers may take on the disk; 0 for none.
  public var trunkCache: Int?
  public var quantization: QuantizationOptions?
  public var force = false
  /// As they were typed, for the run's own settings file.
  public var typedSettings: [TypedSetting] = []
  /// Starts though it is not going to fit in memory.
  public var ignoresMemory = false
  /// Says where the time goes; changes nothing else, so a resumed run may be asked too.
  public var profile = false
  /// Folder for TensorBoard's event files, in which the run has one of its own.
  public var tensorboard: String?
  /// The processes that train together; nil for this one alone.
  public var ranks: RankSession?

  public init() {}
}

extension TrainOptions {
  static let standardEpochs = 3.0
  static let standardSeed: UInt64 = 42
  /// Rows of a micro-batch that make products with weights fast; validations take as many at least.
  static let joinedRows = 512
  /// Tokens of a validation batch, at most: more at once gain nothing.
  static let mostValidationTokens = 4096.0

  var recordedEpochs: Double? { maxSteps == nil ? epochs ?? Self.standardEpochs : nil }

  /// What the user said, and the usual for the rest. Throws `usage` for what the data does not allow.
  /// `meanTokens` and `lengths` are of the samples; the latter are asked for where --batch-tokens is given.
  func settings(
    _ method: TrainingMethod, lora: LoRAConfiguration?, initialAdapter: String?, samples: Int, hasValidation: Bool,
    threads: Int, meanTokens: Double, lengths: () -> [Int]
  ) throws -> TrainingSettings {
    if !hasValidation, evalEvery != nil || earlyStopping != nil {
      throw SFTError(
        .usage, "there are no validation records to evaluate on",
        advice: method == .pretrain
          ? "Give \(OptionName.val) a share" : "Prepare the data with \(OptionName.val) or \(OptionName.valFile)")
    }
    let batch = batchTokens == nil ? batchSize ?? 8 : 0
    let accumulation = gradientAccumulation ?? 1
    let steps =
      try batchTokens.map { try updates(lengths(), tokens: $0 * accumulation) }
      ?? updates(samples, effectiveBatch: batch * accumulation)
    var settings = TrainingSettings(
      lora: lora, initialAdapter: initialAdapter, steps: steps, batchSize: batch, gradientAccumulation: accumulation,
      schedule: Schedule(
        kind: scheduler ?? .linear, learningRate: learningRate ?? 2e-4, minimum: minimumRate ?? 0,
        warmupSteps: warmupSteps ?? 0),
      beta1: betas?.first ?? 0.9, beta2: betas?.last ?? 0.999, weightDecay: weightDecay ?? 0.01,
      maxGradientNorm: maxGradientNorm ?? 1, shuffle: shuffle ?? true, seed: seed ?? Self.standardSeed,
      evalEvery: hasValidation ? evalEvery ?? max(1, (steps + 4) / 5) : 0,
      earlyStopping: hasValidation ? earlyStopping ?? 0 : 0, engine: engine ?? .auto, threads: threads,
      gradientCheckpointing: gradientCheckpointing ?? false, optimizer: optimizer ?? .adamw, method: method,
      dropout: baseDropout.flatMap { $0 > 0 ? $0 : nil }, batchTokens: batchTokens)
    settings.checkpointedLayers = checkpointedLayers
    let shares = shares ?? ranks?.group.count ?? 1
    settings.shares = shares > 1 ? shares : nil
    if accumulation > 1, settings.engine == .auto { settings.joinedRows = Self.joinedRows }
    // An update keeps more of as many rows than a validation takes for them.
    let expected = Double(batchTokens ?? 0) + Double(batch) * meanTokens
    if settings.evalEvery > 0, settings.engine == .auto, expected > Double(standardTokenBudget) {
      settings.validationTokens = Int(min(expected, Self.mostValidationTokens))
    }
    return settings
  }

  private func updates(_ samples: Int, effectiveBatch: Int) throws -> Int {
    if let maxSteps { return maxSteps }
    return try wholeNumber((epochs ?? Self.standardEpochs) * Double(samples) / Double(effectiveBatch))
  }

  /// Updates until the epochs' samples are taken, which depends on the order that they come in.
  private func updates(_ lengths: [Int], tokens: Int) throws -> Int {
    if let maxSteps { return maxSteps }
    let samples = try wholeNumber((epochs ?? Self.standardEpochs) * Double(lengths.count))
    var order = DataOrder(
      count: lengths.count, seed: shuffle ?? true ? seed ?? Self.standardSeed : nil, lengths: lengths)
    return order.updates(taking: samples, tokens: tokens)
  }

  /// Rounded up; 1 at least.
  private func wholeNumber(_ total: Double) throws -> Int {
    guard total.isFinite, total < 1e9 else { throw SFTError(.usage, "that many epochs cannot be") }
    // 2.2 × 50 is not quite 110 in binary.
    return max(1, Int((total - 1e-9 * total).rounded(.up)))
  }
}
