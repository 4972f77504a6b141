import Core
import Dispatch
import Distributing
import Files
import FoundationEssentials
import Glibc
import Kernels
import Models

/// How a run ended.
public struct TrainingOutcome: Sendable, Equatable {
  public var steps: Int
  public var stoppedEarly: Bool
  /// There was a stop before the end; a resumed run goes on from here.
  public var interrupted: Bool
  public var bestLoss: Double?
  public var bestStep: Int?
}

/// Where a run is kept: what of it is written, and how often. Of a group of ranks the first has one.
public struct TrainingRecord {
  public var run: RunFolder
  public var identity: RunIdentity
  public var keptCheckpoints: Int

  public init(run: RunFolder, identity: RunIdentity, keptCheckpoints: Int) {
    self.run = run
    self.identity = identity
    self.keptCheckpoints = keptCheckpoints
  }
}

/// The loop: batches → gradients → AdamW, with validation, checkpoints and resume.
///
/// After any stop, a run resumed from a checkpoint goes through the same bits as one that never stopped: the order of
/// records, dropout masks and schedule are functions of seed and step, and everything else is in the checkpoint.
///
/// In a group every rank goes through the same steps with the same state; rank 0 alone has a record.
public final class Trainer {
  private let update: Updater
  private let settings: TrainingSettings
  private let record: TrainingRecord?
  private let hooks: TrainingHooks
  private let saveEvery: Int
  private let memory: PassMemory
  private let profiler: Profiler?
  private let group: RankGroup?
  private var log: MetricsLog?
  private var state = TrainingState()
  /// The step of the last checkpoint.
  private var saved = 0
  /// Held while state, parameters and moments change, or are being written.
  private let turn = DispatchSemaphore(value: 1)

  /// A checkpoint found by `resume` replaces the values of what is trained. `profiler` is told where the time goes.
  public init(
    _ parts: TrainingParts, settings: TrainingSettings, record: TrainingRecord?, saveEvery: Int, hooks: TrainingHooks,
    group: RankGroup? = nil, profiler: Profiler? = nil
  ) {
    self.profiler = profiler
    update = Updater(parts, settings: settings, group: group, profiler: profiler)
    memory = parts.memory
    self.settings = settings
    self.record = record
    self.saveEvery = saveEvery
    self.hooks = hooks
    self.group = group
    update.turn = turn
  }

  private var pass: TrainingPass { update.pass }

  /// Takes up the newest sound checkpoint, and makes the run's folder follow from it; damaged ones are passed over with
  /// a notice. Returns its step, or nil where there is none. Throws `usage` where the checkpoint is sound but another
  /// optimiser's.
  public func resume() throws -> Int? {
    guard let record else { return nil }
    let run = record.run
    let found = try run.newestSound(notice: hooks.notice) { checkpoint in
      try checkpoint.read(into: pass.trained, update.optimizer, decoder: pass.decoder)
      try run.publish(checkpoint, thorough: true)
      return checkpoint.state
    }
    guard let found else { return nil }
    state = found
    try run.prune(upTo: state.step, keeping: record.keptCheckpoints)
    return state.step
  }

  /// Brings the ranks of a group to where rank 0 is.
  private func meet() throws {
    guard let group else { return }
    var text = [UInt8](repeating: 0, count: 4096)
    if group.isLeader {
      let state = Array(try JSONEncoder().encode(state))
      precondition(state.count < text.count)
      text.replaceSubrange(0..<state.count, with: state)
    }
    try text.withUnsafeMutableBytes { try group.broadcast($0) }
    state = try JSONDecoder().decode(TrainingState.self, from: Data(text.prefix { $0 != 0 }))
    // A run's beginning is a function of its settings; values that were read are rank 0's alone.
    if state.step > 0 || settings.initialAdapter != nil { try update.broadcast() }
  }

  /// Trains to the end, or until told to stop. The checkpoint of the last update done is on the disk when this returns.
  public func train() throws -> TrainingOutcome {
    guard let group else { return try run() }
    return try group.working(run)
  }

  private func run() throws -> TrainingOutcome {
    turn.wait()
    defer { turn.signal() }
    try meet()
    log = try record.map { try MetricsLog($0.run.metrics, keepingUpTo: state.step) }
    let clock = ContinuousClock()
    let start = clock.now
    saved = state.step
    // A fresh adapter is a function of the seed, but one that was read need not be there when the run is resumed.
    if settings.initialAdapter != nil, state.step == 0, try hasNoCheckpoint() { try save() }
    while state.step < settings.steps, !state.stoppedEarly {
      let began = clock.now
      var (metric, isToStop) = try nextUpdate()
      metric.seconds = seconds(clock.now - began)
      metric.elapsed = seconds(clock.now - start)
      metric.tokens_per_second = Double(metric.tokens) / max(metric.seconds, 1e-9)
      try emit(.train(metric))
      let isLast = state.step == settings.steps
      if settings.evalEvery > 0, isLast || state.step % settings.evalEvery == 0 {
        let began = clock.now
        try validate()
        hooks.validated(seconds(clock.now - began))
      }
      let stop = isToStop || (group == nil && hooks.shouldStop())
      if stop || isLast || state.stoppedEarly || (saveEvery > 0 && state.step % saveEvery == 0) { try save() }
      if stop, !isLast, !state.stoppedEarly { return outcome(interrupted: true) }
    }
    if try saved != state.step || hasNoCheckpoint() { try save() }
    return outcome(interrupted: false)
  }

