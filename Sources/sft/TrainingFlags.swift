import ArgumentParser
import Core
import Glibc
import Kernels
import Pipeline
import Training

extension Schedule.Kind: ExpressibleByArgument {}
extension Optimizer: ExpressibleByArgument {}
extension Engine: ExpressibleByArgument {}

/// How a run trains, whatever it trains.
struct TrainingFlags: ParsableArguments {
  @Option(name: .long, help: "Times through the training records (default: 3).")
  var epochs: Double?

  @Option(name: .long, help: "Updates, instead of --epochs.")
  var maxSteps: Int?

  @Option(name: .long, help: "Records of a micro-batch; an update takes so many times --grad-accum (default: 8).")
  var batchSize: Int?

  @Option(
    name: .long,
    help: """
      Tokens of a micro-batch, instead of --batch-size: an update takes records in order until their tokens, EOS included, \
      reach so many times --grad-accum.
      """)
  var batchTokens: Int?

  @Option(
    name: .customLong("grad-accum"), help: "Micro-batches of an update, made to cost about the same (default: 1).")
  var gradientAccumulation: Int?

  @Option(name: .customLong("lr"), help: "Highest learning rate (default: 2e-4).")
  var learningRate: Double?

  @Option(name: .long, help: "constant, linear or cosine (default: linear).")
  var scheduler: Schedule.Kind?

  @Option(name: .customLong("min-lr"), help: "Where linear and cosine end (default: 0).")
  var minimumRate: Double?

  @Option(name: .long, help: "Updates of linear warm-up (default: 0).")
  var warmupSteps: Int?

  @Option(
    name: .long, help: "adamw, or adamw8bit: its moments in 8 bits, as bitsandbytes keeps them (default: adamw).")
  var optimizer: Optimizer?

  @Option(name: .long, help: "AdamW's betas (default: 0.9,0.999).")
  var betas: String?

  @Option(name: .long, help: "AdamW's weight decay (default: 0.01).")
  var weightDecay: Double?

  @Option(name: .customLong("max-grad-norm"), help: "Clip gradients to this norm; 0 for no clipping (default: 1).")
  var maxGradientNorm: Double?

  @Option(name: .long, help: "Updates between validations (default: five times a run).")
  var evalEvery: Int?

  @Option(name: .long, help: "Updates between checkpoints; 0 for the end only (default: 50).")
  var saveEvery: Int?

  @Option(name: .long, help: "Newest checkpoints to keep (default: 2).")
  var keepCheckpoints: Int?

  @Option(name: .long, help: "Stop after so many validations without a new best (default: never).")
  var earlyStopping: Int?

  @Flag(name: .long, help: "Take the records in their prepared order.")
  var noShuffle = false

  @Option(name: .long, help: "Seed of initialisation, order and dropout (default: 42).")
  var seed: UInt64?

  @Option(name: .long, help: "Threads (default: the cores this process may use).")
  var threads: Int?

  @Option(name: .long, help: "auto, or plain: the reference code, one sequence at a time (default: auto).")
  var engine: Engine?

  @Flag(name: .long, help: "Compute activations again instead of keeping them: the same bits, less memory, more time.")
  var gradientCheckpointing = false

  @Option(
    name: .long, help: "Write TensorBoard's event files to DIR/RUN; a resumed run goes on with it.",
    completion: .directory)
  var tensorboard: String?

  @Option(
    name: .customLong("dropout"),
    help: """
      Dropout on embeddings, attention weights and what is added to the stream, as GPT-2 has it; the configuration's own \
      is ignored (default: 0).
      """)
  var baseDropout: Double?

  @Flag(name: .long, help: "Say at the end where the time went, operation by operation.")
  var profile = false

