import Core
import Pipeline
import Training

/// Shows a run as it goes: the settings, a bar with loss, rate and remaining time, validations and samples.
final class TrainDisplay {
  private let progress: Progress
  private var steps = 0
  private var firstStep = 0
  /// Updates done.
  private var step = 0
  private var header: TrainHeader?
  private var remaining: RemainingTime?
  private var began = ContinuousClock.now
  private var tokens = 0
  /// Of the updates and of the validations that this command did.
  private(set) var trainingSeconds = 0.0
  private(set) var validationSeconds = 0.0
  private var last: TrainMetric?
  private var weights = ""
  /// What the user should know of the losses.
  private(set) var remarks: [String] = []
  /// Where the time went, if that was asked for.
  private(set) var profile: Profile?
  /// What goes on with the run that was started.
  private(set) var resumeCommand: String?

  init(_ progress: Progress) { self.progress = progress }

  func show(_ event: TrainEvent) {
    switch event {
    case .note(let text): progress.note(text)
    case .planned(let plan): progress.note(PlanView(plan).short)
    case .started(let folder, let configuration, let firstStep): start(folder, configuration, firstStep)
    case .metric(.train(let metric)): train(metric)
    case .validations(let forecast): show(forecast)
    case .validating(let done, let total):
      validate(done, of: total, "validating ", share: Double(done) / Double(max(1, total)))
    // How long the answer gets is not known; it is little beside the rest.
    case .answering(let done, let total): validate(done, of: total, "answering ", share: 1)
    case .validated(let seconds):
      validationSeconds += seconds
      remaining?.addValidation(seconds)
    case .remark(let text): remarks.append(text)
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
    step = firstStep
    resumeCommand = configuration.resumeCommand(folder)
    weights = settings.lora == nil ? "model       \(folder.model)" : "adapter     \(folder.adapter)"
    self.firstStep = firstStep
    remaining = RemainingTime(steps: steps, evalEvery: settings.evalEvery, forecast: nil)
    let header = TrainHeader(folder: folder, configuration: configuration)
    self.header = header
    for line in header.lines { progress.note(line) }
    began = .now
  }

  private func show(_ forecast: ValidationForecast) {
    guard let header else { return }
    remaining = RemainingTime(steps: steps, evalEvery: header.configuration.settings.evalEvery, forecast: forecast)
    progress.note(header.validation(forecast))
  }

  /// `share` of the validation is done.
  private func validate(_ done: Int, of total: Int, _ label: String, share: Double) {
    let left = remaining?.seconds(after: step, validated: share) ?? 0
    progress.update(
      done, of: total, label: label, "step \(step)/\(steps)  ETA \(clockTime(left))", isMilestone: false)
  }

  private func train(_ metric: TrainMetric) {
    last = metric
    step = metric.step
    tokens += metric.tokens
    trainingSeconds += metric.seconds
    remaining?.addUpdate(metric.seconds)
    let left = remaining?.seconds(after: metric.step) ?? 0
    let every = max(1, steps / 20)
    progress.update(
      metric.step, of: steps,
      "loss \(fixed(metric.loss, 4))  \(fixed(metric.tokens_per_second, 0)) tokens/s  ETA \(clockTime(left))",
      isMilestone: metric.step == firstStep + 1 || metric.step == steps || metric.step % every == 0)
  }

  /// Where the time of this command went; nil where it did no update.
  var timeLine: String? {
    guard last != nil else { return nil }
    let validation = validationSeconds > 0 ? "\(clockTime(validationSeconds)) of validation, " : ""
    return "time        \(clockTime(trainingSeconds)) of training, \(validation)"
      + "\(clockTime((.now - began) / .seconds(1))) in all"
  }

  func summary(_ folder: RunFolder, _ outcome: TrainingOutcome) -> String {
    var lines: [String] = []
    if let last {
      let rate = fixed(Double(tokens) / max(trainingSeconds, 1e-9), 0)
      lines.append(
        "trained     \(counted(outcome.steps, "update")), last loss \(fixed(last.loss, 4)), \(rate) tokens/s"
          + (outcome.stoppedEarly ? "; stopped early" : ""))
    }
    if let timeLine { lines.append(timeLine) }
    if let loss = outcome.bestLoss, let step = outcome.bestStep {
      lines.append("best        validation loss \(fixed(loss, 4)) at step \(step): \(folder.best)")
    }
    lines.append(weights)
    lines += remarks.map { Terminal.outputIsTerminal ? folded($0, Terminal.columns) : $0 }
    if let profile { lines.append(profileTable(profile)) }
    return lines.joined(separator: "\n")
  }
}
