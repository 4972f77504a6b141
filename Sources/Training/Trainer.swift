import Core
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

/// The loop: batches → gradients → AdamW, with validation, checkpoints and resume.
///
/// After any stop, a run resumed from a checkpoint goes through the same bits as one that never stopped: the order of
/// records, dropout masks and schedule are functions of seed and step, and everything else is in the checkpoint.
public final class Trainer {
  private let update: Updater
  private let settings: TrainingSettings
  private let run: RunFolder
  private let identity: RunIdentity
  private let hooks: TrainingHooks
  private let saveEvery: Int
  private let keptCheckpoints: Int
  private let memory: PassMemory
  private let profiler: Profiler?
  private var state = TrainingState()

  /// A checkpoint found by `resume` replaces the values of what is trained. `profiler` is told where the time goes.
  public init(
    _ parts: TrainingParts, settings: TrainingSettings, run: RunFolder, identity: RunIdentity, saveEvery: Int,
    keptCheckpoints: Int, hooks: TrainingHooks, profiler: Profiler? = nil
  ) {
    self.profiler = profiler
    update = Updater(parts, settings: settings, profiler: profiler)
    memory = parts.memory
    self.settings = settings
    self.run = run
    self.identity = identity
    self.saveEvery = saveEvery
    self.keptCheckpoints = keptCheckpoints
    self.hooks = hooks
  }

  private var pass: TrainingPass { update.pass }

  /// Takes up the newest sound checkpoint, and makes the run's folder follow from it; damaged ones are passed over with
  /// a notice. Returns its step, or nil where there is none. Throws `usage` where the checkpoint is sound but another
  /// optimiser's.
  public func resume() throws -> Int? {
    let found = try run.newestSound(notice: hooks.notice) { checkpoint in
      try checkpoint.read(into: pass.trained, update.optimizer, decoder: pass.decoder)
      try run.publish(checkpoint, thorough: true)
      return checkpoint.state
    }
    guard let found else { return nil }
    state = found
    try run.prune(upTo: state.step, keeping: keptCheckpoints)
    return state.step
  }

  /// Trains to the end, or until told to stop. The checkpoint of the last update done is on the disk when this returns.
  public func train() throws -> TrainingOutcome {
    let log = try MetricsLog(run.metrics, keepingUpTo: state.step)
    let clock = ContinuousClock()
    let start = clock.now
    var saved = state.step
    // A fresh adapter is a function of the seed, but one that was read need not be there when the run is resumed.
    if settings.initialAdapter != nil, state.step == 0, try run.checkpointSteps().isEmpty { try save(log) }
    while state.step < settings.steps, !state.stoppedEarly {
      let began = clock.now
      var metric = try nextUpdate()
      metric.seconds = seconds(clock.now - began)
      metric.elapsed = seconds(clock.now - start)
      metric.tokens_per_second = Double(metric.tokens) / max(metric.seconds, 1e-9)
      try emit(.train(metric), log)
      let isLast = state.step == settings.steps
      if settings.evalEvery > 0, isLast || state.step % settings.evalEvery == 0 {
        let began = clock.now
        try validate(log)
        hooks.validated(seconds(clock.now - began))
      }
      let stop = hooks.shouldStop()
      if stop || isLast || state.stoppedEarly || (saveEvery > 0 && state.step % saveEvery == 0) {
        try save(log)
        saved = state.step
      }
      if stop, !isLast, !state.stoppedEarly { return outcome(interrupted: true) }
    }
    if try saved != state.step || run.checkpointSteps().isEmpty { try save(log) }
    return outcome(interrupted: false)
  }

  private func outcome(interrupted: Bool) -> TrainingOutcome {
    TrainingOutcome(
      steps: state.step, stoppedEarly: state.stoppedEarly, interrupted: interrupted, bestLoss: state.bestLoss,
      bestStep: state.bestStep)
  }

  /// One update; times are left at zero.
  private func nextUpdate() throws -> TrainMetric {
    let result = update(state.step, rate: settings.schedule.rate(at: state.step, of: settings.steps))
    guard result.isFinite else {
      throw try divergence(
        .update(records: result.records.map(hooks.describeRecord), loss: result.metric.loss), result.metric.step)
    }
    state.step += 1
    return result.metric
  }

  /// Throws another error where it is the model's files that are at fault.
  private func divergence(_ place: Divergence.Place, _ step: Int) throws -> SFTError {
    try hooks.checkModel()
    hooks.diverged(step)
    let rate = settings.schedule.rate(at: step - 1, of: settings.steps)
    return try Divergence(place: place, step: step, rate: rate, kept: run.checkpointSteps().last).error
  }

  private func validate(_ log: MetricsLog) throws {
    guard let validate = hooks.validate else { return }
    let timing = profiler?.time(.validation)
    defer { timing?.end() }
    memory.releaseActivations()
    let (loss, accuracy) = try validate()
    guard loss.isFinite else { throw try divergence(.validation, state.step) }
    // JSON has no infinity, which a loss above 709 would give.
    let perplexity = min(exp(loss), .greatestFiniteMagnitude)
    try emit(.eval(EvalMetric(step: state.step, loss: loss, perplexity: perplexity, accuracy: accuracy)), log)
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
      try emit(.sample(SampleMetric(step: state.step, prompt: prompt, text: text)), log)
    }
    state.stoppedEarly = settings.earlyStopping > 0 && state.validationsSinceBest >= settings.earlyStopping
  }

  private func emit(_ metric: Metric, _ log: MetricsLog) throws {
    try log.write(metric)
    try hooks.report(metric)
  }

  /// Keeps the weights as they are, for the checkpoint that will name them. Gives their manifest's checksum.
  private func writeBest() throws -> Digest {
    try writeDirectoryAtomically(run.bestWeights(state.step)) { temporary in
      try identity.write(pass.trained, pass.decoder, to: temporary)
      return try FolderManifest.seal(temporary, step: state.step).checksum
    }
  }

  private func save(_ log: MetricsLog) throws {
    let timing = profiler?.time(.saving)
    defer { timing?.end() }
    try log.sync()
    let checkpoint = try Checkpoint.write(
      state, pass.trained, update.optimizer, decoder: pass.decoder, identity: identity, to: run.checkpoint(state.step))
    try run.publish(checkpoint, thorough: false)
    try run.prune(upTo: state.step, keeping: keptCheckpoints)
  }
}

private func seconds(_ duration: Duration) -> Double {
  Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
}
