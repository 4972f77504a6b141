import Core
import Pipeline
import Training

/// Shows a run as it goes: the settings, a bar with loss, rate and remaining time, validations and samples.
final class TrainDisplay {
  private let progress: Progress
  private var steps = 0
  private var firstStep = 0
  private var smoothedSeconds: Double?
  private var tokens = 0
  private var seconds = 0.0
  private var last: TrainMetric?
  private var weights = ""
  /// Where the time went, if that was asked for.
  private(set) var profile: Profile?
  /// What goes on with the run that was started.
  private(set) var resumeCommand: String?

  init(_ progress: Progress) { self.progress = progress }

  func show(_ event: TrainEvent) {
    switch event {
    case .note(let text): progress.note(text)
    case .started(let folder, let configuration, let firstStep): start(folder, configuration, firstStep)
    case .metric(.train(let metric)): train(metric)
    case .trunk(let done, let total):
      progress.update(done, of: total, "records through the frozen layers", isMilestone: done == total)
    case .profile(let profile): self.profile = profile
    case .diverged: break
    case .metric(.eval(let metric)):
      progress.note(
        "step \(metric.step)  validation: loss \(fixed(metric.loss, 4)), perplexity \(fixed(metric.perplexity, 2)), "
          + "accuracy \(fixed(100 * metric.accuracy, 1)) %")
    case .metric(.sample(let metric)):
      let text = printable(metric.text).split(separator: "\n").joined(separator: " ⏎ ")
      progress.note("step \(metric.step)  sample: \(text.isEmpty ? "(an empty answer)" : String(text.prefix(200)))")
    }
  }

  private func start(_ folder: RunFolder, _ configuration: RunConfiguration, _ firstStep: Int) {
    let settings = configuration.settings
    steps = settings.steps
    resumeCommand = configuration.resumeCommand(folder)
    weights = settings.lora == nil ? "model       \(folder.model)" : "adapter     \(folder.adapter)"
    self.firstStep = firstStep
    progress.note("run         \(folder.path)")
    if settings.method != .pretrain {
      progress.note("model       \(configuration.model), template \(configuration.templateName)")
    }
    if let quantization = configuration.quantization {
      progress.note("base        frozen in \(quantization.description)")
    }
    if let lora = settings.lora {
      progress.note(
        "adapter     LoRA r \(lora.rank), alpha \(lora.alpha), dropout \(lora.dropout), on "
          + lora.targets.joined(separator: ", ") + (lora.layers.map { ", layers \($0)" } ?? ""))
    } else {
      progress.note(
        settings.method == .full ? "weights     all are trained" : "weights     all are trained, from random ones")
    }
    progress.note(
      "updates     \(settings.steps) of \(batch(settings))" + (configuration.epochs.map { ", \($0) epochs" } ?? ""))
    progress.note(
      "optimiser   AdamW\(settings.optimizer == .adamw8bit ? " with 8-bit moments" : ""), "
        + "lr \(settings.schedule.learningRate) \(settings.schedule.kind.rawValue) to "
        + "\(settings.schedule.minimum), warm-up \(settings.schedule.warmupSteps), weight decay \(settings.weightDecay), "
        + "clipping \(settings.maxGradientNorm), seed \(settings.seed)")
    progress.note(
      "compute     \(settings.threads) threads, \(configuration.linearAlgebra.kernels) kernels, OpenBLAS "
        + "\(configuration.linearAlgebra.coreType), engine \(settings.engine.rawValue)")
    progress.note(
      "dropout     "
        + (settings.dropout.map { "\($0) on embeddings, attention and the stream" }
          ?? "the configuration's own is off; --dropout would set it"))
  }

  private func batch(_ settings: TrainingSettings) -> String {
    let samples = settings.method == .pretrain ? "windows" : "records"
    let accumulation = settings.gradientAccumulation
    guard let tokens = settings.batchTokens else {
      return "\(settings.batchSize) \(samples) × \(accumulation) = \(settings.effectiveBatch)"
    }
    return "as many \(samples) as reach \(grouped(tokens)) tokens × \(accumulation) = \(grouped(tokens * accumulation))"
  }

  private func train(_ metric: TrainMetric) {
    last = metric
    tokens += metric.tokens
    seconds += metric.seconds
    smoothedSeconds = smoothedSeconds.map { 0.9 * $0 + 0.1 * metric.seconds } ?? metric.seconds
    let remaining = (smoothedSeconds ?? 0) * Double(steps - metric.step)
    let every = max(1, steps / 20)
    progress.update(
      metric.step, of: steps,
      "loss \(fixed(metric.loss, 4))  \(fixed(metric.tokens_per_second, 0)) tokens/s  ETA \(clockTime(remaining))",
      isMilestone: metric.step == firstStep + 1 || metric.step == steps || metric.step % every == 0)
  }

  func summary(_ folder: RunFolder, _ outcome: TrainingOutcome) -> String {
    var lines: [String] = []
    if let last {
      lines.append(
        "trained     \(outcome.steps) updates, last loss \(fixed(last.loss, 4)), "
          + "\(fixed(Double(tokens) / max(seconds, 1e-9), 0)) tokens/s, \(clockTime(seconds))"
          + (outcome.stoppedEarly ? "; stopped early" : ""))
    }
    if let loss = outcome.bestLoss, let step = outcome.bestStep {
      lines.append("best        validation loss \(fixed(loss, 4)) at step \(step): \(folder.best)")
    }
    lines.append(weights)
    if let profile { lines.append(profileTable(profile)) }
    return lines.joined(separator: "\n")
  }
}
