import Artifacts
import Core
import Files
import Kernels
import Models
import Training

/// What a run takes, before it is started.
extension TrainRun {
  /// The plan of a new run with these options, with what would make it fit where it does not. No weight is read, and nothing is
  /// left in the workspace but how fast this machine was found to be.
  public func plan() throws -> TrainingPlan { try plan(isKept: true) }

  /// The plan of a new run with these options; without `isKept` of its updates alone, no validations and checkpoints.
  func plan(isKept: Bool) throws -> TrainingPlan {
    let (data, opened) = try openForPlan(
      try workspace.preparedReference(options.prepared), options.model, threads: options.threads)
    let planner = try planner(data, opened)
    let run = Planner.Run(
      settings: try plannedSettings(data, opened, planner.outline, validates: isKept),
      quantization: opened.checkpoint.quantizedNames.isEmpty ? options.quantization : nil,
      checkpoints: isKept ? options.keepCheckpoints ?? 2 : nil, maxLength: data.summary.maxLength)
    return try planner.planWithSuggestions(run)
  }

  /// The plan of a run whose settings are recorded.
  func plan(_ configuration: RunConfiguration) throws -> TrainingPlan {
    let (data, opened) = try openForPlan(
      configuration.prepared, configuration.model, threads: configuration.settings.threads)
    return try planner(data, opened).planWithSuggestions(Planner.Run(configuration))
  }

  private func planner(_ data: PreparedData, _ opened: OpenedModel) throws -> Planner {
    try Planner(workspace, opened, trainingData(data, opened.tokenizer), own: inputs.memory) {
      TrunkStage.rows(data).reduce(0, +)
    }
  }

  func announce(_ plan: TrainingPlan) throws { try plan.announce(options, event) }

  private func openForPlan(
    _ reference: ArtifactReference?, _ model: String?, threads: Int?
  ) throws -> (PreparedData, OpenedModel) {
    guard let data = try inputs.data(reference, workspace, threads: threads ?? Compute.availableThreads) else {
      throw SFTError(
        .notFound, "there is no prepared data in \(workspace.path)", advice: "Run `sft prepare FILE` first")
    }
    return (data, try inputs.opened(model ?? data.summary.model, for: data, workspace))
  }

  /// As a new run would record them.
  private func plannedSettings(
    _ data: PreparedData, _ opened: OpenedModel, _ outline: Decoder, validates: Bool
  ) throws -> TrainingSettings {
    if options.full { try opened.checkpoint.refuseTraining() }
    if options.quantization != nil { try opened.checkpoint.refuseQuantizing() }
    let threads = options.threads ?? Compute.availableThreads
    let lora =
      try options.full
      ? nil
      : options.initialAdapter.map { try AdapterFolder.describe($0).configuration }
        ?? askedLoRA(data, opened.location.folder, opened.tokenizer, opened.checkpoint.configuration)
    var settings = try options.settings(
      options.full ? .full : .adapter, lora: lora, initialAdapter: nil, samples: data.training.count,
      hasValidation: validates && !data.validation.isEmpty, threads: threads,
      meanTokens: data.summary.lengths.mean, lengths: { data.training.map(data.length) })
    let lowest = try lora.map { try Adapter($0, for: outline, takesValues: false).lowestLayer } ?? 0
    if lora != nil {
      settings.trunkLayer =
        TrunkDecision(
          settings, data, lowestLayer: lowest, width: outline.configuration.width, limit: options.trunkCache,
          freeBytes: workspace.freeBytes
        ).layer
    }
    guard validates else { return settings }
    try options.planValidation(&settings, trainingData(data, opened.tokenizer), outline, lowestLayer: lowest)
    return settings
  }
}

extension TrainingPlan {
  /// Tells the plan, and throws `usage` where the run does not fit, unless that is insisted on. Ranks share
  /// the work; what they send each other is not counted.
  func announce(_ options: TrainOptions, _ event: (TrainEvent) -> Void) throws {
    var shared = self
    if let ranks = options.ranks?.group.count {
      let workers = Double(min(ranks, options.shares ?? ranks))
      shared.secondsPerUpdate /= workers
      shared.seconds /= workers
    }
    event(.planned(shared))
    guard !fits, !options.ignoresMemory, let available = availableMemoryBytes else { return }
    let ways = suggestions.prefix(3).map { "\($0.flags) (\(byteCount($0.peakMemoryBytes)))" }
    throw SFTError(
      .usage,
      "the run would take \(byteCount(peakMemoryBytes)) of memory, and \(byteCount(available)) are available",
      advice: (ways.isEmpty
        ? "Use a smaller model or a machine with more" : "It would fit with " + ways.joined(separator: ", or "))
        + "; \(OptionName.noMemoryCheck) starts it all the same")
  }
}

extension Planner.Run {
  /// The run of a recorded configuration.
  init(_ configuration: RunConfiguration) {
    self.init(
      settings: configuration.settings, quantization: configuration.quantization,
      checkpoints: configuration.keepCheckpoints, maxLength: configuration.maxLength)
  }
}

extension Planner {
  /// What a run takes, with what would make it fit where it does not.
  func planWithSuggestions(_ run: Run) throws -> TrainingPlan {
    var plan = try plan(run)
    if !plan.fits { plan.suggestions = try suggestions(run) }
    return plan
  }
}
