import Artifacts
import Core
import Files
import JSON
import Kernels
import Models
import Templating
import Tokenizing
import Training
import Weights

/// A run on plain text, of a decoder from random weights.
public struct PretrainRun: RunSource {
  let workspace: Workspace
  /// nil where a run is to be gone on with and nothing is said of it.
  private let source: PretrainSource?
  let options: TrainOptions
  private let shouldStop: () -> Bool
  let event: (TrainEvent) -> Void
  private let sibling: RecordedRun?
  let verb = RunVerb.pretrain

  /// A new run with a `sibling` has all of its settings but the learning rate, and its text.
  public init(
    workspace: Workspace, source: PretrainSource?, options: TrainOptions, sibling: RecordedRun? = nil,
    shouldStop: @escaping () -> Bool, event: @escaping (TrainEvent) -> Void
  ) {
    self.workspace = workspace
    self.sibling = sibling
    self.source = source
    self.options = options
    self.shouldStop = shouldStop
    self.event = event
  }

  /// Run folder and outcome; the outcome is nil where the run was finished before.
  public func callAsFunction() throws -> (RunFolder, TrainingOutcome?) {
    try RunLauncher(source: self, sibling: sibling)()
  }

  func start() throws -> RunStart {
    guard let source else {
      throw SFTError(
        .usage, "there is nothing to train",
        advice: "Give files of text, \(OptionName.config), and \(OptionName.tokenizer) or \(OptionName.vocabSize)")
    }
    let threads = options.threads ?? Compute.availableThreads
    let compute = Compute(engine: options.engine ?? .auto, threads: threads)
    let tokenizerFolder = try source.tokenizerFolder(workspace, threads: threads, event)
    let tokenizer = try Tokenizer(folder: tokenizerFolder)
    guard let endOfText = tokenizer.endOfText else {
      throw SFTError(
        .badData, "the tokenizer names no end-of-text token, which has to stand between documents",
        file: tokenizerFolder)
    }
    let object = try source.configurationObject(tokenizer, endOfText)
    let model = try ModelConfiguration(object, path: source.configuration)
    if let stride = source.stride, !(1...model.contextLength).contains(stride) {
      throw SFTError(
        .usage, "\(OptionName.stride) is \(stride), expected 1 to the model's context of \(model.contextLength)")
    }
    let corpus = try CorpusStage.run(
      workspace.store, files: source.files, tokenizer: tokenizer, endOfText: endOfText, threads: threads)
    let windows = try Windows(
      try CorpusStage.tokens(corpus, threads: threads), length: model.contextLength,
      stride: source.stride ?? model.contextLength, validationShare: source.validationShare)
    var settings = try options.settings(
      .pretrain, lora: nil, initialAdapter: nil, samples: windows.training.count,
      hasValidation: !windows.validation.isEmpty, threads: compute.threads,
      meanTokens: Double(model.contextLength), lengths: { windows.training.map(\.count) })
    try options.planValidation(&settings, trainingData(windows), try Decoder.outline(model), lowestLayer: 0)
    try announce(
      Planner.Run(settings: settings, checkpoints: options.keepCheckpoints ?? 2, maxLength: model.contextLength),
      source.configuration, model, windows)
    let weights = TrainableWeights(model)
    let tensorboard = try options.tensorboard.map(TensorBoardLog.folder)
    let template = try PromptTemplate.named("alpaca")
    return RunStart(tensorboard: tensorboard) { place, final in
      try createDirectory(place.blueprint)
      try copyFiles(Tokenizer.files(in: tokenizerFolder).map { tokenizerFolder + "/" + $0 }, to: place.blueprint)
      try writeAtomically(JSONValue.object(object).serialized + "\n", to: place.blueprint + "/config.json")
      return RunConfiguration(
        format: RunConfiguration.currentFormat, model: blueprintPath(final),
        baseDigest: try Digest(ofFile: place.blueprint + "/config.json"), tokenizer: tokenizer.digest,
        templateName: "alpaca", template: template.source, maxLength: model.contextLength, prepared: corpus.reference,
        settings: settings, quantization: nil, saveEvery: options.saveEvery ?? 50,
        keepCheckpoints: options.keepCheckpoints ?? 2, epochs: options.recordedEpochs, tensorboard: tensorboard,
        linearAlgebra: LinearAlgebra.report(threads: settings.threads), pretrained: source)
    } job: { folder, configuration in
      describe(corpus.summary, windows, model)
      return try job(folder, configuration, weights, tokenizer, windows)
    }
  }

  /// Tells what the run will take, and throws `usage` where it does not fit.
  private func announce(_ run: Planner.Run, _ name: String, _ model: ModelConfiguration, _ windows: Windows) throws {
    let planner = try Planner(workspace, new: name, model, trainingData(windows))
    try planner.planWithSuggestions(run).announce(options, event)
  }

  /// How a run's blueprint is recorded: by its real path, before it is there.
  private func blueprintPath(_ run: RunFolder) -> String {
    RunFolder((canonicalPath(workspace.runsPath) ?? workspace.runsPath) + "/" + run.name).blueprint
  }

