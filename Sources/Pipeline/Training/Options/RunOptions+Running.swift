import Core
import Kernels
import Training

/// When a run is looked at and saved, and how it is computed.
extension RunOption {
  public static let evalEvery = RunOption(
    .evalEvery, "N",
    """
    Updates between validations, each on all records (default: five validations a run; fewer, or on some records only, \
    where they would take more than a tenth of the updates' time).
    """, given: \.evalEvery, bounds: .atLeast(1),
    shown: [("settings.evalEvery", "updates between validations (0: none)")], recorded: { $0.settings.evalEvery },
    change: { options, configuration, _ in
      let settings = configuration.settings
      guard let every = options.evalEvery else { return nil }
      if every != settings.evalEvery { return "\(OptionName.evalEvery) \(every) (it was \(settings.evalEvery))" }
      return settings.validationRecords.map {
        "\(OptionName.evalEvery) \(every) (each was on \(counted($0, "validation record")) only)"
      }
    })

  public static let earlyStopping = RunOption(
    .earlyStopping, "N", "Stop after so many validations without a new best (default: never).", given: \.earlyStopping,
    bounds: .atLeast(1),
    shown: [("settings.earlyStopping", "stops after validations without a new best (0: never)")],
    recorded: { $0.settings.earlyStopping })

  public static let saveEvery = RunOption(
    .saveEvery, "N", "Updates between checkpoints; 0 for the end only (default: 50).", given: \.saveEvery,
    bounds: .atLeast(0), shown: [("saveEvery", "updates between checkpoints")], recorded: { $0.saveEvery })

  public static let keepCheckpoints = RunOption(
    .keepCheckpoints, "N", "Newest checkpoints to keep (default: 2).", given: \.keepCheckpoints, bounds: .atLeast(1),
    shown: [("keepCheckpoints", "checkpoints kept")], recorded: { $0.keepCheckpoints })

  public static let engine = RunOption(
    .engine, "NAME", "plain is the reference code, one sequence at a time (default: auto).", given: \.engine,
    role: .computing, shown: [("settings.engine", "engine")], recorded: { $0.settings.engine })

  public static let threads = RunOption(
    .threads, "N", "Threads (default: the cores this process may use).", given: \.threads, bounds: .whole(1...4096),
    role: .computing, shown: [("settings.threads", "threads")], recorded: { $0.settings.threads })

  public static let gradientCheckpointing = RunOption(
    .gradientCheckpointing, nil,
    "Compute activations again instead of keeping them: the same bits, less memory, more time.",
    given: \.gradientCheckpointing, shown: [("settings.gradientCheckpointing", "gradient checkpointing")],
    recorded: { $0.settings.gradientCheckpointing })

  public static let checkpointedLayers = RunOption(
    .checkpointLayers, "N",
    "Compute those of the N lowest layers again only, which takes less time and saves less.",
    given: \.checkpointedLayers, bounds: .atLeast(1),
    shown: [("settings.checkpointedLayers", "gradient checkpointing of the lowest layers")],
    recorded: { $0.settings.checkpointedLayers ?? 0 })

  public static let noMemoryCheck = RunOption(
    .noMemoryCheck, nil, "Start even where that takes more memory than there is: see `sft plan`.",
    unrecorded: \.givenNoMemoryCheck)

  public static let tensorboard = RunOption(
    .tensorboard, "DIR", "Write TensorBoard's event files to DIR/RUN; a resumed run goes on with it.",
    given: \.tensorboard, shown: [("tensorboard", "TensorBoard folder")], isFixed: false,
    recorded: { $0.tensorboard })

  public static let profile = RunOption(
    .profile, nil, "Say at the end where the time went, operation by operation.", unrecorded: \.givenProfile)

  static let ofRunning = [
    evalEvery, earlyStopping, saveEvery, keepCheckpoints, engine, threads, gradientCheckpointing, checkpointedLayers,
    noMemoryCheck, tensorboard, profile,
  ]

  /// In the order in which a run is shown.
  public static let all = ofSource + ofAdapter + ofLearning + ofRunning
}

extension Schedule.Kind: RunOptionValue {}
extension Optimizer: RunOptionValue {}
extension Engine: RunOptionValue {}

/// Flags, as a parser has them: nil where they were not given.
extension TrainOptions {
  var givenFull: Bool? { full ? true : nil }
  var givenForce: Bool? { force ? true : nil }
  var givenProfile: Bool? { profile ? true : nil }
  var givenNoMemoryCheck: Bool? { ignoresMemory ? true : nil }
  var givenNoShuffle: Bool? { shuffle.map { !$0 } }
  var givenQuantization: String? { quantization?.description }
}
