import Core
import Files
import Kernels
import Models
import Training
import Weights

extension TrainRun {
  func job(_ recorded: RecordedRun) throws -> TrainingJob {
    let (folder, configuration) = (recorded.folder, recorded.configuration)
    try announce(plan(configuration))
    if configuration.settings.initialAdapter != nil, try folder.checkpointSteps().isEmpty {
      throw SFTError(
        .notFound, "run \(folder.name) started from another adapter and has no checkpoint to go on from",
        advice: "Start a new run with \(OptionName.initAdapter)")
    }
    return try work(recorded)
  }

  /// The training of a recorded run; values that it began with, where they were read, are for a checkpoint to bring, or for
  /// another process.
  func work(_ recorded: RecordedRun) throws -> TrainingJob {
    let (folder, configuration) = (recorded.folder, recorded.configuration)
    let (data, base) = try open(configuration, folder.name)
    if let lora = configuration.settings.lora {
      let adapter = try freshAdapter(lora, configuration.settings.seed, base)
      return try job(folder, configuration, data, base, base.decoder, .adapter(adapter))
    }
    let weights = try trainable(base)
    return try job(folder, configuration, data, base, try weights.decoder(), .weights(weights))
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
}
