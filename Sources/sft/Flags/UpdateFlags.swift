import ArgumentParser
import Core
import Kernels
import Pipeline
import Training

extension Optimizer: ExpressibleByArgument {}
extension Engine: ExpressibleByArgument {}

/// What an update depends on besides its learning rate, whatever is trained.
struct UpdateFlags: ParsableArguments {
  @OptionGroup(title: "Batches and optimiser") var optimization: OptimizationFlags
  @OptionGroup(title: "Computing") var computing: ComputingFlags

  func apply(to options: inout TrainOptions) throws {
    try optimization.apply(to: &options)
    computing.apply(to: &options)
  }
}

/// What the numbers of an update depend on.
struct OptimizationFlags: ParsableArguments {
  @Option(.batchSize) var batchSize: Int?

  @Option(.batchTokens) var batchTokens: Int?

  @Option(.gradientAccumulation) var gradientAccumulation: Int?

  @Option(.shares) var shares: Int?

  @Option(.optimizer) var optimizer: Optimizer?

  @Option(.betas) var betas: String?

  @Option(.weightDecay) var weightDecay: Double?

  @Option(.maxGradientNorm) var maxGradientNorm: Double?

  @Option(.baseDropout) var baseDropout: Double?

  @Flag(.noShuffle) var noShuffle = false

  @Option(.seed) var seed: UInt64?

  func validate() throws {
    if batchSize != nil, batchTokens != nil {
      throw ValidationError("Give \(OptionName.batchSize) or \(OptionName.batchTokens), not both.")
    }
    _ = try parsedBetas()
  }

  private func parsedBetas() throws -> [Double]? {
    guard let betas else { return nil }
    let numbers = betas.split(separator: ",", omittingEmptySubsequences: false).map { Double($0) }
    guard numbers.count == 2, case let known = numbers.compactMap(\.self), known.count == 2,
      known.allSatisfy((0..<1).contains)
    else {
      throw ValidationError("\(OptionName.betas) takes two numbers from 0 to below 1, such as 0.9,0.999.")
    }
    return known
  }

  func apply(to options: inout TrainOptions) throws {
    options.batchSize = batchSize
    options.batchTokens = batchTokens
    options.gradientAccumulation = gradientAccumulation
    options.shares = shares
    options.optimizer = optimizer
    options.betas = try parsedBetas()
    options.weightDecay = weightDecay
    options.maxGradientNorm = maxGradientNorm
    options.shuffle = noShuffle ? false : nil
    options.seed = seed
    options.baseDropout = baseDropout
  }
}

/// How it is computed.
struct ComputingFlags: ParsableArguments {
  @Option(.threads) var threads: Int?

  @Flag(.gradientCheckpointing) var gradientCheckpointing = false

  @Option(.checkpointedLayers) var checkpointedLayers: Int?

  @Option(.engine) var engine: Engine?

  func validate() throws {
    if gradientCheckpointing, checkpointedLayers != nil {
      throw ValidationError(
        "\(OptionName.gradientCheckpointing) covers all layers; \(OptionName.checkpointLayers) is for some. Give one of them."
      )
    }
  }

  func apply(to options: inout TrainOptions) {
    options.threads = threads
    options.gradientCheckpointing = gradientCheckpointing ? true : nil
    options.checkpointedLayers = checkpointedLayers
    options.engine = engine
  }
}

/// Whether a training starts where it does not fit.
struct MemoryFlags: ParsableArguments {
  @Flag(.noMemoryCheck) var noMemoryCheck = false
}
