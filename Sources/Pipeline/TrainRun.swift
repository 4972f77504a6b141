import Artifacts
import Core
import Evaluating
import Files
import FoundationEssentials
import Kernels
import Masking
import Models
import Packing
import Templating
import Tokenizing
import Training
import Weights

/// What happens while a run goes on, for the one who shows it.
public enum TrainEvent {
  /// A setting or fact worth knowing before the first step.
  case note(String)
  case started(RunFolder, RunConfiguration, firstStep: Int)
  case metric(Metric)
  /// So many of the training records are gone through before the first step.
  case trunk(done: Int, of: Int)
  /// Where the time went, after the last step.
  case profile(Profile)
}

/// A run, from options to outcome.
public struct TrainRun {
  public let workspace: Workspace
  public let options: TrainOptions
  public let event: (TrainEvent) -> Void
  public let shouldStop: () -> Bool

  public init(
    workspace: Workspace, options: TrainOptions, shouldStop: @escaping () -> Bool,
    event: @escaping (TrainEvent) -> Void
  ) {
    self.workspace = workspace
    self.options = options
    self.shouldStop = shouldStop
    self.event = event
  }

  /// Outcome and run folder; the outcome is nil where the run was finished before.
  public func callAsFunction() throws -> (RunFolder, TrainingOutcome?) {
    if options.resume {
      guard let name = options.run else {
        guard let newest = try workspace.recordedRun(nil) else {
          throw SFTError(.notFound, "there is no run to resume in \(workspace.runsPath)")
        }
        return try resume(newest)
      }
      if fileExists(try workspace.run(name).configuration), let recorded = try workspace.recordedRun(name) {
        return try resume(recorded)
      }
      event(.note("Run \(name) has no checkpoint: it starts at step 0."))
    }
    return try start()
  }

  // MARK: - A new run

  private func start() throws -> (RunFolder, TrainingOutcome?) {
    let threads = options.threads ?? Compute.availableThreads
    guard threads >= 1 else { throw SFTError(.usage, "--threads must be at least 1") }
    // Found out before anything long is done; settled when the folder is made.
    if let name = options.run, !options.resume, fileExists(try workspace.run(name).path) { throw taken(name) }
    guard let data = try workspace.preparedData(options.prepared, threads: threads) else {
      throw SFTError(
        .usage, "there is no prepared data in \(workspace.path)", advice: "Run `sft prepare FILE --model DIR` first")
    }
    let base = try BaseModel(
      options.model ?? data.summary.model, workspace: workspace, quantization: options.quantization,
      compute: Compute(engine: options.engine ?? .auto, threads: threads))
    try check(base, against: data)
    let (settings, adapter) = try newSettings(data, base, threads: threads)
    let configuration = RunConfiguration(
      format: RunConfiguration.currentFormat, model: base.reference, baseDigest: try base.digest(),
      tokenizer: base.tokenizer.digest, templateName: data.summary.templateName, template: data.summary.template,
      maxLength: data.summary.maxLength, prepared: data.reference, settings: settings,
      quantization: base.quantization,
      saveEvery: options.saveEvery ?? 50, keepCheckpoints: options.keepCheckpoints ?? 2,
      epochs: options.maxSteps == nil ? options.epochs ?? Self.standardEpochs : nil,
      linearAlgebra: LinearAlgebra.report())
    let folder = try newFolder()
    let lock = try lock(folder)
    defer { withExtendedLifetime(lock) {} }
    guard !fileExists(folder.configuration) else { throw taken(folder.name) }
    try configuration.write(folder)
    return (folder, try train(folder, configuration, data, base, adapter, isResuming: false))
  }

  static let standardEpochs = 3.0

  /// Makes the folder of a run that is not there yet. Whoever made it has it, however many processes try.
  private func newFolder() throws -> RunFolder {
    if let name = options.run {
      let folder = try workspace.run(name)
      // A run that was killed before it recorded its settings has nothing to lose.
      guard try createNewDirectory(folder.path) || options.resume else { throw taken(name) }
      return folder
    }
    var number = 1
    while true {
      let folder = try workspace.run("run-\(number)")
      if try createNewDirectory(folder.path) { return folder }
      number += 1
    }
  }

