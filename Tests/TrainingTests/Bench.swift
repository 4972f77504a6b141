import Core
import Files
import FoundationEssentials
import JSON
import Kernels
import Models
import TestSupport
import Training
import Weights

/// A small run: everything a trainer needs, with settings to change.
struct Bench {
  let decoder: Decoder
  let samples: [Sample]
  var settings: TrainingSettings
  var saveEvery = 2
  var keptCheckpoints = 3
  /// Starts from this adapter's folder, or from these values, instead of a fresh one.
  var initialAdapter: String?
  var adapter: Adapter?
  /// Gives the folder of the model whose weights are all trained, for a run; nil to train an adapter.
  var modelFolder: ((RunFolder) throws -> String)?
  var validate: (() throws -> (loss: Double, accuracy: Double))?
  var sample: (() throws -> (prompt: String, text: String))?
  var checkModel: () throws -> Void = {}

  init(_ model: RandomModel = RandomModel(), samples: [Sample]? = nil) throws {
    decoder = try model.decoder()
    self.samples = samples ?? model.samples(11, seed: 31)
    settings = Self.settings(LoRAConfiguration(rank: 3, alpha: 6), steps: 6)
  }

  init(_ reference: ReferenceCase, _ decoder: Decoder) throws {
    self.decoder = decoder
    samples = try reference.samples().map(\.sample)
    settings = Self.settings(try AdapterFolder.describe(reference.adapter).configuration, steps: 6)
    settings.batchSize = 4
    settings.schedule = Schedule(kind: .constant, learningRate: 1e-2)
    settings.shuffle = false
    initialAdapter = reference.adapter
    settings.initialAdapter = "given"
  }

  /// All weights of a random model.
  static func full(_ model: RandomModel = RandomModel()) throws -> Bench {
    var bench = try Bench(model)
    bench.trainAllWeights { run in
      let folder = parentPath(run.path) + "/base"
      try createDirectory(folder)
      try model.write(to: folder)
      return folder
    }
    return bench
  }

  mutating func trainAllWeights(of modelFolder: @escaping (RunFolder) throws -> String) {
    self.modelFolder = modelFolder
    settings.lora = nil
    settings.method = .full
    settings.initialAdapter = nil
    initialAdapter = nil
  }

  static func settings(_ lora: LoRAConfiguration?, steps: Int) -> TrainingSettings {
    TrainingSettings(
      lora: lora, initialAdapter: nil, steps: steps, batchSize: 3, gradientAccumulation: 1,
      schedule: Schedule(kind: .cosine, learningRate: 1e-2, minimum: 1e-3, warmupSteps: 2), beta1: 0.9, beta2: 0.999,
      weightDecay: 0.01, maxGradientNorm: 1, shuffle: true, seed: 42, evalEvery: 0, earlyStopping: 0, engine: .auto,
      threads: Compute.availableThreads)
  }

  /// What a run said while it went on.
  final class Log {
    var metrics: [Metric] = []
    var notices: [String] = []
    /// Updates that were said to diverge.
    var diverged: [Int] = []

    var losses: [Double] { train.map(\.loss) }
    var train: [TrainMetric] {
      metrics.compactMap { if case .train(let metric) = $0 { metric } else { nil } }
    }
  }

  /// Starts, or takes up, the run in `folder` and stops it after update `stop`.
  @discardableResult
  func run(_ folder: RunFolder, resume: Bool = false, stop: Int? = nil, _ log: Log = Log()) throws -> TrainingOutcome {
    let modelFolder = try modelFolder?(folder)
    let weights = try modelFolder.map { try TrainableWeights(ModelCheckpoint(folder: $0)) }
    let trained: TrainedParameters =
      if let weights { .weights(weights) } else {
        .adapter(
          try initialAdapter.map { try AdapterFolder.read($0, for: decoder) } ?? adapter ?? fresh())
      }
    let hooks = TrainingHooks(
      validate: validate, sample: sample, describeRecord: { "data.jsonl:\($0 + 1)" },
      report: { log.metrics.append($0) }, notice: { log.notices.append($0) },
      checkModel: checkModel, diverged: { log.diverged.append($0) },
      shouldStop: { log.metrics.last?.step == stop })
    let trainer = Trainer(
      TrainingParts(
        try weights?.decoder() ?? decoder, trained, count: samples.count, samples: { [samples] in samples[$0] }),
      settings: settings,
      record: TrainingRecord(
        run: folder,
        identity: RunIdentity(baseModel: "random", baseDigest: Digest(of: "random"), modelFolder: modelFolder),
        keptCheckpoints: keptCheckpoints),
      saveEvery: saveEvery, hooks: hooks)
    try createDirectory(folder.path)
    if resume { _ = try trainer.resume() }
    return try trainer.train()
  }

  func fresh() throws -> Adapter {
    let adapter = try Adapter(settings.lora ?? LoRAConfiguration(), for: decoder)
    adapter.initialize(seed: settings.seed)
    return adapter
  }
}

extension RunFolder {
  /// The lines of `metrics.jsonl` without what a clock decides.
  func metricLines() throws -> [[String]] {
    try lines(of: metrics).map { line in
      guard let object = try line.withUnsafeBytes({ try parseJSON($0, file: metrics) }).object else {
        throw SFTError(.badData, "is not an object", file: metrics)
      }
      return object.members.filter { !["seconds", "elapsed", "tokens_per_second"].contains($0.key) }
        .map { "\($0.key): \($0.value)" }.sorted()
    }
  }

  /// Every file of the adapter, one after the other.
  func adapterBytes() throws -> [UInt8] { try bytes(of: directoryExists(model) ? model : adapter) }

  func bytes(of folder: String) throws -> [UInt8] {
    try directoryEntries(folder).sorted().flatMap { Array($0.utf8) + (try readFile(folder + "/" + $0)) }
  }
}

/// Writes a file anew without its last bytes, or with one byte changed.
func damage(_ path: String, cutting: Int = 0) throws {
  var content = try readFile(path)
  if cutting > 0 {
    content.removeLast(cutting)
  } else {
    content[content.count / 2] ^= 1
  }
  try writeAtomically(content, to: path)
}
