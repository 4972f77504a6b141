import Core
import Distributing
import Evaluating
import Files
import FoundationEssentials
import Generating
import Kernels
import Models
import Tokenizing
import Training

/// What happens while a run goes on, for the one who shows it.
public enum TrainEvent {
  /// A setting or fact worth knowing before the first step.
  case note(String)
  /// What the run is going to take, before the base is opened.
  case planned(TrainingPlan)
  case started(RunFolder, RunConfiguration, firstStep: Int)
  case metric(Metric)
  /// What the validations of the run will be; only where there are any.
  case validations(ValidationForecast)
  /// A validation goes through its records.
  case validating(done: Int, of: Int)
  /// The sample answer after it grows, token by token.
  case answering(done: Int, of: Int)
  /// A validation is over, best weights and sample included.
  case validated(seconds: Double)
  /// What the user should know of the losses at the end of the run, as a sentence.
  case remark(String)
  /// So many of the training records are gone through before the first step.
  case trunk(done: Int, of: Int)
  /// Loss or gradient of this update, or the loss of the validation after it, is not finite, which ends the run with an error.
  case diverged(step: Int)
  /// Where the time went, after the last step.
  case profile(Profile)
}

/// The samples that a run trains and validates on.
struct TrainingData {
  var count: Int
  /// Asked on any thread.
  var sample: @Sendable (Int) -> Sample
  /// Tokens of a training sample.
  var length: (Int) -> Int
  /// Where a sample came from, as FILE:LINE or the like.
  var place: (Int) -> String
  var validationCount: Int
  var validationSample: (Int) -> Sample
  /// What is continued after each validation.
  var samplePrompt: [Int32]
  /// What ends its answer, beside the tokens that end the model's texts.
  var sampleEnds: [Int32] = []
}

/// The training itself, with everything at hand: the loop with validation, sample texts, metrics and checkpoints.
struct TrainingJob {
  /// The update whose loss or gradient was not finite.
  private final class Divergence { var step: Int? }

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
  private let divergence = Divergence()
  /// Throws where the files of the frozen base hold values that are not finite.
  var checkModel: () throws -> Void = {}
  /// Gives what is stored of the frozen blocks, if anything is; making it counts as the profiler's time.
  var trunk: (Profiler?) throws -> TrunkOutputs? = { _ in nil }
  /// The processes that train with this one, which leads them; nil for none.
  var ranks: JobRanks?

  func callAsFunction(isResuming: Bool) throws -> TrainingOutcome {
    let settings = configuration.settings
    var tensorboard: TensorBoardLog?
    let profiler = profile ? RunProfiler(threads: settings.threads) : nil
    let trunk = try trunk(profiler?.profiler)
    // What the others open too, such as quantised weights, is there by now.
    if let ranks {
      try ranks.begin(folder, configuration)
      event(.note(ranks.session.words(settings)))
      for remark in ranks.session.remarks { event(.note(remark)) }
    }
    let trainer = trainer(
      trunk, TrainingRecord(run: folder, identity: identity, keptCheckpoints: configuration.keepCheckpoints),
      ranks?.session.group, profiler?.profiler
    ) {
      event(.metric($0))
      try tensorboard?.write($0)
    }
    let firstStep = isResuming ? try resume(trainer) : 0
    event(.started(folder, configuration, firstStep: firstStep))
    if settings.validations > 0 {
      let cost = try data.cost(settings, decoder, lowestLayer: trained.adapter?.lowestLayer ?? 0)
      event(.validations(ValidationForecast(settings, cost, records: data.validationCount)))
    }
    for remark in settings.remarks(cores: Compute.availableThreads) { event(.note(remark)) }
    let earlySaving = ranks?.session.saveAtOnce(trainer)
    defer { earlySaving?.end() }
    let outcome = try recordingFailure(after: firstStep) {
      tensorboard = try configuration.tensorboard.map {
        try TensorBoardLog($0, run: folder, configuration, firstStep: firstStep) { event(.note($0)) }
      }
      let outcome = try trainer.train()
      try tensorboard?.close(isFinished: !outcome.interrupted)
      if !outcome.interrupted { try FinishedMark.write(outcome, folder) }
      return outcome
    }
    if let profile = profiler?.finish(steps: outcome.steps - firstStep) {
      try profile.write(folder)
      event(.profile(profile))
    }
    if !outcome.interrupted {
      for remark in LossTrend(try Metric.read(folder.metrics)).remarks { event(.remark(remark)) }
    }
    return outcome
  }