  private func taken(_ name: String) -> SFTError {
    SFTError(
      .usage, "the run '\(name)' exists already", file: "\(workspace.runsPath)/\(name)",
      advice: "Give another --run, or go on with it with --resume")
  }

  private func check(_ base: BaseModel, against data: PreparedData) throws {
    guard base.tokenizer.digest == data.summary.tokenizer else {
      throw SFTError(
        .badData, "the tokenizer of \(base.name) is not the one the data was prepared with",
        file: base.folder, advice: "Run `sft prepare` with this model")
    }
    guard data.summary.maxLength <= base.decoder.configuration.contextLength else {
      throw SFTError(
        .badData,
        "the data was prepared for \(data.summary.maxLength) tokens, the model's context is "
          + "\(base.decoder.configuration.contextLength)", file: base.folder)
    }
  }

  private func newSettings(
    _ data: PreparedData, _ base: BaseModel, threads: Int
  ) throws -> (TrainingSettings, Adapter) {
    let seed = options.seed ?? 42
    var lora = LoRAConfiguration(
      rank: options.rank ?? 16, alpha: options.alpha ?? 16, dropout: options.dropout ?? 0,
      rankStabilized: options.rankStabilized ?? false, targets: options.targets ?? [LoRAConfiguration.allLinear],
      layers: options.layers)
    let adapter: Adapter
    var initial: String?
    if let folder = options.initialAdapter {
      adapter = try base.adapter(folder, force: options.force) { event(.note($0)) }
      try refuseConflicts(with: adapter.configuration, folder)
      lora = adapter.configuration
      initial = try Digest(ofFile: folder + "/" + AdapterFolder.weightsFile).hex
      event(.note("Starting from the adapter \(folder): r \(lora.rank), alpha \(lora.alpha)."))
    } else {
      adapter = try Adapter(lora, for: base.decoder.linears)
      adapter.initialize(seed: seed)
    }
    let batch = options.batchTokens == nil ? options.batchSize ?? 8 : 0
    let accumulation = options.gradientAccumulation ?? 1
    let steps =
      try options.batchTokens.map { try updates(data, tokens: $0 * accumulation, seed: seed) }
      ?? updates(records: data.training.count, effectiveBatch: batch * accumulation)
    let hasValidation = !data.validation.isEmpty
    var settings = TrainingSettings(
      lora: lora, initialAdapter: initial, steps: steps, batchSize: batch, gradientAccumulation: accumulation,
      schedule: Schedule(
        kind: options.scheduler ?? .linear, learningRate: options.learningRate ?? 2e-4,
        minimum: options.minimumRate ?? 0, warmupSteps: options.warmupSteps ?? 0),
      beta1: options.betas?.0 ?? 0.9, beta2: options.betas?.1 ?? 0.999, weightDecay: options.weightDecay ?? 0.01,
      maxGradientNorm: options.maxGradientNorm ?? 1, shuffle: options.shuffle ?? true, seed: seed,
      evalEvery: hasValidation ? options.evalEvery ?? max(1, (steps + 4) / 5) : 0,
      earlyStopping: hasValidation ? options.earlyStopping ?? 0 : 0, engine: options.engine ?? .auto, threads: threads,
      gradientCheckpointing: options.gradientCheckpointing ?? false, optimizer: options.optimizer ?? .adamw,
      batchTokens: options.batchTokens)
    let decision = TrunkDecision(
      settings, data, lowestLayer: adapter.lowestLayer, width: base.decoder.configuration.width,
      limit: options.trunkCache, freeBytes: workspace.freeBytes)
    settings.trunkLayer = decision.layer
    if let note = decision.note { event(.note(note)) }
    if !hasValidation, options.evalEvery != nil || options.earlyStopping != nil {
      throw SFTError(
        .usage, "there are no validation records to evaluate on", advice: "Prepare the data with --val or --val-file")
    }
    return (settings, adapter)
  }