  func start(_ configuration: RunConfiguration, like folder: RunFolder) throws -> RunStart {
    let (model, tokenizer, windows) = try open(RecordedRun(folder: folder, configuration: configuration))
    try announce(Planner.Run(configuration), folder.name, model, windows)
    return RunStart(tensorboard: configuration.tensorboard) { place, final in
      try createDirectory(place.blueprint)
      try copyFiles(try directoryEntries(folder.blueprint).map { folder.blueprint + "/" + $0 }, to: place.blueprint)
      var configuration = configuration
      configuration.model = blueprintPath(final)
      return configuration
    } job: {
      try job($0, $1, TrainableWeights(model), tokenizer, windows)
    }
  }

  private func describe(_ corpus: CorpusStage.Summary, _ windows: Windows, _ model: ModelConfiguration) {
    event(
      .note(
        "corpus      \(grouped(corpus.bytes)) bytes, \(grouped(corpus.tokens)) tokens in "
          + "\(grouped(corpus.documents)) documents; \(grouped(windows.training.count)) windows to train on, "
          + "\(grouped(windows.validation.count)) for validation"))
    event(
      .note(
        "new model   \(grouped(model.parameterCount)) parameters: \(model.layers) layers, width \(model.width), "
          + "\(model.heads) heads, context \(grouped(model.contextLength)), vocabulary "
          + "\(grouped(model.vocabularySize))"))
  }

  private func job(
    _ folder: RunFolder, _ configuration: RunConfiguration, _ weights: TrainableWeights, _ tokenizer: Tokenizer,
    _ windows: Windows
  ) throws -> TrainingJob {
    weights.initialize(seed: configuration.settings.seed)
    let blueprint = folder.blueprint
    return TrainingJob(
      folder: folder, configuration: configuration, decoder: try weights.decoder(), trained: .weights(weights),
      tokenizer: tokenizer,
      identity: RunIdentity(
        baseModel: configuration.model, baseDigest: configuration.baseDigest, modelFolder: blueprint,
        tokenizerFiles: try Tokenizer.files(in: blueprint).map { blueprint + "/" + $0 }),
      data: trainingData(windows), shouldStop: shouldStop, event: event, profile: options.profile,
      ranks: options.ranks.map { JobRanks($0, workspace, threads: options.threads) })
  }

  private func trainingData(_ windows: Windows) -> TrainingData {
    TrainingData(
      count: windows.training.count, sample: { windows.sample(windows.training[$0]) },
      length: { windows.training[$0].count },
      place: { "tokens \(windows.training[$0].lowerBound + 1) to \(windows.training[$0].upperBound)" },
      validationCount: windows.validation.count, validationSample: { windows.sample(windows.validation[$0]) },
      samplePrompt: windows.prompt)
  }

  // MARK: - Going on

  func job(_ recorded: RecordedRun) throws -> TrainingJob {
    let (folder, configuration) = (recorded.folder, recorded.configuration)
    let (model, tokenizer, windows) = try open(recorded)
    try announce(Planner.Run(configuration), folder.name, model, windows)
    return try job(folder, configuration, TrainableWeights(model), tokenizer, windows)
  }

  /// A recorded run, of which nobody is told anything.
  func work(_ recorded: RecordedRun) throws -> TrainingJob {
    let (model, tokenizer, windows) = try open(recorded)
    return try job(recorded.folder, recorded.configuration, TrainableWeights(model), tokenizer, windows)
  }

  /// What a run is made from, as its folder and its configuration have it. Throws what is gone or has changed.
  private func open(_ recorded: RecordedRun) throws -> (ModelConfiguration, Tokenizer, Windows) {
    let (folder, configuration) = (recorded.folder, recorded.configuration)
    let threads = configuration.settings.threads
    guard let corpus = try workspace.store.existing(configuration.prepared, CorpusStage.Summary.self) else {
      throw SFTError(
        .notFound, "the tokens that run \(folder.name) is trained on are gone",
        advice: "Start the same run under another name")
    }
    let model = try ModelConfiguration(path: folder.blueprint + "/config.json")
    let tokenizer = try Tokenizer(folder: folder.blueprint)
    guard try Digest(ofFile: folder.blueprint + "/config.json") == configuration.baseDigest,
      tokenizer.digest == configuration.tokenizer
    else {
      throw SFTError(.badData, "is not what run \(folder.name) was started with", file: folder.blueprint)
    }
    let windows = try Windows(
      try CorpusStage.tokens(corpus, threads: threads), length: model.contextLength,
      stride: configuration.pretrained?.stride ?? model.contextLength,
      validationShare: configuration.pretrained?.validationShare ?? 0)
    return (model, tokenizer, windows)
  }

  func changes(from configuration: RunConfiguration) -> [String] {
    source.map { $0 != configuration.pretrained } ?? false ? ["the files or the model's flags"] : []
  }
}
