import Core
import Pipeline
import Training

/// What a run is, in lines with a label each, before its first update.
struct TrainHeader {
  let folder: RunFolder
  let configuration: RunConfiguration

  private var settings: TrainingSettings { configuration.settings }

  var lines: [String] {
    var lines = ["run         \(folder.path)"]
    if settings.method != .pretrain {
      lines.append("model       \(configuration.model), template \(configuration.templateName)")
    }
    if let quantization = configuration.quantization {
      lines.append("base        frozen in \(quantization.description)")
    }
    return lines + [
      trained, "updates     \(updates)", "optimiser   \(optimizer)",
      "compute     \(counted(settings.threads, "thread")), \(configuration.linearAlgebra.kernels) kernels, OpenBLAS "
        + "\(configuration.linearAlgebra.coreType), engine \(settings.engine.rawValue)",
      "dropout     "
        + (settings.dropout.map { "\(plainNumber($0)) on embeddings, attention and the stream" }
          ?? "the configuration's own is off; \(OptionName.dropout) would set it"),
    ]
  }

  private var trained: String {
    guard let lora = settings.lora else {
      return settings.method == .full ? "weights     all are trained" : "weights     all are trained, from random ones"
    }
    return "adapter     LoRA r \(lora.rank), alpha \(plainNumber(lora.alpha)), dropout "
      + "\(plainNumber(lora.dropout)), on " + lora.targets.joined(separator: ", ")
      + (lora.layers.map { ", layers \($0)" } ?? "") + lora.moreWords
  }

  private var updates: String {
    "\(grouped(settings.steps)) of \(batch)"
      + (configuration.epochs.map { ", \(plainNumber($0)) epoch\($0 == 1 ? "" : "s")" } ?? "")
  }

  private var batch: String {
    let samples = settings.method == .pretrain ? "window" : "record"
    let accumulation = settings.gradientAccumulation
    guard let tokens = settings.batchTokens else {
      return "\(counted(settings.batchSize, samples)) × \(accumulation) = \(settings.effectiveBatch)"
    }
    return "as many \(samples)s as reach \(grouped(tokens)) tokens × \(accumulation) = "
      + grouped(tokens * accumulation)
  }

  private var optimizer: String {
    let schedule = settings.schedule
    let rate =
      "lr \(scientific(schedule.learningRate)) "
      + (schedule.kind == .constant
        ? "constant" : "\(schedule.kind.rawValue) to \(schedule.minimum == 0 ? "0" : scientific(schedule.minimum))")
    return "AdamW\(settings.optimizer == .adamw8bit ? " with 8-bit moments" : ""), \(rate), warm-up "
      + "\(grouped(schedule.warmupSteps)), weight decay \(plainNumber(settings.weightDecay)), clipping "
      + "\(plainNumber(settings.maxGradientNorm)), seed \(settings.seed)"
  }

  /// How the run is validated, and what that takes.
  func validation(_ forecast: ValidationForecast) -> String {
    let samples = settings.method == .pretrain ? "window" : "record"
    let times =
      forecast.times == 1
      ? "once, at the end" : "\(grouped(forecast.times)) times, every \(counted(settings.evalEvery, "update"))"
    let isPart = forecast.used < forecast.records
    let records =
      isPart
      ? "on \(grouped(forecast.used)) of \(counted(forecast.records, samples))"
      : "on \(counted(forecast.records, samples))"
    let sample =
      settings.sampleLimit > 0 ? "with a sample of up to \(settings.sampleLimit) tokens" : "without a sample"
    let share =
      forecast.share < 2
      ? "\(fixed(100 * forecast.share, forecast.share < 0.01 ? 1 : 0)) % of" : "\(fixed(forecast.share, 0)) times"
    return "validation  \(times), \(records), \(sample): about \(share) the updates' time"
      + (isPart ? "; \(OptionName.evalEvery) N is on all of them" : "")
  }
}
