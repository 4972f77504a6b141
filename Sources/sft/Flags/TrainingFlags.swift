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
  var sweep: [Double]? { learning.rates.flatMap { $0.values.count > 1 ? $0.values : nil } }
  /// Whether the rate is to be found first.
  var findsRate: Bool { learning.rates?.isAuto ?? false }
}

/// Which run it is.
struct RunFlags: ParsableArguments {
  @Option(name: .customLong("run"), help: .takes("NAME", "The run's name (default: run-1, run-2, …)."))
  var name: String?

  @Flag(name: .long, help: "Go on from the newest sound checkpoint of \(OptionName.run), or of the newest run.")
  var resume = false

  func apply(to options: inout TrainOptions) {
    options.run = name
    options.resume = resume
  }
}

/// How long it learns, and at which rate.
struct LearningFlags: ParsableArguments {
  @Option(.learningRate) var rates: LearningRates?

  @Option(.epochs) var epochs: Double?

  @Option(.maxSteps) var maxSteps: Int?

  @Option(.scheduler) var scheduler: Schedule.Kind?

  @Option(.warmupSteps) var warmupSteps: Int?

  @Option(.minimumRate) var minimumRate: Double?

  func validate() throws {
    try rates?.validate()
    if rates?.isAuto != true { try checkMinimum(below: rates?.values.min() ?? 2e-4) }
    if epochs != nil, maxSteps != nil {
      throw ValidationError("Give \(OptionName.epochs) or \(OptionName.maxSteps), not both.")
    }
  }

  /// Throws where the rate would end above its highest.
  func checkMinimum(below rate: Double) throws {
    if let minimumRate, minimumRate > rate {
      throw ValidationError("\(OptionName.minLr) must not be above \(OptionName.lr).")
    }
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
  @Option(.evalEvery) var evalEvery: Int?

  @Option(.saveEvery) var saveEvery: Int?

  @Option(.keepCheckpoints) var keepCheckpoints: Int?

  @Option(.earlyStopping) var earlyStopping: Int?

  func apply(to options: inout TrainOptions) {
    options.evalEvery = evalEvery
    options.saveEvery = saveEvery
    options.keepCheckpoints = keepCheckpoints
    options.earlyStopping = earlyStopping
  }
}

/// What is told of it besides its metrics.
struct LoggingFlags: ParsableArguments {
  @Option(.tensorboard, completion: .directory) var tensorboard: String?

  @Flag(.profile) var profile = false

  func validate() throws {
    if let tensorboard, tensorboard.isEmpty { throw ValidationError("\(OptionName.tensorboard) takes a folder.") }
  }

  func apply(to options: inout TrainOptions) {
    options.tensorboard = tensorboard
    options.profile = profile
  }
}