  private func hasNoCheckpoint() throws -> Bool { try record?.run.checkpointSteps().isEmpty ?? false }

  /// Saves where the training stands, from another thread, in the middle of an update, which goes on. Returns the step that was
  /// saved; nil where there is nothing new, or where other ranks have what would have to be saved.
  public func saveAtOnce() throws -> Int? {
    guard settings.lora != nil || group == nil else { return nil }
    turn.wait()
    defer { turn.signal() }
    guard log != nil, state.step > saved else { return nil }
    try save(isTimed: false)
    return state.step
  }

  private func outcome(interrupted: Bool) -> TrainingOutcome {
    TrainingOutcome(
      steps: state.step, stoppedEarly: state.stoppedEarly, interrupted: interrupted, bestLoss: state.bestLoss,
      bestStep: state.bestStep)
  }

  /// One update; times are left at zero.
  private func nextUpdate() throws -> (TrainMetric, isToStop: Bool) {
    let result = try update(
      state.step, rate: settings.schedule.rate(at: state.step, of: settings.steps),
      isToStop: { group != nil && hooks.shouldStop() })
    guard result.isFinite else {
      throw try divergence(
        .update(records: result.records.map(hooks.describeRecord), loss: result.metric.loss), result.metric.step)
    }
    state.step += 1
    return (result.metric, result.isToStop)
  }

  /// Throws another error where it is the model's files that are at fault.
  private func divergence(_ place: Divergence.Place, _ step: Int) throws -> SFTError {
    try hooks.checkModel()
    hooks.diverged(step)
    let rate = settings.schedule.rate(at: step - 1, of: settings.steps)
    return try Divergence(place: place, step: step, rate: rate, kept: record?.run.checkpointSteps().last).error
  }

  private func validate() throws {
    guard let validate = hooks.validate else { return }
    let timing = profiler?.time(.validation)
    defer { timing?.end() }
    memory.releaseActivations()
    let (loss, accuracy) = try validate()
    guard loss.isFinite else { throw try divergence(.validation, state.step) }
    // JSON has no infinity, which a loss above 709 would give.
    let perplexity = min(exp(loss), .greatestFiniteMagnitude)
    try emit(.eval(EvalMetric(step: state.step, loss: loss, perplexity: perplexity, accuracy: accuracy)))
    if loss < state.bestLoss ?? .infinity {
      state.bestLoss = loss
      state.bestStep = state.step
      state.validationsSinceBest = 0
      state.bestWeights = try writeBest()
    } else {
      state.validationsSinceBest += 1
    }
    if let sample = hooks.sample {
      let (prompt, text) = try sample()
      try emit(.sample(SampleMetric(step: state.step, prompt: prompt, text: text)))
    }
    state.stoppedEarly = settings.earlyStopping > 0 && state.validationsSinceBest >= settings.earlyStopping
  }

  private func emit(_ metric: Metric) throws {
    try log?.write(metric)
    try hooks.report(metric)
  }

  /// Keeps the weights as they are, for the checkpoint that will name them. Gives their manifest's checksum.
  private func writeBest() throws -> Digest? {
    guard let record else { return nil }
    return try writeDirectoryAtomically(record.run.bestWeights(state.step)) { temporary in
      try record.identity.write(pass.trained, pass.decoder, to: temporary)
      return try FolderManifest.seal(temporary, step: state.step).checksum
    }
  }

  /// The profiler is for the thread that trains alone.
  private func save(isTimed: Bool = true) throws {
    let timing = isTimed ? profiler?.time(.saving) : nil
    defer { timing?.end() }
    try update.gatherMoments()
    saved = state.step
    guard let record else { return }
    try log?.sync()
    let checkpoint = try Checkpoint.write(
      state, pass.trained, update.optimizer, decoder: pass.decoder, identity: record.identity,
      to: record.run.checkpoint(state.step))
    try record.run.publish(checkpoint, thorough: false)
    try record.run.prune(upTo: state.step, keeping: record.keptCheckpoints)
  }
}

private func seconds(_ duration: Duration) -> Double {
  Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
}
