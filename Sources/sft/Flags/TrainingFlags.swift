import ArgumentParser
import Core
import Pipeline
import Training

extension Schedule.Kind: ExpressibleByArgument {}

/// How a run trains, whatever it trains.
struct TrainingFlags: ParsableArguments {
  @OptionGroup(title: "Learning") var learning: LearningFlags
  @OptionGroup var update: UpdateFlags
  @OptionGroup(title: "Validation and checkpoints") var safety: CheckpointFlags
  @OptionGroup(title: "Run") var logging: LoggingFlags

  func apply(to options: inout TrainOptions) throws {
    learning.apply(to: &options)
    try update.apply(to: &options)
    safety.apply(to: &options)
    logging.apply(to: &options)
  }

  /// The rates where there are several; each is then a run.
  var sweep: [Double]? { learning.rates.flatMap { $0.single == nil ? $0.values : nil } }
}

/// Which run it is.
struct RunFlags: ParsableArguments {
  @Option(name: .customLong("run"), help: .takes("NAME", "The run's name (default: run-1, run-2, …)."))
  var name: String?

  @Flag(name: .long, help: "Go on from the newest sound checkpoint of --run, or of the newest run.")
  var resume = false

  func apply(to options: inout TrainOptions) {
    options.run = name
    options.resume = resume
  }
}

/// How long it learns, and at which rate.
struct LearningFlags: ParsableArguments {
  @Option(
    name: .customLong("lr"),
    help: .takes(
      "RATE", "Highest learning rate; or several with commas between, each a run of its own (default: 2e-4)."))
  var rates: LearningRates?

  @Option(name: .long, help: .takes("N", "Times through the training records (default: 3)."))
  var epochs: Double?

  @Option(name: .long, help: .takes("N", "Updates, instead of --epochs."))
  var maxSteps: Int?

  @Option(name: .long, help: .takes("KIND", "How the rate goes on after the warm-up (default: linear)."))
  var scheduler: Schedule.Kind?

  @Option(name: .long, help: .takes("N", "Updates of linear warm-up (default: 0)."))
  var warmupSteps: Int?

  @Option(name: .customLong("min-lr"), help: .takes("RATE", "Where linear and cosine end (default: 0)."))
  var minimumRate: Double?

  func validate() throws {
    try atLeast(1, maxSteps, "--max-steps")
    try atLeast(0, warmupSteps, "--warmup-steps")
    try atMost(1_000_000_000, maxSteps, "--max-steps")
    try atMost(1_000_000_000, warmupSteps, "--warmup-steps")
    try positive(epochs, "--epochs")
    try rates?.validate()
    try nonNegative(minimumRate, "--min-lr")
    if let minimumRate, minimumRate > rates?.values.min() ?? 2e-4 {
      throw ValidationError("--min-lr must not be above --lr.")
    }
    if epochs != nil, maxSteps != nil { throw ValidationError("Give --epochs or --max-steps, not both.") }
  }

  func apply(to options: inout TrainOptions) {
    options.epochs = epochs
    options.maxSteps = maxSteps
    options.learningRate = rates?.single
    options.scheduler = scheduler
    options.minimumRate = minimumRate
    options.warmupSteps = warmupSteps
  }
}

/// When it is looked at and saved.
struct CheckpointFlags: ParsableArguments {
  @Option(
    name: .long,
    help: .takes(
      "N",
      """
      Updates between validations, each on all records (default: five validations a run; fewer, or on some records only, \
      where they would take more than a tenth of the updates' time).
      """))
  var evalEvery: Int?

  @Option(name: .long, help: .takes("N", "Updates between checkpoints; 0 for the end only (default: 50)."))
  var saveEvery: Int?

  @Option(name: .long, help: .takes("N", "Newest checkpoints to keep (default: 2)."))
  var keepCheckpoints: Int?

  @Option(name: .long, help: .takes("N", "Stop after so many validations without a new best (default: never)."))
  var earlyStopping: Int?

  func validate() throws {
    try atLeast(1, evalEvery, "--eval-every")
    try atLeast(0, saveEvery, "--save-every")
    try atLeast(1, keepCheckpoints, "--keep-checkpoints")
    try atLeast(1, earlyStopping, "--early-stopping")
  }

  func apply(to options: inout TrainOptions) {
    options.evalEvery = evalEvery
    options.saveEvery = saveEvery
    options.keepCheckpoints = keepCheckpoints
    options.earlyStopping = earlyStopping
  }
}

/// What is told of it besides its metrics.
struct LoggingFlags: ParsableArguments {
  @Option(
    name: .long, help: .takes("DIR", "Write TensorBoard's event files to DIR/RUN; a resumed run goes on with it."),
    completion: .directory)
  var tensorboard: String?

  @Flag(name: .long, help: "Say at the end where the time went, operation by operation.")
  var profile = false

  func validate() throws {
    if let tensorboard, tensorboard.isEmpty { throw ValidationError("--tensorboard takes a folder.") }
  }

  func apply(to options: inout TrainOptions) {
    options.tensorboard = tensorboard
    options.profile = profile
  }
}
