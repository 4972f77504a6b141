import Core
import Kernels
import Training

/// How long a run learns, at which rate, and by which updates.
extension RunOption {
  public static let learningRate = RunOption(
    .lr, "RATE",
    """
    Highest learning rate; or several with commas between, each a run of its own; or auto, for the one that `sft lr-find` \
    suggests (default: 2e-4).
    """,
    given: \.learningRate, bounds: .positive, role: .schedule,
    shown: [("settings.schedule.learningRate", "learning rate")], recorded: { $0.settings.schedule.learningRate })

  public static let scheduler = RunOption(
    .scheduler, "KIND", "How the rate goes on after the warm-up (default: linear).", given: \.scheduler,
    role: .schedule, shown: [("settings.schedule.kind", "schedule")], recorded: { $0.settings.schedule.kind })

  public static let minimumRate = RunOption(
    .minLr, "RATE", "Where linear and cosine end (default: 0).", given: \.minimumRate, bounds: .notNegative,
    role: .schedule, shown: [("settings.schedule.minimum", "rate at its end")],
    recorded: { $0.settings.schedule.minimum })

  public static let warmupSteps = RunOption(
    .warmupSteps, "N", "Updates of linear warm-up (default: 0).", given: \.warmupSteps,
    bounds: .whole(0...1_000_000_000), role: .schedule,
    shown: [("settings.schedule.warmupSteps", "updates of warm-up")],
    recorded: { $0.settings.schedule.warmupSteps })

  public static let epochs = RunOption(
    .epochs, "N", "Times through the training records (default: 3).", given: \.epochs, bounds: .positive,
    shown: [("epochs", "epochs")], recorded: { $0.epochs },
    change: { options, configuration, _ in
      options.epochs.flatMap { $0 == configuration.epochs ? nil : "\(OptionName.epochs) \($0)" }
    })

  public static let maxSteps = RunOption(
    .maxSteps, "N", "Updates, instead of \(OptionName.epochs).", given: \.maxSteps, bounds: .whole(1...1_000_000_000),
    role: .schedule, parameter: "steps", shown: [("settings.steps", "updates")], recorded: { $0.settings.steps })

  public static let batchSize = RunOption(
    .batchSize, "N", "Records of a micro-batch; an update takes so many times \(OptionName.gradAccum) (default: 8).",
    given: \.batchSize, bounds: .whole(1...65_536), role: .update,
    shown: [("settings.batchSize", "records of a batch")], recorded: { $0.settings.batchSize },
    change: { options, configuration, _ in
      guard let size = options.batchSize else { return nil }
      if let tokens = configuration.settings.batchTokens {
        return "\(OptionName.batchSize) \(size) (it was \(OptionName.batchTokens) \(tokens))"
      }
      let its = configuration.settings.batchSize
      return size == its ? nil : "\(OptionName.batchSize) \(size) (it was \(its))"
    })

  public static let batchTokens = RunOption(
    .batchTokens, "N",
    """
    Tokens of a micro-batch, instead of \(OptionName.batchSize): an update takes records in order until their tokens, EOS \
    included, reach so many times \(OptionName.gradAccum).
    """, given: \.batchTokens, bounds: .whole(1...(1 << 24)), role: .update,
    shown: [("settings.batchTokens", "tokens of a batch")], recorded: { $0.settings.batchTokens },
    change: { options, configuration, _ in
      guard let tokens = options.batchTokens else { return nil }
      guard let its = configuration.settings.batchTokens else {
        let size = configuration.settings.batchSize
        return "\(OptionName.batchTokens) \(tokens) (it was \(OptionName.batchSize) \(size))"
      }
      return tokens == its ? nil : "\(OptionName.batchTokens) \(tokens) (it was \(its))"
    })

  public static let gradientAccumulation = RunOption(
    .gradAccum, "N",
    """
    Micro-batches of an update, at most: made to cost about the same, and joined up to 512 rows, below which a pass over \
    the weights does not pay (default: 1).
    """, given: \.gradientAccumulation, bounds: .whole(1...65_536), role: .update,
    shown: [("settings.gradientAccumulation", "batches of an update")],
    recorded: { $0.settings.gradientAccumulation })

  public static let shares = RunOption(
    .shares, "N",
    """
    Divide an update's records into so many shares, whose gradients are summed in a fixed order: the same bits in one process \
    as in up to so many that MPI starts (default: one a process).
    """, given: \.shares, bounds: .whole(1...1024), role: .computing,
    shown: [("settings.shares", "shares of an update")], recorded: { $0.settings.shareCount })

  public static let optimizer = RunOption(
    .optimizer, "NAME", "adamw8bit keeps its moments in 8 bits, as bitsandbytes does (default: adamw).",
    given: \.optimizer, role: .update, shown: [("settings.optimizer", "optimizer")],
    recorded: { $0.settings.optimizer })

  public static let betas = RunOption(
    .betas, "B1,B2", "AdamW's betas (default: 0.9,0.999).", given: \.betas, bounds: .share, role: .update,
    parameter: "beta", shown: [("settings.beta1", "beta 1"), ("settings.beta2", "beta 2")],
    recorded: { [$0.settings.beta1, $0.settings.beta2] })

  public static let weightDecay = RunOption(
    .weightDecay, "X", "AdamW's weight decay (default: 0.01).", given: \.weightDecay, bounds: .notNegative,
    role: .update, shown: [("settings.weightDecay", "weight decay")], recorded: { $0.settings.weightDecay })

  public static let maxGradientNorm = RunOption(
    .maxGradNorm, "X", "Clip gradients to this norm; 0 for no clipping (default: 1).", given: \.maxGradientNorm,
    bounds: .notNegative, role: .update, shown: [("settings.maxGradientNorm", "gradient norm at most (0: any)")],
    recorded: { $0.settings.maxGradientNorm })

  public static let baseDropout = RunOption(
    .dropout, "P",
    """
    Dropout on embeddings, attention weights and what is added to the stream, as GPT-2 has it; the configuration's own is \
    ignored (default: 0).
    """, given: \.baseDropout, bounds: .share, role: .update, shown: [("settings.dropout", "dropout of the base")],
    recorded: { $0.settings.dropout ?? 0 })

  public static let noShuffle = RunOption(
    .noShuffle, nil, "Take the records in their prepared order.", given: \.givenNoShuffle, role: .update,
    shown: [("settings.shuffle", "shuffled")], recorded: { !$0.settings.shuffle })

  public static let seed = RunOption(
    .seed, "N", "Seed of initialisation, order and dropout (default: 42).", given: \.seed, role: .update,
    shown: [("settings.seed", "seed")], recorded: { $0.settings.seed })

  static let ofLearning = [
    learningRate, scheduler, minimumRate, warmupSteps, epochs, maxSteps, batchSize, batchTokens, gradientAccumulation,
    shares,
    optimizer, betas, weightDecay, maxGradientNorm, baseDropout, noShuffle, seed,
  ]
}
