import Core
import Files
import Kernels
import Models
import Packing
import Quantizing
import Training
import Weights

/// A small update that is really computed, to correct what the rates say: two blocks of the model's own shape with made-up
/// weights, on some of the data.
///
/// Rates are of operations by themselves, on matrices of one size; how these follow each other, what they find in the cache and
/// what it costs to hand them out depends on the model.
struct TrialUpdate {
  private static let blocks = 2
  /// Rows of the head and the embedding, at most: their share of the time is known well.
  private static let mostTokens = 8192
  private static let fewestRows = 96
  /// Multiplications of the trial, about: half a second.
  private static let work = 5e10
  private static let times = 3
  /// What the trial may take: a share of the available memory, and bytes in any case.
  private static let memoryShare = 0.2
  private static let mostBytes = 2 << 30

  let configuration: ModelConfiguration
  private let checkpoint: ModelCheckpoint?
  private let settings: TrainingSettings
  private let quantization: QuantizationOptions?
  private let compute: Compute

  init(_ run: Planner.Run, _ checkpoint: ModelCheckpoint?, _ whole: ModelConfiguration) {
    self.checkpoint = checkpoint
    quantization = run.quantization
    var settings = run.settings
    // Which layers, and which of them are computed again, is the rates' part.
    (settings.trunkLayer, settings.checkpointedLayers) = (nil, nil)
    settings.lora?.layers = nil
    // Whole names may be of other layers.
    settings.lora?.targets = Self.kinds(run.settings.lora?.targets ?? [])
    settings.lora?.savedModules = nil
    settings.lora?.tokens = nil
    self.settings = settings
    compute = Compute(engine: settings.engine, threads: settings.threads)
    var configuration = whole
    configuration.blocks = Array(whole.blocks.prefix(Self.blocks))
    configuration.vocabularySize = min(whole.vocabularySize, Self.mostTokens)
    self.configuration = configuration
  }

  private static func kinds(_ targets: [String]) -> [String] {
    targets.map { $0.split(separator: ".").last.map(String.init) ?? $0 }
  }

  /// A digest of what the factor depends on: shapes, storage and settings.
  var identity: String {
    let shape = configuration.expectedTensors.map { "\($0.shape) \(storage($0.name))" }.joined(separator: " ")
    let words =
      "\(shape) \(configuration.activation) \(settings.method) \(settings.lora?.rank ?? 0) "
      + "\(settings.lora?.targets.joined(separator: ",") ?? "") \(settings.optimizer) \(settings.gradientCheckpointing) "
      + "\(settings.engine) \(settings.sharesPrefixes)"
    return Digest(of: words).short
  }

  private func storage(_ name: String) -> TrialStorage {
    guard let checkpoint, settings.lora != nil else { return .float }
    let names = (try? quantization?.select(from: checkpoint.configuration.linears)) ?? []
    if checkpoint.quantizedNames.contains(name) { return .fourBit(QuantizationSettings()) }
    if let quantization, names.contains(name) { return .fourBit(quantization.settings) }
    let info = try? checkpoint.info(name)
    // Blocks are the nearest to 4 bits.
    if info?.isInBlocks == true { return .fourBit(QuantizationSettings()) }
    return info?.dtype == .bf16 || info?.dtype == .f16 ? .half : .float
  }

  /// What its weights take, with their gradients and moments where they are trained, and the largest of them once more in
  /// float32, which they are made from.
  private var bytes: Int {
    let counts = configuration.expectedTensors.map { (name: $0.name, count: $0.shape.reduce(1, *)) }
    if settings.lora == nil { return counts.reduce(0) { $0 + 16 * $1.count } }
    return counts.reduce(4 * (counts.map(\.count).max() ?? 0)) { sum, tensor in
      switch storage(tensor.name) {
      case .fourBit: sum + tensor.count
      case .half: sum + 2 * tensor.count
      case .float: sum + 4 * tensor.count
      }
    }
  }

