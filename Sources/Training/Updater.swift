import Core
import Dispatch
import Distributing
import Kernels
import Models

/// What a trainer and a range test have in common: batches → gradients → AdamW, one update at a time.
///
/// An update is a function of the settings, its number, its rate and what the updates before it left. In a group of ranks each
/// computes its shares of the update; what comes of it is the same everywhere.
final class Updater {
  let pass: TrainingPass
  let optimizer: OptimizerState
  private let updates: UpdateQueue
  private let settings: TrainingSettings
  private let profiler: Profiler?
  private let sums: ShareSums
  private let group: RankGroup?
  private let ranks: RankedUpdates?
  /// Held while parameters and moments change, by whoever makes updates; nil where nobody else looks at them.
  var turn: DispatchSemaphore?

  init(_ parts: TrainingParts, settings: TrainingSettings, group: RankGroup? = nil, profiler: Profiler? = nil) {
    let compute = Compute(engine: settings.engine, threads: settings.threads, profiler: profiler)
    let tree = ShareTree(shares: settings.shareCount)
    pass = TrainingPass(
      parts.decoder, parts.trained, compute,
      recomputed: settings.recomputedBlocks(of: parts.decoder.configuration.layers), dropout: settings.dropout,
      memory: parts.memory)
    let optimizer = OptimizerState(
      settings.optimizer, parts.trained.tensors, decaysMatricesOnly: settings.method.decaysMatricesOnly)
    self.optimizer = optimizer
    sums = ShareSums(tree, count: parts.trained.count)
    let ranks = group.map { RankedUpdates($0, tree, optimizer, dividesMoments: settings.lora == nil, compute) }
    (self.group, self.ranks) = (group, ranks)
    updates = UpdateQueue(
      settings, count: parts.count, for: parts.decoder, trunk: parts.trunk, ownShares: ranks?.ownShares,
      samples: parts.samples)
    self.settings = settings
    self.profiler = profiler
  }

  /// What came of an update.
  struct Result {
    /// Times are left at zero. Its loss is that before the update.
    var metric: TrainMetric
    /// Numbers of the training records it was taken over.
    var records: [Int]
    /// Whether any rank was asked to stop.
    var isToStop = false
    /// Whether loss and gradient are finite; if not, no parameter has changed.
    var isFinite: Bool { metric.loss.isFinite && metric.grad_norm.isFinite }
  }

  /// The 0-based update `step` with the learning rate `rate`. `isToStop` is what this process tells the others of itself. Throws
  /// only in a group, where that ends.
  func callAsFunction(_ step: Int, rate: Double, isToStop: () -> Bool = { false }) throws -> Result {
    let timing = profiler?.time(.batches)
    let update = updates.take(step)
    timing?.end()
    turn?.signal()
    // Whatever comes of it, the turn is taken back.
    let outcome = Swift.Result { try computing { try shareOut(gradients(of: update, step), isToStop()) } }
    turn?.wait()
    let (totals, isToStop) = try outcome.get()
    let loss = totals.loss / max(1, totals.weight)
    let norm = loss.isFinite ? try computing { try updateParameters(step, rate) } : .nan
    return Result(
      metric: TrainMetric(
        step: step + 1, loss: loss, accuracy: totals.correct / max(1, totals.weight), lr: rate, grad_norm: norm,
        tokens: update.tokens, supervised_tokens: update.supervised, seconds: 0, elapsed: 0, tokens_per_second: 0),
      records: update.records, isToStop: isToStop)
  }

  /// The plain engine has pieces that take too long for that.
  private func computing<Value>(_ body: () throws -> Value) rethrows -> Value {
    guard let group, settings.engine == .auto else { return try body() }
    return try group.computing(body)
  }

  /// Of this process's shares; their gradients are in `sums` then, and on their way to other ranks.
  private func gradients(of update: UpdateQueue.Update, _ step: Int) throws -> [CrossEntropy.Totals] {
    let scale = 1 / Float(max(1, update.supervised))
    let gradients = pass.gradients.pointer
    var end = optimizer.count
    func complete(from place: Int) throws {
      sums.complete(place..<end, pass.compute)
      end = place
      try ranks?.advance(to: place)
    }
    sums.clear()
    if update.shares.isEmpty { try ranks?.begin([], into: gradients) }
    let totals = try update.shares.map { share in
      pass.clearGradients()
      let isLast = share.number == update.shares.last?.number
      if isLast {
        sums.addLast(share.number, gradients)
        try ranks?.begin(sums.parts, into: gradients)
      }
      var totals = CrossEntropy.Totals()
      for microBatch in share.microBatches {
        // A stream for each micro-batch of each update.
        let stream = UInt64(step) << 20 | UInt64(microBatch.number)
        var generator = SeededGenerator(seed: settings.seed ^ 0x6472_6f70, stream: stream)
        let isEnd = isLast && microBatch.number == share.microBatches.last?.number
        totals += try pass.accumulate(
          microBatch.batch, scale: scale, dropoutSeed: generator.next(), trunk: microBatch.trunk
        ) { place in if isEnd { try complete(from: place) } }
      }
      if !isLast { sums.add(share.number, gradients, pass.compute) }
      return totals
    }
    try complete(from: 0)
    return totals
  }

  /// Over the shares of all ranks, whose gradients are summed then.
  private func shareOut(
    _ totals: [CrossEntropy.Totals], _ isToStop: Bool
  ) throws -> (totals: CrossEntropy.Totals, isToStop: Bool) {
    let timing = profiler?.time(.exchange)
    defer { timing?.end() }
    try ranks?.finish(pass.gradients.pointer)
    let (all, isToStop) = try ranks?.exchange(totals, isToStop) ?? (totals, isToStop)
    return (all.reduce(into: CrossEntropy.Totals()) { $0 += $1 }, isToStop)
  }

  /// Returns the gradient's norm.
  private func updateParameters(_ step: Int, _ rate: Double) throws -> Double {
    let (parameters, gradients) = (pass.trained.parameters.pointer, pass.gradients.pointer)
    let timing = profiler?.time(.optimizer)
    defer { timing?.end() }
    let norm =
      try ranks?.norm(gradients)
      ?? Elementwise.sumOfSquares(Floats(gradients), count: optimizer.count, pass.compute).squareRoot()
    guard norm.isFinite else { return norm }
    optimizer.update(
      parameters, gradients: Floats(gradients), norm: norm, settings: settings, learningRate: rate, step: step + 1,
      chunks: ranks?.ownChunks, pass.compute)
    try ranks?.gather(parameters: parameters)
    return norm
  }

  /// Rank 0 gets the moments that others have.
  func gatherMoments() throws { try ranks?.gatherMoments() }

  /// Every rank gets parameters and moments of rank 0.
  func broadcast() throws { try ranks?.broadcast(pass.trained.parameters.pointer) }
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
