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
  let data: PreparedData
  private let opened: OpenedModel
  let outline: Decoder
  /// This process with the data and the tokenizer open, as the training will have them.
  private let own: MemoryAllowance
  var checkpoint: ModelCheckpoint { opened.checkpoint }
  /// What a run is going to do.
  struct Run {
    var settings: TrainingSettings
    var quantization: QuantizationOptions?
    /// Checkpoints that are kept.
    var checkpoints: Int
    /// Tokens that records are cut to; nil for none. For asking what shorter ones would take.
    var length: Int?
  }

  init(_ workspace: Workspace, _ data: PreparedData, _ opened: OpenedModel) throws {
    (self.workspace, self.data, self.opened) = (workspace, data, opened)
    own = .current
    outline = try Decoder.outline(opened.checkpoint.configuration)
  }

  /// What a run takes. Throws `usage` for targets that the model does not have.
  func plan(_ run: Run, validation: TrainingData) throws -> TrainingPlan {
    let settings = run.settings
    let compute = Compute(engine: settings.engine, threads: settings.threads)
    // Nothing is written to its memory.
    let adapter = try settings.lora.map { try Adapter($0, for: outline, takesValues: false) }
    let tensors = adapter?.tensors ?? TrainableWeights.tensors(of: outline.configuration)
    let isQuantized = run.quantization != nil || !checkpoint.quantizedNames.isEmpty
    let footprint = TrainingFootprint(
      outline, adapter, compute, recomputed: settings.recomputedBlocks(of: outline.configuration.layers),
      dropsStream: settings.dropout != nil,
      trunkLayer: settings.trunkLayer,
      memory: PassMemory.forTraining(
        settings, adapter: adapter != nil, quantized: isQuantized, blocks: outline.configuration.layers))
    let samples = samples(run.length)
    let forecast = RunForecast(settings, outline, footprint, count: data.training.count, samples: samples)
    let tokens = forecast.tokens.union(try addValidation(validation, settings, footprint))
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
      + keysAndValues(settings, validation)
    let disk = try disk(run, trained: trained, moments: moments, samples: samples)
    let speed = WorkEstimate(
      settings, outline, checkpoint, adapter, forecast, isQuantized: isQuantized, packs: BaseModel.packs(compute))
    let seconds = speed.seconds(MachineRates.cached(workspace, threads: settings.threads))
    let highest = max(own.highest, peak, settings.evalEvery > 0 ? duringValidation : 0)
    let share = try validationShare(settings, validation, adapter)
    let free = workspace.freeBytes
    return TrainingPlan(
      model: opened.location.name, peak_memory_bytes: highest, memory: parts, available_memory_bytes: own.limit,
      fits: own.limit.map { highest <= $0 } ?? true, disk_bytes: disk.reduce(0) { $0 + $1.bytes }, disk: disk,
      free_disk_bytes: free, updates: settings.steps, seconds_per_update: seconds,
      seconds: seconds * Double(settings.steps) * (1 + share),
      records: data.training.count,
      tokens_per_epoch: (0..<data.training.count).reduce(0) { $0 + samples($1).tokens.count },
      largest_batch_rows: footprint.largestBatch, suggestions: [])
  }

  private func samples(_ length: Int?) -> @Sendable (Int) -> Sample {
    let data = data
    return { index in
      let sample = data.sample(data.training[index])
      guard let length, sample.tokens.count > length else { return sample }
      return Sample(
        tokens: Array(sample.tokens.prefix(length)),
        supervised: sample.supervised.map { min($0.lowerBound, length)..<min($0.upperBound, length) })
    }
  }

  /// Gives the tokens of what is validated on.
  private func addValidation(
    _ validation: TrainingData, _ settings: TrainingSettings, _ footprint: TrainingFootprint
  ) throws -> Set<Int32> {
    var tokens: Set<Int32> = []
    guard settings.evalEvery > 0, validation.validationCount > 0 else { return tokens }
    let indices = settings.validationIndices(of: validation.validationCount)
    let plain = settings.engine == .plain
    try overBatches(
      indices.count, tokenBudget: plain ? 0 : 512, sharesPrefixes: !plain, for: outline,
      samples: { validation.validationSample(indices[$0]) }
    ) { batch, _ in
      footprint.addValidation(batch)
      tokens.formUnion(batch.tokens)
    }
    guard settings.sampleLimit > 0, !validation.samplePrompt.isEmpty else { return tokens }
    // The sample answer's prompt goes through in one piece, its last row alone to the head.
    var prompt = Batch(sequence: validation.samplePrompt, shortLength: outline.configuration.shortLength)
    prompt.targets = [Batch.Target(row: prompt.tokens.count - 1, token: 0, weight: 1)]
    footprint.addValidation(prompt)
    return tokens
  }

  /// Of the sample answer.
  private func keysAndValues(_ settings: TrainingSettings, _ validation: TrainingData) -> Int {
    let configuration = outline.configuration
    let tokens = validation.samplePrompt.count + settings.sampleLimit
    return settings.sampleLimit > 0
      ? 8 * tokens * configuration.layers * configuration.keyValueHeads * configuration.headWidth : 0
  }

  private func validationShare(
    _ settings: TrainingSettings, _ validation: TrainingData, _ adapter: Adapter?
  ) throws -> Double {
    guard settings.validations > 0 else { return 0 }
    let cost = try validation.cost(settings, outline, lowestLayer: adapter?.lowestLayer ?? 0)
    return ValidationForecast(settings, cost, records: validation.validationCount).share
  }

  private func weights(
    _ run: Run, _ isFrozen: Bool, _ tokens: Set<Int32>, _ compute: Compute
  ) throws -> WeightFootprint {
    if !isFrozen { return WeightFootprint() }
    let names = try run.quantization?.select(from: checkpoint.configuration.linears) ?? []
    return try WeightFootprint(
      checkpoint, quantized: Set(names), doubleQuantization: run.quantization?.settings.doubleQuantization ?? true,
      packs: BaseModel.packs(compute), tokens: tokens)
  }

  /// What the run will write.
  private func disk(
    _ run: Run, trained: Int, moments: Int, samples: @Sendable (Int) -> Sample
  ) throws -> [TrainingPlan.Part] {
    // One is written before an old one goes; the last weights are a copy.
    var parts = [
      TrainingPlan.Part(name: "checkpoints", bytes: (run.checkpoints + 1) * (trained + moments)),
      TrainingPlan.Part(name: "weights", bytes: trained * (run.settings.evalEvery > 0 ? 3 : 1)),
    ]
    if let quantization = run.quantization, checkpoint.quantizedNames.isEmpty,
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
      let rows = TrunkStage.rows(data).reduce(0, +)
      parts.append(TrainingPlan.Part(name: "stored outputs", bytes: 4 * rows * outline.configuration.width))
    }
    return parts
  }
}
