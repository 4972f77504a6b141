import Kernels
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
  public var epochs: Double?
  public var maxSteps: Int?
  public var batchSize: Int?
  public var batchTokens: Int?
  public var gradientAccumulation: Int?
  public var learningRate: Double?
  public var scheduler: Schedule.Kind?
  public var minimumRate: Double?
  public var warmupSteps: Int?
  public var optimizer: Optimizer?
  public var betas: (Double, Double)?
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
  /// Bytes that the outputs of frozen layers may take on the disk; 0 for none.
  public var trunkCache: Int?
  public var quantization: QuantizationOptions?
  public var force = false
  /// Says where the time goes; changes nothing else, so a resumed run may be asked too.
  public var profile = false

  public init() {}
}
