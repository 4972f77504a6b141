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
  @Option(
    name: .long,
    help: .takes("N", "Records of a micro-batch; an update takes so many times --grad-accum (default: 8)."))
  var batchSize: Int?

  @Option(
    name: .long,
    help: .takes(
      "N",
      """
      Tokens of a micro-batch, instead of --batch-size: an update takes records in order until their tokens, EOS included, \
      reach so many times --grad-accum.
      """))
  var batchTokens: Int?

  @Option(
    name: .customLong("grad-accum"),
    help: .takes(
      "N",
      """
      Micro-batches of an update, at most: made to cost about the same, and joined up to 512 rows, below which a pass \
      over the weights does not pay (default: 1).
      """))
  var gradientAccumulation: Int?

  @Option(
    name: .long,
    help: .takes("NAME", "adamw8bit keeps its moments in 8 bits, as bitsandbytes does (default: adamw)."))
  var optimizer: Optimizer?

  @Option(name: .long, help: .takes("B1,B2", "AdamW's betas (default: 0.9,0.999)."))
  var betas: String?

  @Option(name: .long, help: .takes("X", "AdamW's weight decay (default: 0.01)."))
  var weightDecay: Double?

  @Option(
    name: .customLong("max-grad-norm"),
    help: .takes("X", "Clip gradients to this norm; 0 for no clipping (default: 1)."))
  var maxGradientNorm: Double?

  @Option(
    name: .customLong("dropout"),
    help: .takes(
      "P",
      """
      Dropout on embeddings, attention weights and what is added to the stream, as GPT-2 has it; the configuration's own \
      is ignored (default: 0).
      """))
  var baseDropout: Double?

  @Flag(name: .long, help: "Take the records in their prepared order.")
  var noShuffle = false

  @Option(name: .long, help: .takes("N", "Seed of initialisation, order and dropout (default: 42)."))
  var seed: UInt64?

  func validate() throws {
    try atLeast(1, batchSize, "--batch-size")
    try atLeast(1, batchTokens, "--batch-tokens")
    try atLeast(1, gradientAccumulation, "--grad-accum")
    try atMost(65_536, batchSize, "--batch-size")
    try atMost(1 << 24, batchTokens, "--batch-tokens")
    try atMost(65_536, gradientAccumulation, "--grad-accum")
    try nonNegative(weightDecay, "--weight-decay")
    try nonNegative(maxGradientNorm, "--max-grad-norm")
    if batchSize != nil, batchTokens != nil { throw ValidationError("Give --batch-size or --batch-tokens, not both.") }
    _ = try parsedBetas()
    if let baseDropout, !(0..<1).contains(baseDropout) {
      throw ValidationError("--dropout must be from 0 to below 1.")
    }
  }

  private func parsedBetas() throws -> (Double, Double)? {
    guard let betas else { return nil }
    let numbers = betas.split(separator: ",", omittingEmptySubsequences: false).map { Double($0) }
    guard numbers.count == 2, let first = numbers[0], let second = numbers[1], (0..<1).contains(first),
      (0..<1).contains(second)
    else { throw ValidationError("--betas takes two numbers from 0 to below 1, such as 0.9,0.999.") }
    return (first, second)
  }

  func apply(to options: inout TrainOptions) throws {
    options.batchSize = batchSize
    options.batchTokens = batchTokens
    options.gradientAccumulation = gradientAccumulation
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
  @Option(name: .long, help: .threads)
  var threads: Int?

  @Flag(name: .long, help: "Compute activations again instead of keeping them: the same bits, less memory, more time.")
  var gradientCheckpointing = false

  @Option(
    name: .customLong("checkpoint-layers"),
    help: .takes("N", "Compute those of the N lowest layers again only, which takes less time and saves less."))
  var checkpointedLayers: Int?

  @Option(
    name: .long, help: .takes("NAME", "plain is the reference code, one sequence at a time (default: auto)."))
  var engine: Engine?

  func validate() throws {
    try atLeast(1, threads, "--threads")
    try atMost(4096, threads, "--threads")
    try atLeast(1, checkpointedLayers, "--checkpoint-layers")
    if gradientCheckpointing, checkpointedLayers != nil {
      throw ValidationError(
        "--gradient-checkpointing covers all layers; --checkpoint-layers is for some. Give one of them.")
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
  @Flag(name: .long, help: "Start even where that takes more memory than there is: see `sft plan`.")
  var noMemoryCheck = false
}