  private func updates(records: Int, effectiveBatch: Int) throws -> Int {
    if let steps = options.maxSteps { return steps }
    return try wholeNumber((options.epochs ?? Self.standardEpochs) * Double(records) / Double(effectiveBatch))
  }

  /// Updates until the epochs' records are taken, which depends on the order that they come in.
  private func updates(_ data: PreparedData, tokens: Int, seed: UInt64) throws -> Int {
    if let steps = options.maxSteps { return steps }
    let records = try wholeNumber((options.epochs ?? Self.standardEpochs) * Double(data.training.count))
    var order = DataOrder(
      count: data.training.count, seed: options.shuffle ?? true ? seed : nil,
      lengths: data.training.map { data.sample($0).tokens.count })
    return order.updates(taking: records, tokens: tokens)
  }

  /// Rounded up; 1 at least.
  private func wholeNumber(_ total: Double) throws -> Int {
    guard total.isFinite, total < 1e9 else { throw SFTError(.usage, "that many epochs cannot be") }
    // 2.2 × 50 is not quite 110 in binary.
    return max(1, Int((total - 1e-9 * total).rounded(.up)))
  }

  private func refuseConflicts(with lora: LoRAConfiguration, _ folder: String) throws {
    func refuse(_ flag: String, _ own: some CustomStringConvertible, _ its: some CustomStringConvertible) -> SFTError {
      SFTError(
        .usage, "\(flag) is \(own), but the adapter to start from has \(its)", file: folder,
        advice: "Leave \(flag) out: an adapter brings its own")
    }
    if let rank = options.rank, rank != lora.rank { throw refuse("--lora-r", rank, lora.rank) }
    if let alpha = options.alpha, alpha != lora.alpha { throw refuse("--lora-alpha", alpha, lora.alpha) }
    if let dropout = options.dropout, dropout != lora.dropout { throw refuse("--lora-dropout", dropout, lora.dropout) }
    if let targets = options.targets, targets.sorted() != lora.targets.sorted() {
      throw refuse("--lora-targets", targets.joined(separator: ","), lora.targets.joined(separator: ","))
    }
    if let layers = options.layers, layers != lora.layers ?? [] {
      throw refuse("--lora-layers", "\(layers)", lora.layers.map { "\($0)" } ?? "all")
    }
    if let stabilized = options.rankStabilized, stabilized != lora.rankStabilized {
      throw refuse("--rslora", stabilized, lora.rankStabilized)
    }
  }

  // MARK: - Going on

  private func resume(_ recorded: RecordedRun) throws -> (RunFolder, TrainingOutcome?) {
    let (folder, configuration) = (recorded.folder, recorded.configuration)
    try refuseChanges(configuration, folder)
    let lock = try lock(folder)
    defer { withExtendedLifetime(lock) {} }
    try folder.removeLeftovers()
    if fileExists(folder.finishedMark) {
      event(.note("Run \(folder.name) is finished; there is nothing to do."))
      return (folder, nil)
    }
    let threads = configuration.settings.threads
    guard let data = try workspace.preparedData(configuration.prepared, threads: threads) else {
      throw SFTError(
        .notFound, "the data that run \(folder.name) was prepared with is gone",
        advice: "Run the same `sft prepare` again")
    }
    let base = try BaseModel(
      configuration.model, workspace: workspace, quantization: configuration.quantization,
      compute: Compute(engine: configuration.settings.engine, threads: threads))
    try check(base, against: data)
    guard try base.digest() == configuration.baseDigest else {
      throw SFTError(
        .badData, "the model is not the one that run \(folder.name) was started on", file: base.folder)
    }
    let lora = configuration.settings.lora
    let adapter: Adapter
    if configuration.settings.initialAdapter != nil, folder.checkpointSteps().isEmpty {
      throw SFTError(
        .notFound, "run \(folder.name) started from another adapter and has no checkpoint to go on from",
        advice: "Start a new run with --init-adapter")
    }
    adapter = try Adapter(lora, for: base.decoder.linears)
    adapter.initialize(seed: configuration.settings.seed)
    // The newest run is the one whose configuration was written last.
    try configuration.write(folder)
    return (folder, try train(folder, configuration, data, base, adapter, isResuming: true))
  }

