import Artifacts
import Core
import Evaluating
import Files
import Kernels
import Models
import Quantizing
import Tokenizing
import Training
import Weights

/// Works out what trainings of one model on one set of prepared data take, from what computes them: the lists that size the
/// buffers, the batches as they will be packed, and the checkpoint's headers. No weight is read.
final class Planner {
  /// What is still to come that no list holds: stacks, batches, the library's own memory.
  private static let overhead = 4 << 20

  private let workspace: Workspace
  private let model: String
  /// nil where all weights are trained from random ones.
  let checkpoint: ModelCheckpoint?
  private let data: TrainingData
  let outline: Decoder
  /// This process with the data and the tokenizer open, as the training will have them.
  private let own: MemoryAllowance
  /// Rows whose outputs would be stored of frozen layers.
  private let storedRows: () -> Int
  private var knownCorrection: Double?

  /// What a run is going to do.
  struct Run {
    var settings: TrainingSettings
    var quantization: QuantizationOptions?
    /// Checkpoints that are kept; nil where nothing is.
    var checkpoints: Int?
    /// Tokens of a record at most.
    var maxLength: Int
    /// Tokens that records are cut to; nil for none. For asking what shorter ones would take.
    var length: Int?
  }

  /// Of trainings of a base; `own` is of when it was not open yet.
  init(
    _ workspace: Workspace, _ opened: OpenedModel, _ data: TrainingData, own: MemoryAllowance,
    storedRows: @escaping () -> Int
  ) throws {
    (self.workspace, self.data, self.storedRows) = (workspace, data, storedRows)
    (model, checkpoint, self.own) = (opened.location.name, opened.checkpoint, own)
    outline = try Decoder.outline(opened.checkpoint.configuration)
  }

  /// Of trainings of a new model from random weights.
  init(_ workspace: Workspace, new model: String, _ configuration: ModelConfiguration, _ data: TrainingData) throws {
    (self.workspace, self.data, self.model) = (workspace, data, model)
    (checkpoint, storedRows) = (nil, { 0 })
    own = .current
    outline = try Decoder.outline(configuration)
  }

  /// What a run takes. Throws `usage` for targets that the model does not have.
  func plan(_ run: Run) throws -> TrainingPlan {
    let settings = run.settings
    let compute = Compute(engine: settings.engine, threads: settings.threads)
    // Nothing is written to its memory.
    let adapter = try settings.lora.map { try Adapter($0, for: outline, takesValues: false) }
    let tensors = adapter?.tensors ?? TrainableWeights.tensors(of: outline.configuration)
    let isQuantized = run.quantization != nil || !(checkpoint?.quantizedNames ?? []).isEmpty
    let footprint = TrainingFootprint(
      outline, adapter, compute, recomputed: settings.recomputedBlocks(of: outline.configuration.layers),
      dropsStream: settings.dropout != nil,
      trunkLayer: settings.trunkLayer,
      memory: PassMemory.forTraining(
        settings, adapter: adapter != nil, quantized: isQuantized, blocks: outline.configuration.layers))
    let samples = samples(run.length)
    let forecast = RunForecast(settings, outline, footprint, count: data.count, samples: samples)
    let tokens = forecast.tokens.union(try addValidation(settings, footprint))
    let weights = try weights(run, adapter != nil, tokens, compute)
    let moments = OptimizerState.bytes(settings.optimizer, tensors)
    let trained = 4 * tensors.reduce(0) { $0 + $1.count }
    let training = footprint.training
    var parts = [
      TrainingPlan.Part(name: "process", bytes: own.resident + Self.overhead),
      TrainingPlan.Part(name: "weights", bytes: weights.mapped + weights.own),
      TrainingPlan.Part(name: "token vectors", bytes: weights.embedding),
      TrainingPlan.Part(name: adapter == nil ? "trained weights" : "adapter", bytes: trained),
      TrainingPlan.Part(name: "gradients", bytes: trained), TrainingPlan.Part(name: "moments", bytes: moments),
      // Kept at a time while shares are summed: one for each binary digit of their number but the first.
      TrainingPlan.Part(
        name: "sums of shares", bytes: trained * (Int.bitWidth - settings.shareCount.leadingZeroBitCount - 1)),
    ]
    parts += TrainingFootprint.Kind.allCases.map { TrainingPlan.Part(name: $0.rawValue, bytes: training[$0] ?? 0) }
    if settings.trunkLayer != nil {
      // The batch's and the next one's.
      parts.append(
        TrainingPlan.Part(
          name: "stored outputs", bytes: 8 * footprint.largestBatch * outline.configuration.width))
    }
    parts.removeAll { $0.bytes == 0 }
    let peak = parts.reduce(0) { $0 + $1.bytes }
    let duringValidation =
      peak - training.values.reduce(0, +) + footprint.validation.values.reduce(0, +)
      + keysAndValues(settings)
    let disk = try disk(run, trained: trained, moments: moments, samples: samples)
    let speed = WorkEstimate(
      settings, outline, checkpoint, adapter, forecast, isQuantized: isQuantized,
      usesPanels: BaseModel.usesPanels(compute))
    let rates = MachineRates.cached(workspace, threads: settings.threads)
    let seconds = speed.seconds(rates) * correction(run, rates, rows: forecast.rows / max(1, forecast.batches))
    let highest = max(own.highest, peak, settings.evalEvery > 0 ? duringValidation : 0)
    let share = try validationShare(settings, adapter)
    let free = workspace.freeBytes
    return TrainingPlan(
      model: model, peakMemoryBytes: highest, memory: parts, availableMemoryBytes: own.limit,
      fits: own.limit.map { highest <= $0 } ?? true, diskBytes: disk.reduce(0) { $0 + $1.bytes }, disk: disk,
      freeDiskBytes: free, updates: settings.steps, secondsPerUpdate: seconds,
      seconds: seconds * Double(settings.steps) * (1 + share),
      records: data.count,
      tokensPerEpoch: (0..<data.count).reduce(0) { $0 + min(data.length($1), run.length ?? .max) },
      largestBatchRows: footprint.largestBatch, suggestions: [])
  }

