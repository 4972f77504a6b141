import Core
import Files
import Kernels
import Models
import Tokenizing
import Training

/// A run on prepared data, of an adapter beside a base or of all its weights.
public struct TrainRun: RunSource {
  public let workspace: Workspace
  public let options: TrainOptions
  public let event: (TrainEvent) -> Void
  public let shouldStop: () -> Bool
  let inputs: TrainingInputs
  private let sibling: RecordedRun?
  let verb = RunVerb.train

  /// A new run with a `sibling` has all of its settings but the learning rate. `inputs` are kept for the runs after it.
  public init(
    workspace: Workspace, options: TrainOptions, inputs: TrainingInputs = TrainingInputs(),
    sibling: RecordedRun? = nil, shouldStop: @escaping () -> Bool, event: @escaping (TrainEvent) -> Void
  ) {
    self.workspace = workspace
    self.options = options
    self.inputs = inputs
    self.sibling = sibling
    self.shouldStop = shouldStop
    self.event = event
  }

  /// Run folder and outcome; the outcome is nil where the run was finished before.
  public func callAsFunction() throws -> (RunFolder, TrainingOutcome?) {
    try RunLauncher(source: self, sibling: sibling)()
  }

  // MARK: - A new run

  /// What a new training starts with.
  struct SetUp {
    var data: PreparedData
    var base: BaseModel
    /// Initialised.
    var trained: TrainedParameters
    var settings: TrainingSettings

    func decoder() throws -> Decoder { try trained.weights?.decoder() ?? base.decoder }
  }

  /// Opens and initialises all that the options name; leaves nothing in the workspace but artifacts.
  func setUp() throws -> SetUp {
    let threads = options.threads ?? Compute.availableThreads
    guard threads >= 1 else { throw SFTError(.usage, "\(OptionName.threads) must be at least 1") }
    let reference = try workspace.preparedReference(options.prepared)
    guard let data = try inputs.data(reference, workspace, threads: threads) else {
      throw SFTError(
        .notFound, "there is no prepared data in \(workspace.path)", advice: "Run `sft prepare FILE` first")
    }
    let base = try inputs.base(
      options.model ?? data.summary.model, options.quantization, isFrozen: !options.full,
      Compute(engine: options.engine ?? .auto, threads: threads), for: data, workspace)
    let (lora, initial, trained) = try newParameters(base, data)
    let settings = try options.settings(
      options.full ? .full : .adapter, lora: lora, initialAdapter: initial, samples: data.training.count,
      hasValidation: !data.validation.isEmpty, threads: threads,
      meanTokens: data.summary.lengths.mean, lengths: { data.training.map(data.length) })
    return SetUp(data: data, base: base, trained: trained, settings: settings)
  }

  func start() throws -> RunStart {
    try announce(plan())
    var start = try setUp()
    let (data, base) = (start.data, start.base)
    if let adapter = start.trained.adapter {
      let decision = TrunkDecision(
        start.settings, data, lowestLayer: adapter.lowestLayer, width: base.decoder.configuration.width,
        limit: options.trunkCache, freeBytes: workspace.freeBytes)
      start.settings.trunkLayer = decision.layer
      if let note = decision.note { event(.note(note)) }
      if adapter.trainsEmbedding, options.trunkCache ?? 0 > 0 {
        event(.note("nothing is stored for \(OptionName.trunkCache): the embedding below the frozen layers is trained"))
      }
    }
    try options.planValidation(
      &start.settings, trainingData(data, base.tokenizer), try start.decoder(),
      lowestLayer: start.trained.adapter?.lowestLayer ?? 0)
    return try runStart(start, try configuration(start))
  }

  /// What is recorded of a new run.
  func configuration(_ start: SetUp) throws -> RunConfiguration {
    let (data, base) = (start.data, start.base)
    return RunConfiguration(
      format: RunConfiguration.currentFormat, model: base.reference, baseDigest: try base.digest(),
      tokenizer: base.tokenizer.digest, templateName: data.summary.templateName, template: data.summary.template,
      layout: data.summary.layout.kind == .prompt ? nil : data.summary.layout, maxLength: data.summary.maxLength,
      prepared: data.reference, settings: start.settings,
      quantization: base.quantization,
      saveEvery: options.saveEvery ?? 50, keepCheckpoints: options.keepCheckpoints ?? 2,
      epochs: options.recordedEpochs, trainedTokens: options.trainedTokens,
      tensorboard: try options.tensorboard.map(TensorBoardLog.folder),
      linearAlgebra: LinearAlgebra.report(threads: start.settings.threads))
  }

  func start(_ configuration: RunConfiguration, like folder: RunFolder) throws -> RunStart {
    let name = options.run ?? "of that rate"
    try announce(plan(configuration))
    let (data, base) = try open(configuration, name)
    let trained = try newParameters(configuration.settings, name, base, data)
    return try runStart(
      SetUp(data: data, base: base, trained: trained, settings: configuration.settings), configuration)
  }

  private func runStart(_ start: SetUp, _ configuration: RunConfiguration) throws -> RunStart {
    let decoder = try start.decoder()
    let path = start.data.artifact.path
    return RunStart(
      tensorboard: configuration.tensorboard,
      taken: [TypedSetting(name: OptionName.prepared.rawValue, value: canonicalPath(path) ?? path)],
      record: { _, _ in configuration },
      job: { try job($0, $1, start.data, start.base, decoder, start.trained) })
  }

  func changes(from configuration: RunConfiguration) -> [String] { [] }

  func job(
    _ folder: RunFolder, _ configuration: RunConfiguration, _ data: PreparedData, _ base: BaseModel,
    _ decoder: Decoder, _ trained: TrainedParameters
  ) throws -> TrainingJob {
    TrainingJob(
      folder: folder, configuration: configuration, decoder: decoder, trained: trained, tokenizer: base.tokenizer,
      identity: RunIdentity(
        baseModel: base.reference, baseDigest: configuration.baseDigest,
        quantization: configuration.quantization?.description, modelFolder: base.folder,
        tokenizerFiles: try base.tokenizerFiles),
      data: trainingData(data, base.tokenizer), shouldStop: shouldStop, event: event, profile: options.profile,
      checkModel: { try base.checkpoint.checkFinite() },
      trunk: { profiler in try trunk(folder, configuration, data, base, profiler) },
      ranks: options.ranks.map { JobRanks($0, workspace, threads: options.threads) })
  }

  func trainingData(_ data: PreparedData, _ tokenizer: Tokenizer) -> TrainingData {
    let first = data.validation.first.map(data.sample)
    // The first trained turn ends in it, where it is a turn that ends.
    let end = first.flatMap { sample in sample.supervised.first.map { sample.tokens[$0.upperBound - 1] } }
    return TrainingData(
      count: data.training.count, sample: { data.sample(data.training[$0]) },
      length: { data.length(data.training[$0]) },
      place: { data.place(data.training[$0]) }, validationCount: data.validation.count,
      validationSample: { data.sample(data.validation[$0]) },
      samplePrompt: first.map { Array($0.tokens.prefix($0.promptCount)) } ?? [],
      sampleEnds: end.map { tokenizer.isSpecial($0) ? [$0] : [] } ?? [])
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
}
