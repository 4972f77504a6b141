import Core
import Files
import Kernels
import Models
import Training
import Weights

extension TrainRun {
  func resume(_ recorded: RecordedRun) throws -> (RunFolder, TrainingOutcome?) {
    let (folder, configuration) = (recorded.folder, recorded.configuration)
    guard configuration.settings.method != .pretrain else { throw otherVerb(folder, configuration) }
    try refuseChanges(configuration, folder.name)
    let outcome = try workspace.resume(recorded, charts: options.tensorboard, event: event) {
      try announce(plan(configuration))
      let (data, base) = try open(configuration, folder.name)
      if configuration.settings.initialAdapter != nil, try folder.checkpointSteps().isEmpty {
        throw SFTError(
          .notFound, "run \(folder.name) started from another adapter and has no checkpoint to go on from",
          advice: "Start a new run with \(OptionName.initAdapter)")
      }
      if let lora = configuration.settings.lora {
        let adapter = try freshAdapter(lora, configuration.settings.seed, base)
        return try job(folder, configuration, data, base, base.decoder, .adapter(adapter))
      }
      let weights = try trainable(base)
      return try job(folder, configuration, data, base, try weights.decoder(), .weights(weights))
    }
    return (folder, outcome)
  }

  func otherVerb(_ folder: RunFolder, _ configuration: RunConfiguration) -> SFTError {
    SFTError(
      .usage, "run \(folder.name) was started by `sft pretrain`",
      advice: "Go on with it with `\(configuration.resumeCommand(folder))`")
  }

  /// The data and the base that a configuration records, for the run of that name. Throws what is gone or has changed.
  func open(_ configuration: RunConfiguration, _ name: String) throws -> (PreparedData, BaseModel) {
    let threads = configuration.settings.threads
    guard let data = try inputs.data(configuration.prepared, workspace, threads: threads) else {
      throw SFTError(
        .notFound, "the data that run \(name) was prepared with is gone", advice: "Run the same `sft prepare` again")
    }
    let base = try inputs.base(
      configuration.model, configuration.quantization, isFrozen: configuration.settings.lora != nil,
      Compute(engine: configuration.settings.engine, threads: threads), for: data, workspace)
    guard try base.digest() == configuration.baseDigest else {
      throw SFTError(.badData, "the model is not the one that run \(name) was started on", file: base.folder)
    }
    return (data, base)
  }

  /// A resumed run has the recorded settings; flags that say otherwise are refused by name.
  func refuseChanges(_ configuration: RunConfiguration, _ name: String, more: [String] = []) throws {
    let changed =
      try more
      + RunOption.all.compactMap { option in
        if option.isAdapters, configuration.settings.lora == nil {
          return option.isGiven(options) ? "\(option.name) (it trains all weights)" : nil
        }
        return try option.change(options, configuration, workspace)
      }
    guard changed.isEmpty else {
      throw SFTError(
        .usage, "run \(name) cannot go on with changed settings: \(changed.joined(separator: ", "))",
        advice: "Leave them out, or start a new run")
    }
  }
}