  /// A resumed run has the recorded settings; flags that say otherwise are refused by name.
  private func refuseChanges(_ configuration: RunConfiguration, _ folder: RunFolder) throws {
    let settings = configuration.settings
    var changed: [String] = []
    func compare<Value: Equatable>(_ flag: String, _ given: Value?, _ recorded: Value) {
      if let given, given != recorded { changed.append("\(flag) \(given) (it was \(recorded))") }
    }
    compare("--lora-r", options.rank, settings.lora.rank)
    compare("--lora-alpha", options.alpha, settings.lora.alpha)
    compare("--lora-dropout", options.dropout, settings.lora.dropout)
    compare("--lora-targets", options.targets, settings.lora.targets)
    compare("--lora-layers", options.layers, settings.lora.layers ?? [])
    compare("--rslora", options.rankStabilized, settings.lora.rankStabilized)
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
    compare("--early-stopping", options.earlyStopping, settings.earlyStopping)
    compare("--no-shuffle", options.shuffle.map { !$0 }, !settings.shuffle)
    compare("--seed", options.seed, settings.seed)
    compare("--save-every", options.saveEvery, configuration.saveEvery)
    compare("--keep-checkpoints", options.keepCheckpoints, configuration.keepCheckpoints)
    if let prepared = options.prepared, try workspace.preparedReference(prepared) != configuration.prepared {
      changed.append("--prepared \(prepared)")
    }
    compare("--threads", options.threads, settings.threads)
    if let limit = options.trunkCache, (limit > 0) != (settings.trunkLayer != nil) {
      changed.append("--trunk-cache (it was \(settings.trunkLayer == nil ? "not " : "")used)")
    }
    compare("--gradient-checkpointing", options.gradientCheckpointing, settings.gradientCheckpointing)
    if let quantization = options.quantization, quantization != configuration.quantization {
      changed.append("--qlora \(quantization.description) (it was \(configuration.quantization?.description ?? "not"))")
    }
    compare("--engine", options.engine?.rawValue, settings.engine.rawValue)
    if let model = options.model {
      compare("--model", recordedName(model, folder: try ModelFolder.resolve(model)), configuration.model)
    }
    if let folder = options.initialAdapter,
      try Digest(ofFile: folder + "/" + AdapterFolder.weightsFile).hex != settings.initialAdapter
    {
      changed.append("--init-adapter \(folder)")
    }
    guard changed.isEmpty else {
      throw SFTError(
        .usage, "run \(folder.name) cannot go on with changed settings: \(changed.joined(separator: ", "))",
        advice: "Leave them out, or start a new run")
    }
  }

  private func lock(_ folder: RunFolder) throws -> FileLock {
    guard let lock = try FileLock.attempt(folder.path + "/lock", .exclusive) else {
      throw SFTError(.cannotCreate, "another sft process is training this run", file: folder.path)
    }
    return lock
  }

  // MARK: - The training itself

