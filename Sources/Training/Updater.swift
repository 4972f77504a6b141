import Core
import Kernels
import Models

/// What a trainer and a range test have in common: batches → gradients → AdamW, one update at a time.
///
/// An update is a function of the settings, its number, its rate and what the updates before it left.
final class Updater {
  let pass: TrainingPass
  let optimizer: OptimizerState
  private let updates: UpdateQueue
  private let settings: TrainingSettings
  private let profiler: Profiler?

  init(_ parts: TrainingParts, settings: TrainingSettings, profiler: Profiler? = nil) {
    pass = TrainingPass(
      parts.decoder, parts.trained, Compute(engine: settings.engine, threads: settings.threads, profiler: profiler),
      recomputed: settings.recomputedBlocks(of: parts.decoder.configuration.layers), dropout: settings.dropout,
      memory: parts.memory)
    optimizer = OptimizerState(
      settings.optimizer, parts.trained.tensors, decaysMatricesOnly: settings.method.decaysMatricesOnly)
    updates = UpdateQueue(
      settings, count: parts.count, for: parts.decoder, trunk: parts.trunk, samples: parts.samples)
    self.settings = settings
    self.profiler = profiler
  }

  /// What came of an update.
  struct Result {
    /// Times are left at zero. Its loss is that before the update.
    var metric: TrainMetric
    /// Numbers of the training records it was taken over.
    var records: [Int]
    /// Whether loss and gradient are finite; if not, no parameter has changed.
    var isFinite: Bool { metric.loss.isFinite && metric.grad_norm.isFinite }
  }

  /// The 0-based update `step` with the learning rate `rate`.
  func callAsFunction(_ step: Int, rate: Double) -> Result {
    let timing = profiler?.time(.batches)
    let update = updates.take(step)
    timing?.end()
    let scale = 1 / Float(max(1, update.supervised))
    pass.clearGradients()
    var totals = CrossEntropy.Totals()
    for (index, batch) in update.batches.enumerated() {
      // A stream for each micro-batch of each update.
      let stream = UInt64(step) << 20 | UInt64(index)
      var generator = SeededGenerator(seed: settings.seed ^ 0x6472_6f70, stream: stream)
      totals += pass.accumulate(
        batch, scale: scale, dropoutSeed: generator.next(),
        trunk: update.trunks.isEmpty ? nil : update.trunks[index])
    }
    let loss = totals.loss / max(1, totals.weight)
    let norm = loss.isFinite ? updateParameters(step, rate) : .nan
    return Result(
      metric: TrainMetric(
        step: step + 1, loss: loss, accuracy: totals.correct / max(1, totals.weight), lr: rate, grad_norm: norm,
        tokens: update.tokens, supervised_tokens: update.supervised, seconds: 0, elapsed: 0, tokens_per_second: 0),
      records: update.records)
  }

  /// Returns the gradient's norm.
  private func updateParameters(_ step: Int, _ rate: Double) -> Double {
    let timing = profiler?.time(.optimizer)
    defer { timing?.end() }
    return optimizer.update(
      pass.trained.parameters.pointer, gradients: pass.gradients.pointer, settings: settings, learningRate: rate,
      step: step + 1, pass.compute)
  }
}

/// What is trained, and on what.
public struct TrainingParts {
  /// The decoder over the trained weights where all weights are trained, else over the frozen ones.
  public var decoder: Decoder
  /// Initialised.
  public var trained: TrainedParameters
  /// How many training records there are.
  public var count: Int
  /// Gives each, on any thread.
  public var samples: @Sendable (Int) -> Sample
  /// May be shared with what computes in turns with the training.
  public var memory: PassMemory
  /// What the blocks below the lowest adapted one give for each record, where that is stored.
  public var trunk: TrunkOutputs?

  public init(
    _ decoder: Decoder, _ trained: TrainedParameters, count: Int, samples: @escaping @Sendable (Int) -> Sample,
    memory: PassMemory = PassMemory(), trunk: TrunkOutputs? = nil
  ) {
    self.decoder = decoder
    self.trained = trained
    self.count = count
    self.samples = samples
    self.memory = memory
    self.trunk = trunk
  }
}
