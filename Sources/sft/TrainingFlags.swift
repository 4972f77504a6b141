import ArgumentParser
import Core
import Pipeline
import Training

extension Schedule.Kind: ExpressibleByArgument {}

/// How a run trains, whatever it trains.
struct TrainingFlags: ParsableArguments {
  @Option(name: .long, help: "Times through the training records (default: 3).")
  var epochs: Double?

  @Option(name: .long, help: "Updates, instead of --epochs.")
  var maxSteps: Int?

  @OptionGroup var update: UpdateFlags

  @Option(
    name: .customLong("lr"),
    help: "Highest learning rate; or several with commas between, each a run of its own (default: 2e-4).")
  var rates: LearningRates?

  @Option(name: .long, help: "constant, linear or cosine (default: linear).")
  var scheduler: Schedule.Kind?

  @Option(name: .customLong("min-lr"), help: "Where linear and cosine end (default: 0).")
  var minimumRate: Double?

  @Option(name: .long, help: "Updates of linear warm-up (default: 0).")
  var warmupSteps: Int?

  @Option(name: .long, help: "Updates between validations (default: five times a run).")
  var evalEvery: Int?

  @Option(name: .long, help: "Updates between checkpoints; 0 for the end only (default: 50).")
  var saveEvery: Int?

  @Option(name: .long, help: "Newest checkpoints to keep (default: 2).")
  var keepCheckpoints: Int?

  @Option(name: .long, help: "Stop after so many validations without a new best (default: never).")
  var earlyStopping: Int?

  @Option(
    name: .long, help: "Write TensorBoard's event files to DIR/RUN; a resumed run goes on with it.",
    completion: .directory)
  var tensorboard: String?

  @Flag(name: .long, help: "Say at the end where the time went, operation by operation.")
  var profile = false

  func validate() throws {
    try atLeast(1, maxSteps, "--max-steps")
    try atLeast(0, warmupSteps, "--warmup-steps")
    try atLeast(1, evalEvery, "--eval-every")
    try atLeast(0, saveEvery, "--save-every")
    try atLeast(1, keepCheckpoints, "--keep-checkpoints")
    try atLeast(1, earlyStopping, "--early-stopping")
    try atMost(1_000_000_000, maxSteps, "--max-steps")
    try atMost(1_000_000_000, warmupSteps, "--warmup-steps")
    try positive(epochs, "--epochs")
    try rates?.validate()
    try nonNegative(minimumRate, "--min-lr")
    if let minimumRate, minimumRate > rates?.values.min() ?? 2e-4 {
      throw ValidationError("--min-lr must not be above --lr.")
    }
    if epochs != nil, maxSteps != nil { throw ValidationError("Give --epochs or --max-steps, not both.") }
    if let tensorboard, tensorboard.isEmpty { throw ValidationError("--tensorboard takes a folder.") }
  }

  func apply(to options: inout TrainOptions) throws {
    try update.apply(to: &options)
    options.epochs = epochs
    options.tensorboard = tensorboard
    options.maxSteps = maxSteps
    options.learningRate = rates?.single
    options.scheduler = scheduler
    options.minimumRate = minimumRate
    options.warmupSteps = warmupSteps
    options.evalEvery = evalEvery
    options.saveEvery = saveEvery
    options.keepCheckpoints = keepCheckpoints
    options.earlyStopping = earlyStopping
    options.profile = profile
  }

  /// The rates where there are several; each is then a run.
  var sweep: [Double]? { rates.flatMap { $0.single == nil ? $0.values : nil } }
}