  func validate() throws {
    func atLeast(_ bound: Int, _ value: Int?, _ flag: String) throws {
      if let value, value < bound { throw ValidationError("\(flag) must be at least \(bound).") }
    }
    func atMost(_ bound: Int, _ value: Int?, _ flag: String) throws {
      if let value, value > bound { throw ValidationError("\(flag) must be at most \(grouped(bound)).") }
    }
    func positive(_ value: Double?, _ flag: String) throws {
      if let value, !(value > 0 && value.isFinite) { throw ValidationError("\(flag) must be above 0.") }
    }
    func nonNegative(_ value: Double?, _ flag: String) throws {
      if let value, !(value >= 0 && value.isFinite) { throw ValidationError("\(flag) must not be negative.") }
    }
    try atLeast(1, maxSteps, "--max-steps")
    try atLeast(1, batchSize, "--batch-size")
    try atLeast(1, batchTokens, "--batch-tokens")
    try atLeast(1, gradientAccumulation, "--grad-accum")
    try atLeast(0, warmupSteps, "--warmup-steps")
    try atLeast(1, evalEvery, "--eval-every")
    try atLeast(0, saveEvery, "--save-every")
    try atLeast(1, keepCheckpoints, "--keep-checkpoints")
    try atLeast(1, earlyStopping, "--early-stopping")
    try atLeast(1, threads, "--threads")
    try atMost(1_000_000_000, maxSteps, "--max-steps")
    try atMost(65_536, batchSize, "--batch-size")
    try atMost(1 << 24, batchTokens, "--batch-tokens")
    try atMost(65_536, gradientAccumulation, "--grad-accum")
    try atMost(1_000_000_000, warmupSteps, "--warmup-steps")
    try atMost(4096, threads, "--threads")
    try positive(epochs, "--epochs")
    try positive(learningRate, "--lr")
    try nonNegative(minimumRate, "--min-lr")
    try nonNegative(weightDecay, "--weight-decay")
    try nonNegative(maxGradientNorm, "--max-grad-norm")
    if let minimumRate, minimumRate > learningRate ?? 2e-4 {
      throw ValidationError("--min-lr must not be above --lr.")
    }
    if epochs != nil, maxSteps != nil { throw ValidationError("Give --epochs or --max-steps, not both.") }
    if batchSize != nil, batchTokens != nil { throw ValidationError("Give --batch-size or --batch-tokens, not both.") }
    if let tensorboard, tensorboard.isEmpty { throw ValidationError("--tensorboard takes a folder.") }
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
    options.epochs = epochs
    options.tensorboard = tensorboard
    options.maxSteps = maxSteps
    options.batchSize = batchSize
    options.batchTokens = batchTokens
    options.gradientAccumulation = gradientAccumulation
    options.learningRate = learningRate
    options.scheduler = scheduler
    options.minimumRate = minimumRate
    options.warmupSteps = warmupSteps
    options.optimizer = optimizer
    options.betas = try parsedBetas()
    options.weightDecay = weightDecay
    options.maxGradientNorm = maxGradientNorm
    options.evalEvery = evalEvery
    options.saveEvery = saveEvery
    options.keepCheckpoints = keepCheckpoints
    options.earlyStopping = earlyStopping
    options.shuffle = noShuffle ? false : nil
    options.seed = seed
    options.threads = threads
    options.engine = engine
    options.gradientCheckpointing = gradientCheckpointing ? true : nil
    options.baseDropout = baseDropout
    options.profile = profile
  }
}

/// Runs a training with the display of it, stops it in order when asked to, and reports how it ended.
func runTraining(
  _ common: CommonOptions,
  _ train: (
    _ workspace: Workspace, _ shouldStop: @escaping () -> Bool, _ event: @escaping (TrainEvent) -> Void
  ) throws -> (RunFolder, TrainingOutcome?)
) throws {
  let progress = Progress(quiet: common.quiet)
  let workspace = Workspace(common.workspace) { progress.note($0) }
  Interrupt.stopsOrderly()
  // Whoever reads the progress may go; the run goes on.
  signal(SIGPIPE, SIG_IGN)
  let display = TrainDisplay(progress)
  let (folder, outcome) = try train(workspace, { Interrupt.requested }) { display.show($0) }
  progress.close()
  if let outcome, outcome.interrupted {
    throw SFTError(
      .interrupted, "stopped after step \(outcome.steps); a checkpoint is saved",
      advice: "Go on with `\(display.resumeCommand ?? "sft train --run \(folder.name) --resume")`")
  }
  if common.json {
    try Terminal.printJSON(TrainReport(run: folder.name, path: folder.path, outcome: outcome, profile: display.profile))
  } else if let outcome {
    print(display.summary(folder, outcome))
  }
}

private struct TrainReport: Encodable {
  var run: String
  var path: String
  var steps: Int?
  var stopped_early: Bool?
  var best_loss: Double?
  var best_step: Int?
  var profile: Profile?

  init(run: String, path: String, outcome: TrainingOutcome?, profile: Profile?) {
    self.run = run
    self.path = path
    steps = outcome?.steps
    stopped_early = outcome?.stoppedEarly
    best_loss = outcome?.bestLoss
    best_step = outcome?.bestStep
    self.profile = profile
  }
}