  private func train(
    _ folder: RunFolder, _ configuration: RunConfiguration, _ data: PreparedData, _ base: BaseModel,
    _ adapter: Adapter, isResuming: Bool
  ) throws -> TrainingOutcome {
    let settings = configuration.settings
    let compute = Compute(engine: settings.engine, threads: settings.threads)
    // Training and validation take turns.
    let memory = PassMemory(logitRows: settings.gradientCheckpointing ? 16 : 64)
    let inference = InferencePass(base.decoder, adapter, compute, memory: memory)
    var hooks = TrainingHooks(
      describeRecord: { data.place(data.training[$0]) }, report: { event(.metric($0)) },
      notice: { event(.note($0)) }, shouldStop: shouldStop)
    if let first = data.validation.first {
      hooks.validate = {
        let result = try evaluate(inference, count: data.validation.count) { data.sample(data.validation[$0]) }
        return (result.loss, result.accuracy)
      }
      hooks.sample = { try sampleAnswer(data.sample(first), inference, base.tokenizer) }
    }
    let profiler = options.profile ? RunProfiler(threads: settings.threads) : nil
    let trunk = try trunk(settings, data, base, compute, folder, profiler?.profiler)
    let trainer = Trainer(
      base.decoder, adapter, count: data.training.count, samples: { data.sample(data.training[$0]) },
      settings: settings, run: folder,
      identity: RunIdentity(
        baseModel: base.reference, baseDigest: configuration.baseDigest,
        quantization: configuration.quantization?.description),
      saveEvery: configuration.saveEvery, keptCheckpoints: configuration.keepCheckpoints, hooks: hooks,
      memory: memory, profiler: profiler?.profiler, trunk: trunk)
    var firstStep = 0
    if isResuming {
      if let step = try trainer.resume() {
        firstStep = step
        event(.note("Going on from the checkpoint of step \(step)."))
      } else if settings.initialAdapter != nil {
        throw SFTError(
          .notFound, "run \(folder.name) started from another adapter and has no sound checkpoint to go on from",
          advice: "Start a new run with --init-adapter")
      } else {
        event(.note("Run \(folder.name) has no sound checkpoint: it starts at step 0."))
      }
    }
    event(.started(folder, configuration, firstStep: firstStep))
    let outcome: TrainingOutcome
    do {
      outcome = try trainer.train()
    } catch var error as SFTError where error.kind == .inputOutput || error.kind == .cannotCreate {
      error.advice = "Mend that, then go on with `sft train --run \(folder.name) --resume`"
      throw error
    }
    if let profile = profiler?.finish(steps: outcome.steps - firstStep) {
      try profile.write(folder)
      event(.profile(profile))
    }
    if !outcome.interrupted {
      let mark = Finished(
        steps: outcome.steps, stopped_early: outcome.stoppedEarly, best_loss: outcome.bestLoss,
        best_step: outcome.bestStep)
      try writeAtomically(Array(try jsonEncoder().encode(mark)) + [UInt8(ascii: "\n")], to: folder.finishedMark)
    }
    return outcome
  }

  /// What the frozen blocks below the adapters give, where the run's settings say that it is stored.
  private func trunk(
    _ settings: TrainingSettings, _ data: PreparedData, _ base: BaseModel, _ compute: Compute, _ folder: RunFolder,
    _ profiler: Profiler?
  ) throws -> TrunkOutputs? {
    guard let layer = settings.trunkLayer else { return nil }
    let timing = profiler?.time(.trunk)
    defer { timing?.end() }
    let artifact = try TrunkStage.run(workspace, data, base, layer: layer, compute) { done, total in
      event(.trunk(done: done, of: total))
      guard !shouldStop() else {
        throw SFTError(
          .interrupted, "stopped before the first step",
          advice: "Go on with `sft train --run \(folder.name) --resume`")
      }
    }
    event(
      .note(
        "trunk       outputs of the layers below \(layer) are \(artifact.reused ? "there" : "stored"): "
          + "\(byteCount(artifact.bytes))"))
    return try TrunkStage.open(artifact, data, layer: layer)
  }

  private struct Finished: Codable {
    var steps: Int
    var stopped_early: Bool
    var best_loss: Double?
    var best_step: Int?
  }

  private func sampleAnswer(
    _ sample: Sample, _ inference: InferencePass, _ tokenizer: Tokenizer
  ) throws -> (prompt: String, text: String) {
    let prompt = Array(sample.tokens.prefix(sample.promptCount))
    let text = try tokenizer.decode(prompt, skipSpecialTokens: false)
    guard prompt.count < inference.decoder.configuration.contextLength, !prompt.isEmpty else { return (text, "") }
    let generator = try Generator(inference, tokenizer)
    return (text, try generator.generate(prompt, GenerationSettings(maxNewTokens: 64)).text)
  }
}
