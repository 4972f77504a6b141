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
          advice: "Start a new run with --init-adapter")
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
    let settings = configuration.settings
    var changed = more
    func compare<Value: Equatable>(_ flag: String, _ given: Value?, _ recorded: Value) {
      if let given, given != recorded { changed.append("\(flag) \(given) (it was \(recorded))") }
    }
    if let lora = settings.lora {
      if options.full { changed.append("--full (it trains an adapter)") }
      compare("--lora-r", options.rank, lora.rank)
      compare("--lora-alpha", options.alpha, lora.alpha)
      compare("--lora-dropout", options.dropout, lora.dropout)
      compare("--lora-targets", options.targets, lora.targets)
      compare("--lora-layers", options.layers, lora.layers ?? [])
      compare("--train-tokens", options.trainedTokens, configuration.trainedTokens ?? [])
      compare("--modules-to-save", options.savedModules, lora.savedModules ?? [])
      compare("--rslora", options.rankStabilized, lora.rankStabilized)
    } else {
      changed += options.loraFlags.map { "\($0) (it trains all weights)" }
    }
    compare("--dropout", options.baseDropout, settings.dropout ?? 0)
    compare("--max-steps", options.maxSteps, settings.steps)
    if let epochs = options.epochs, epochs != configuration.epochs { changed.append("--epochs \(epochs)") }
    if let tokens = settings.batchTokens {
      compare("--batch-tokens", options.batchTokens, tokens)
      if let size = options.batchSize { changed.append("--batch-size \(size) (it was --batch-tokens \(tokens))") }
    } else {
      compare("--batch-size", options.batchSize, settings.batchSize)
      if let tokens = options.batchTokens {
        changed.append("--batch-tokens \(tokens) (it was --batch-size \(settings.batchSize))")
      }
    }
    compare("--grad-accum", options.gradientAccumulation, settings.gradientAccumulation)
    compare("--lr", options.learningRate, settings.schedule.learningRate)
    compare("--scheduler", options.scheduler?.rawValue, settings.schedule.kind.rawValue)
    compare("--min-lr", options.minimumRate, settings.schedule.minimum)
    compare("--warmup-steps", options.warmupSteps, settings.schedule.warmupSteps)
    compare("--optimizer", options.optimizer?.rawValue, settings.optimizer.rawValue)
    compare("--betas", options.betas.map { [$0.0, $0.1] }, [settings.beta1, settings.beta2])
    compare("--weight-decay", options.weightDecay, settings.weightDecay)
    compare("--max-grad-norm", options.maxGradientNorm, settings.maxGradientNorm)
    compare("--eval-every", options.evalEvery, settings.evalEvery)
    if let every = options.evalEvery, every == settings.evalEvery, let records = settings.validationRecords {
      changed.append("--eval-every \(every) (each was on \(counted(records, "validation record")) only)")
    }
    compare("--early-stopping", options.earlyStopping, settings.earlyStopping)
    compare("--no-shuffle", options.shuffle.map { !$0 }, !settings.shuffle)
    compare("--seed", options.seed, settings.seed)
    compare("--save-every", options.saveEvery, configuration.saveEvery)
    compare("--keep-checkpoints", options.keepCheckpoints, configuration.keepCheckpoints)
    if let prepared = options.prepared, try workspace.preparedReference(prepared) != configuration.prepared {
      changed.append("--prepared \(prepared)")
    }
    compare("--threads", options.threads, settings.threads)
    if settings.lora != nil, let limit = options.trunkCache, (limit > 0) != (settings.trunkLayer != nil) {
      changed.append("--trunk-cache (it was \(settings.trunkLayer == nil ? "not " : "")used)")
    }
    compare("--gradient-checkpointing", options.gradientCheckpointing, settings.gradientCheckpointing)
    compare("--checkpoint-layers", options.checkpointedLayers, settings.checkpointedLayers ?? 0)
    if let quantization = options.quantization, quantization != configuration.quantization {
      changed.append("--qlora \(quantization.description) (it was \(configuration.quantization?.description ?? "not"))")
    }
    compare("--engine", options.engine?.rawValue, settings.engine.rawValue)
    if let model = options.model {
      compare("--model", try workspace.model(model).recordedName, configuration.model)
    }
    if let folder = options.initialAdapter,
      try Digest(ofFile: folder + "/" + AdapterFolder.weightsFile).hex != settings.initialAdapter
    {
      changed.append("--init-adapter \(folder)")
    }
    guard changed.isEmpty else {
      throw SFTError(
        .usage, "run \(name) cannot go on with changed settings: \(changed.joined(separator: ", "))",
        advice: "Leave them out, or start a new run")
    }
  }
}