  /// Does its part of what rank 0 of a group trains.
  func work(_ group: RankGroup) throws {
    let trainer = trainer(try trunk(nil), nil, group, nil) { _ in }
    do { _ = try trainer.train() } catch let error as SFTError {
      // Where losses are not finite, rank 0 finds the same, and says so.
      guard divergence.step != nil else { throw error }
    }
  }

  private func trainer(
    _ trunk: TrunkOutputs?, _ record: TrainingRecord?, _ group: RankGroup?, _ profiler: Profiler?,
    report: @escaping (Metric) throws -> Void
  ) -> Trainer {
    let settings = configuration.settings
    // Training and validation take turns.
    let memory = PassMemory.forTraining(
      settings, adapter: trained.adapter != nil, quantized: decoder.isQuantized,
      blocks: decoder.configuration.layers)
    let compute = Compute(engine: settings.engine, threads: settings.threads)
    let inference = InferencePass(decoder, trained.adapter, compute, memory: memory)
    return Trainer(
      TrainingParts(
        decoder, trained, count: data.count, samples: data.sample, memory: memory, trunk: trunk),
      settings: settings, record: record, saveEvery: configuration.saveEvery,
      hooks: hooks(inference, group, report: report), group: group, profiler: profiler)
  }

  /// Leaves word in the run's folder where the training fails.
  private func recordingFailure(
    after firstStep: Int, _ train: () throws -> TrainingOutcome
  ) throws -> TrainingOutcome {
    try removeTree(folder.failedMark)
    do { return try train() } catch var error as SFTError where error.kind != .interrupted {
      if error.kind == .inputOutput || error.kind == .cannotCreate {
        error.advice = "Mend that, then go on with `\(configuration.resumeCommand(folder))`"
      }
      let mark = FailedMark(
        steps: (try? folder.loggedSteps()) ?? firstStep, divergedAt: divergence.step, message: error.message)
      // Where the disk is full it cannot be; the run is then like one that was killed.
      try? mark.write(folder)
      throw error
    }
  }

  private func hooks(
    _ inference: InferencePass, _ group: RankGroup?, report: @escaping (Metric) throws -> Void
  ) -> TrainingHooks {
    var hooks = TrainingHooks(
      describeRecord: data.place, report: report, notice: { event(.note($0)) },
      checkModel: checkModel,
      diverged: { step in
        divergence.step = step
        event(.diverged(step: step))
      }, validated: { event(.validated(seconds: $0)) }, shouldStop: shouldStop)
    if data.validationCount > 0 {
      let indices = configuration.settings.validationIndices(of: data.validationCount)
      hooks.validate = {
        let result = try tokenMeans(
          inference, count: indices.count, tokenBudget: configuration.settings.validationBudget,
          share: group.map { EvaluationShare($0) },
          progress: { event(.validating(done: $0, of: indices.count)) },
          samples: { data.validationSample(indices[$0]) })
        return (result.loss, result.accuracy)
      }
      if configuration.settings.sampleLimit > 0, group?.isLeader ?? true {
        hooks.sample = { try sampleText(inference) }
      }
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
        advice: "Start a new run with \(OptionName.initAdapter)")
    }
    event(.note("Run \(folder.name) has no sound checkpoint: it starts at step 0."))
    return 0
  }

  private func sampleText(_ inference: InferencePass) throws -> (prompt: String, text: String) {
    let text = try tokenizer.decode(data.samplePrompt, skipSpecialTokens: false)
    guard (1..<decoder.configuration.contextLength).contains(data.samplePrompt.count) else { return (text, "") }
    // A sample is no reason to take memory that the training does not need.
    let generator = try Generator(inference, tokenizer, endTokens: data.sampleEnds, makesShortlist: false)
    let limit = configuration.settings.sampleLimit
    var done = 0
    let answer = try generator.generate(data.samplePrompt, GenerationSettings(maxNewTokens: limit)) { _ in
      done += 1
      event(.answering(done: done, of: limit))
    }
    return (text, answer.text)
  }
}

extension PassMemory {
  /// What training computes in: much of it where memory is spent anyway, little where it was asked to be saved.
  static func forTraining(_ settings: TrainingSettings, adapter: Bool, quantized: Bool, blocks: Int) -> PassMemory {
    let recomputed = settings.recomputedBlocks(of: blocks)
    if recomputed == 0 {
      return adapter
        ? quantized ? PassMemory(logits: 3 << 20, keepsAttention: false) : PassMemory(logits: 12 << 20)
        : PassMemory(logits: 12 << 20, usesLargePages: true)
    }
    if !adapter { return PassMemory(logits: 6 << 20) }
    return recomputed == blocks
      ? PassMemory(logits: 800 << 10)
      : PassMemory(logits: 2 << 20, keepsAttention: !quantized, keepsAttentionInFirst: true)
  }
}
