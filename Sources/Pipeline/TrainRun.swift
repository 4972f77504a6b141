import Core
import Files
import Kernels
import Models
import Training

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
    try workspace.checkFree(options.run, resuming: options.resume)
    guard let data = try workspace.preparedData(options.prepared, threads: threads) else {
      throw SFTError(
        .usage, "there is no prepared data in \(workspace.path)", advice: "Run `sft prepare FILE` first")
    }
    let base = try BaseModel(
      options.model ?? data.summary.model, workspace: workspace, quantization: options.quantization,
      compute: Compute(engine: options.engine ?? .auto, threads: threads))
    try base.check(against: data)
    let (lora, initial, trained) = try newParameters(base)
    var settings = try options.settings(
      options.full ? .full : .adapter, lora: lora, initialAdapter: initial, samples: data.training.count,
      hasValidation: !data.validation.isEmpty, threads: threads,
      lengths: { data.training.map { data.sample($0).tokens.count } })
    let charts = try options.tensorboard.map(TensorBoardLog.folder)
    if let adapter = trained.adapter {
      let decision = TrunkDecision(
        settings, data, lowestLayer: adapter.lowestLayer, width: base.decoder.configuration.width,
        limit: options.trunkCache, freeBytes: workspace.freeBytes)
      settings.trunkLayer = decision.layer
      if let note = decision.note { event(.note(note)) }
    }
    let configuration = RunConfiguration(
      format: RunConfiguration.currentFormat, model: base.reference, baseDigest: try base.digest(),
      tokenizer: base.tokenizer.digest, templateName: data.summary.templateName, template: data.summary.template,
      maxLength: data.summary.maxLength, prepared: data.reference, settings: settings,
      quantization: base.quantization,
      saveEvery: options.saveEvery ?? 50, keepCheckpoints: options.keepCheckpoints ?? 2,
      epochs: options.recordedEpochs, tensorboard: charts, linearAlgebra: LinearAlgebra.report())
    let decoder = try trained.weights?.decoder() ?? base.decoder
    let folder = try workspace.newRun(options.run, resuming: options.resume, charts: charts)
    return (folder, try workspace.start(job(folder, configuration, data, base, decoder, trained)))
  }

  func job(
    _ folder: RunFolder, _ configuration: RunConfiguration, _ data: PreparedData, _ base: BaseModel,
    _ decoder: Decoder, _ trained: TrainedParameters
  ) -> TrainingJob {
    let first = data.validation.first.map(data.sample)
    return TrainingJob(
      folder: folder, configuration: configuration, decoder: decoder, trained: trained, tokenizer: base.tokenizer,
      identity: RunIdentity(
        baseModel: base.reference, baseDigest: configuration.baseDigest,
        quantization: configuration.quantization?.description, modelFolder: base.folder,
        tokenizerFiles: base.tokenizerFiles),
      data: TrainingData(
        count: data.training.count, sample: { data.sample(data.training[$0]) },
        place: { data.place(data.training[$0]) }, validationCount: data.validation.count,
        validationSample: { data.sample(data.validation[$0]) },
        samplePrompt: first.map { Array($0.tokens.prefix($0.promptCount)) } ?? []), shouldStop: shouldStop,
      event: event, profile: options.profile,
      trunk: { profiler in try trunk(folder, configuration, data, base, profiler) })
  }

  /// What the frozen blocks below the adapters give, where the run's settings say that it is stored.
  private func trunk(
    _ folder: RunFolder, _ configuration: RunConfiguration, _ data: PreparedData, _ base: BaseModel,
    _ profiler: Profiler?
  ) throws -> TrunkOutputs? {
    let settings = configuration.settings
    guard let layer = settings.trunkLayer else { return nil }
    let timing = profiler?.time(.trunk)
    defer { timing?.end() }
    let compute = Compute(engine: settings.engine, threads: settings.threads)
    let artifact = try TrunkStage.run(workspace, data, base, layer: layer, compute) { done, total in
      event(.trunk(done: done, of: total))
      guard !shouldStop() else {
        throw SFTError(
          .interrupted, "stopped before the first step",
          advice: "Go on with `\(configuration.resumeCommand(folder))`")
      }
    }
    event(
      .note(
        "trunk       outputs of the layers below \(layer) are \(artifact.reused ? "there" : "stored"): "
          + "\(byteCount(artifact.bytes))"))
    return try TrunkStage.open(artifact, data, layer: layer)
  }

  /// The base's weights, to be trained themselves. Throws `usage` where they are stored in 4 bits.
  func trainable(_ base: BaseModel) throws -> TrainableWeights {
    guard base.checkpoint.quantizedNames.isEmpty else {
      throw SFTError(
        .usage, "the model is stored in 4 bits, which --full cannot train", file: base.folder,
        advice: "Give --model the folder that it was quantised from, or train an adapter")
    }
    return try TrainableWeights(base.checkpoint)
  }

  /// What is trained, as it is at the start; the adapter's configuration, and the digest of the one that it starts from.
  private func newParameters(_ base: BaseModel) throws -> (LoRAConfiguration?, String?, TrainedParameters) {
    if options.full { return (nil, nil, .weights(try trainable(base))) }
    if let folder = options.initialAdapter {
      let adapter = try base.adapter(folder, force: options.force) { event(.note($0)) }
      let lora = adapter.configuration
      try refuseConflicts(with: lora, folder)
      event(.note("Starting from the adapter \(folder): r \(lora.rank), alpha \(lora.alpha)."))
      return (lora, try Digest(ofFile: folder + "/" + AdapterFolder.weightsFile).hex, .adapter(adapter))
    }
    let lora = LoRAConfiguration(
      rank: options.rank ?? 16, alpha: options.alpha ?? 16, dropout: options.dropout ?? 0,
      rankStabilized: options.rankStabilized ?? false, targets: options.targets ?? [LoRAConfiguration.allLinear],
      layers: options.layers)
    let adapter = try Adapter(lora, for: base.decoder.linears)
    adapter.initialize(seed: options.seed ?? TrainOptions.standardSeed)
    return (lora, nil, .adapter(adapter))
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
}
