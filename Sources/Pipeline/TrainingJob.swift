import Core
import Evaluating
import Files
import FoundationEssentials
import Kernels
import Models
import Tokenizing
import Training

/// What happens while a run goes on, for the one who shows it.
public enum TrainEvent {
  /// A setting or fact worth knowing before the first step.
  case note(String)
  case started(RunFolder, RunConfiguration, firstStep: Int)
  case metric(Metric)
  /// So many of the training records are gone through before the first step.
  case trunk(done: Int, of: Int)
  /// Loss or gradient of this update is not finite, which ends the run with an error.
  case diverged(step: Int)
  /// Where the time went, after the last step.
  case profile(Profile)
}

/// The samples that a run trains and validates on.
struct TrainingData {
  var count: Int
  /// Asked on any thread.
  var sample: @Sendable (Int) -> Sample
  /// Where a sample came from, as FILE:LINE or the like.
  var place: (Int) -> String
  var validationCount: Int
  var validationSample: (Int) -> Sample
  /// What is continued after each validation.
  var samplePrompt: [Int32]
}

/// The training itself, with everything at hand: the loop with validation, sample texts, metrics and checkpoints.
struct TrainingJob {
  var folder: RunFolder
  var configuration: RunConfiguration
  var decoder: Decoder
  var trained: TrainedParameters
  var tokenizer: Tokenizer
  var identity: RunIdentity
  var data: TrainingData
  var shouldStop: () -> Bool
  var event: (TrainEvent) -> Void
  /// Says where the time goes.
  var profile = false
  /// Gives what is stored of the frozen blocks, if anything is; making it counts as the profiler's time.
  var trunk: (Profiler?) throws -> TrunkOutputs? = { _ in nil }

  func callAsFunction(isResuming: Bool) throws -> TrainingOutcome {
    let settings = configuration.settings
    // Training and validation take turns.
    let memory = trained.passMemory(decoder, checkpointing: settings.gradientCheckpointing)
    let compute = Compute(engine: settings.engine, threads: settings.threads)
    var charts: TensorBoardLog?
    let inference = InferencePass(decoder, trained.adapter, compute, memory: memory)
    let profiler = profile ? RunProfiler(threads: settings.threads) : nil
    let trainer = Trainer(
      TrainingParts(
        decoder, trained, count: data.count, samples: data.sample, memory: memory,
        trunk: try trunk(profiler?.profiler)),
      settings: settings, run: folder, identity: identity, saveEvery: configuration.saveEvery,
      keptCheckpoints: configuration.keepCheckpoints,
      hooks: hooks(inference) {
        event(.metric($0))
        try charts?.write($0)
      },
      profiler: profiler?.profiler)
    let firstStep = isResuming ? try resume(trainer) : 0
    event(.started(folder, configuration, firstStep: firstStep))
    let outcome: TrainingOutcome
    do {
      charts = try configuration.tensorboard.map {
        try TensorBoardLog($0, run: folder, configuration, firstStep: firstStep) { event(.note($0)) }
      }
      outcome = try trainer.train()
      try charts?.close(isFinished: !outcome.interrupted)
    } catch var error as SFTError where error.kind == .inputOutput || error.kind == .cannotCreate {
      error.advice = "Mend that, then go on with `\(configuration.resumeCommand(folder))`"
      throw error
    }
    if let profile = profiler?.finish(steps: outcome.steps - firstStep) {
      try profile.write(folder)
      event(.profile(profile))
    }
    if !outcome.interrupted {
      let mark = FinishedMark(
        steps: outcome.steps, stopped_early: outcome.stoppedEarly, best_loss: outcome.bestLoss,
        best_step: outcome.bestStep)
      try writeAtomically(Array(try jsonEncoder().encode(mark)) + [UInt8(ascii: "\n")], to: folder.finishedMark)
    }
    return outcome
  }

  private func hooks(_ inference: InferencePass, report: @escaping (Metric) throws -> Void) -> TrainingHooks {
    var hooks = TrainingHooks(
      describeRecord: data.place, report: report, notice: { event(.note($0)) },
      diverged: { event(.diverged(step: $0)) }, shouldStop: shouldStop)
    if data.validationCount > 0 {
      hooks.validate = {
        let result = try evaluate(inference, count: data.validationCount, samples: data.validationSample)
        return (result.loss, result.accuracy)
      }
      hooks.sample = { try sampleText(inference) }
    }
    return hooks
  }

  /// The step that is gone on from.
  private func resume(_ trainer: Trainer) throws -> Int {
    if let step = try trainer.resume() {
      event(.note("Going on from the checkpoint of step \(step)."))
      return step
    }
    if configuration.settings.initialAdapter != nil {
      throw SFTError(
        .notFound, "run \(folder.name) started from another adapter and has no sound checkpoint to go on from",
        advice: "Start a new run with --init-adapter")
    }
    event(.note("Run \(folder.name) has no sound checkpoint: it starts at step 0."))
    return 0
  }

  private func sampleText(_ inference: InferencePass) throws -> (prompt: String, text: String) {
    let text = try tokenizer.decode(data.samplePrompt, skipSpecialTokens: false)
    guard (1..<decoder.configuration.contextLength).contains(data.samplePrompt.count) else { return (text, "") }
    let generator = try Generator(inference, tokenizer)
    return (text, try generator.generate(data.samplePrompt, GenerationSettings(maxNewTokens: 64)).text)
  }
}

/// `finished.json`.
struct FinishedMark: Codable {
  var steps: Int
  var stopped_early: Bool
  var best_loss: Double?
  var best_step: Int?

  /// nil where the run is not finished.
  static func read(_ run: RunFolder) throws -> FinishedMark? {
    guard try fileExists(run.finishedMark) else { return nil }
    do {
      return try JSONDecoder().decode(FinishedMark.self, from: Data(try readFile(run.finishedMark, limit: 1 << 20)))
    } catch is DecodingError {
      throw SFTError(.badData, "is not a run's mark of its end", file: run.finishedMark)
    }
  }
}

extension TrainedParameters {
  /// What training them computes in: much of it where memory is spent anyway, little where it was asked to be saved.
  func passMemory(_ decoder: Decoder, checkpointing: Bool) -> PassMemory {
    switch (self, checkpointing) {
    case (.adapter, false):
      decoder.isQuantized ? PassMemory(logits: 3 << 20, keepsAttention: false) : PassMemory(logits: 12 << 20)
    case (.adapter, true): PassMemory(logits: 800 << 10)
    case (.weights, false): PassMemory(logits: 12 << 20, usesLargePages: true)
    case (.weights, true): PassMemory(logits: 6 << 20)
    }
  }
}