  /// How many times as long as `rates` say it takes; nil where it would take too much memory, or cannot be computed. `rows` are
  /// those of a micro-batch.
  func factor(_ rates: MachineRates, rows: Double, _ samples: (Int) -> Sample, count: Int, available: Int?) throws
    -> Double?
  {
    let parameters = configuration.linears.reduce(0) { $0 + $1.inputWidth * $1.outputWidth }
    guard count > 0, settings.engine == .auto, bytes <= Self.mostBytes,
      Double(bytes) <= Self.memoryShare * Double(available ?? .max)
    else { return nil }
    let most = max(Self.fewestRows, Int(Self.work / Double(3 * max(1, parameters))))
    guard let batch = batch(rows: min(most, Int(rows)), samples, count: count) else { return nil }
    defer { Compute.trimHeap() }
    let isFrozen = settings.lora != nil
    let weights = isFrozen ? nil : TrainableWeights(configuration)
    weights?.fillForTrial(compute)
    let decoder =
      try weights?.decoder()
      ?? Decoder.trial(
        configuration, panels: BaseModel.usesPanels(compute) ? compute : nil, compute, storage: storage)
    let adapter = try settings.lora.map { try Adapter($0, for: decoder) }
    adapter?.initialize(seed: 1)
    let isQuantized = decoder.isQuantized
    let estimate = WorkEstimate(
      settings, decoder, checkpoint, adapter, RunForecast(batch), isQuantized: isQuantized,
      usesPanels: BaseModel.usesPanels(compute))
    let expected = estimate.seconds(rates)
    let seconds = update(
      batch, decoder, adapter.map { .adapter($0) } ?? .weights(weights ?? TrainableWeights(configuration)), isQuantized)
    let factor = seconds / max(expected, 1e-9)
    // Anything else is no measure of this.
    return factor.isFinite && (0.05...20).contains(factor) ? factor : 1
  }

  /// Seconds, in the median: what a training will find, too, and not the best that the machine can do.
  private func update(
    _ batch: Batch, _ decoder: Decoder, _ trained: TrainedParameters, _ isQuantized: Bool
  ) -> Double {
    let blocks = decoder.configuration.layers
    let pass = TrainingPass(
      decoder, trained, compute, recomputed: settings.recomputedBlocks(of: blocks), dropout: settings.dropout,
      memory: PassMemory.forTraining(
        settings, adapter: trained.adapter != nil, quantized: isQuantized, blocks: blocks))
    let optimizer = OptimizerState(
      settings.optimizer, trained.tensors, decaysMatricesOnly: settings.method.decaysMatricesOnly)
    let times = (0..<1 + Self.times).map { step in
      MachineSpeed.seconds {
        pass.clearGradients()
        _ = pass.accumulate(batch, scale: 1e-3, dropoutSeed: 1)
        _ = optimizer.update(
          pass.trained.parameters.pointer, gradients: pass.gradients.pointer, settings: settings, learningRate: 1e-9,
          step: step + 1, compute)
      }
    }
    // The first makes the buffers.
    return times.dropFirst().sorted()[Self.times / 2]
  }

  /// Records from the start of the data, of which the last may be cut; nil where nothing of them is trained.
  private func batch(rows: Int, _ samples: (Int) -> Sample, count: Int) -> Batch? {
    let vocabulary = Int32(configuration.vocabularySize)
    var taken: [Sample] = []
    var batch: Batch?
    for index in 0..<min(count, 512) {
      let sample = samples(index).prefix(rows + 1)
      taken.append(Sample(tokens: sample.tokens.map { $0 % vocabulary }, supervised: sample.supervised))
      let next = Packer.pack(taken, sharesPrefixes: settings.sharesPrefixes, shortLength: configuration.shortLength)
      if batch != nil, next.tokens.count > rows { break }
      if !next.targets.isEmpty { batch = next }
      if next.tokens.count >= rows { break }
    }
    return batch
  }
}

extension Sample {
  /// Its first tokens.
  func prefix(_ length: Int) -> Sample {
    guard tokens.count > length else { return self }
    return Sample(
      tokens: Array(tokens.prefix(length)),
      supervised: supervised.map { min($0.lowerBound, length)..<min($0.upperBound, length) }.filter { !$0.isEmpty })
  }
}