  /// What times by the rates are to be multiplied by: found by a trial of the run that is asked for first, and kept.
  private func correction(_ run: Run, _ rates: MachineRates, rows: Double) -> Double {
    if let known = knownCorrection { return known }
    let trial = TrialUpdate(run, checkpoint, outline.configuration)
    let kept = rates.corrections?[trial.identity]
    // What cannot be tried is told all the same.
    let found =
      kept ?? (try? trial.factor(rates, rows: rows, samples(run.length), count: data.count, available: own.limit))
    if kept == nil, let found { rates.keep(found, of: trial.identity, workspace) }
    knownCorrection = found ?? 1
    return found ?? 1
  }

  private func samples(_ length: Int?) -> @Sendable (Int) -> Sample {
    let whole = data.sample
    return { index in
      let sample = whole(index)
      return length.map { sample.prefix($0) } ?? sample
    }
  }

  /// Gives the tokens of what is validated on.
  private func addValidation(_ settings: TrainingSettings, _ footprint: TrainingFootprint) throws -> Set<Int32> {
    var tokens: Set<Int32> = []
    guard settings.evalEvery > 0, data.validationCount > 0 else { return tokens }
    let indices = settings.validationIndices(of: data.validationCount)
    let plain = settings.engine == .plain
    try overBatches(
      indices.count, tokenBudget: plain ? 0 : settings.validationBudget, sharesPrefixes: !plain, for: outline,
      samples: { data.validationSample(indices[$0]) }
    ) { batch, _ in
      footprint.addValidation(batch)
      tokens.formUnion(batch.tokens)
    }
    guard settings.sampleLimit > 0, !data.samplePrompt.isEmpty else { return tokens }
    // The sample answer's prompt goes through in one piece, its last row alone to the head.
    var prompt = Batch(sequence: data.samplePrompt, shortLength: outline.configuration.shortLength)
    prompt.targets = [Batch.Target(row: prompt.tokens.count - 1, token: 0, weight: 1)]
    footprint.addValidation(prompt)
    return tokens
  }

  /// Of the sample answer.
  private func keysAndValues(_ settings: TrainingSettings) -> Int {
    let configuration = outline.configuration
    let tokens = data.samplePrompt.count + settings.sampleLimit
    return settings.sampleLimit > 0
      ? 8 * tokens * configuration.layers * configuration.keyValueHeads * configuration.headWidth : 0
  }

  private func validationShare(_ settings: TrainingSettings, _ adapter: Adapter?) throws -> Double {
    guard settings.validations > 0 else { return 0 }
    let cost = try data.cost(settings, outline, lowestLayer: adapter?.lowestLayer ?? 0)
    return ValidationForecast(settings, cost, records: data.validationCount).share
  }

  private func weights(
    _ run: Run, _ isFrozen: Bool, _ tokens: Set<Int32>, _ compute: Compute
  ) throws -> WeightFootprint {
    guard isFrozen, let checkpoint else { return WeightFootprint() }
    let names = try run.quantization?.select(from: checkpoint.configuration.linears) ?? []
    return try WeightFootprint(
      checkpoint, quantized: Set(names), doubleQuantization: run.quantization?.settings.doubleQuantization ?? true,
      usesPanels: BaseModel.usesPanels(compute), tokens: tokens)
  }

  /// What the run will write.
  private func disk(
    _ run: Run, trained: Int, moments: Int, samples: @Sendable (Int) -> Sample
  ) throws -> [TrainingPlan.Part] {
    // One is written before an old one goes; the last weights are a copy.
    var parts: [TrainingPlan.Part] = []
    if let checkpoints = run.checkpoints {
      parts.append(TrainingPlan.Part(name: "checkpoints", bytes: (checkpoints + 1) * (trained + moments)))
      parts.append(TrainingPlan.Part(name: "weights", bytes: trained * (run.settings.evalEvery > 0 ? 3 : 1)))
    }
    if let quantization = run.quantization, let checkpoint, checkpoint.quantizedNames.isEmpty,
      try QuantizedStage.found(workspace, checkpoint, quantization) == nil
    {
      let names = Set(try quantization.select(from: checkpoint.configuration.linears))
      let bytes = checkpoint.configuration.linears.filter { names.contains($0.weightName) }.reduce(0) {
        $0
          + QuantizedMatrix.bytes(
            outputs: $1.outputWidth, inputs: $1.inputWidth,
            doubleQuantization: quantization.settings.doubleQuantization)
      }
      parts.append(TrainingPlan.Part(name: "quantised base", bytes: bytes))
    }
    if run.settings.trunkLayer != nil {
      parts.append(TrainingPlan.Part(name: "stored outputs", bytes: 4 * storedRows() * outline.configuration.width))
    }
    return parts
  }
}
