import Core
import Files
import FoundationEssentials
import TensorBoard
import Training

/// A run's metrics as TensorBoard's event files, in a folder of the run's name: exactly what `metrics.jsonl` holds, whatever
/// was killed or run without in between.
final class TensorBoardLog {
  private let file: EventFile

  static let configurationTag = "configuration"
  private static let lossTag = "train/loss"

  /// The folder by its real path, so that a resumed run finds it from anywhere. It is made.
  static func folder(_ path: String) throws -> String {
    try createDirectory(path)
    return canonicalPath(path) ?? path
  }

  /// For a run that goes on after `firstStep` updates. What stopped processes wrote of later steps is taken back; what they
  /// did not write, because they ran without, is written now.
  init(
    _ parent: String, run: RunFolder, _ configuration: RunConfiguration, firstStep: Int, notice: (String) -> Void
  ) throws {
    let folder = parent + "/" + run.name
    let done = try Metric.read(run.metrics).filter { $0.step <= firstStep }
    let history = try EventHistory(folder)
    let isDescribed = history.steps[Self.configurationTag]?.isEmpty == false
    let missing = done.first { metric in
      if case .train(let metric) = metric { return history.steps[Self.lossTag]?.contains(metric.step) != true }
      return false
    }
    // A run that starts anew, because it was killed before its first checkpoint, is described anew as well.
    let start = firstStep == 0 || !isDescribed ? 0 : missing?.step ?? firstStep + 1
    try EventHistory.removeSummaries(from: start, in: folder)
    file = try EventFile(in: folder, firstStep: start, wallTime: Self.now)
    notice("tensorboard \(folder)")
    if start == 0 {
      try file.write(
        .hyperParameters(configuration.hyperParameters, metrics: Self.metrics(configuration), wallTime: Self.now))
      let text = Array(try jsonEncoder(pretty: true).encode(configuration))
      try file.write(
        .text(Self.configurationTag, Self.literal(String(decoding: text, as: UTF8.self)), step: 0, wallTime: Self.now))
    }
    for metric in done where metric.step >= start { try write(metric) }
  }

  /// The scalars to compare runs by.
  private static func metrics(_ configuration: RunConfiguration) -> [String] {
    configuration.settings.evalEvery > 0 ? ["eval/loss", "eval/accuracy", lossTag] : [lossTag]
  }

  func write(_ metric: Metric) throws {
    switch metric {
    case .train(let metric):
      let values: [(String, Double)] = [
        ("loss", metric.loss), ("accuracy", metric.accuracy), ("lr", metric.lr), ("grad_norm", metric.grad_norm),
        ("tokens", Double(metric.tokens)), ("supervised_tokens", Double(metric.supervised_tokens)),
        ("seconds", metric.seconds), ("elapsed", metric.elapsed), ("tokens_per_second", metric.tokens_per_second),
      ]
      try file.write(.scalars(values.map { ("train/" + $0.0, $0.1) }, step: metric.step, wallTime: Self.now))
    case .eval(let metric):
      let values = [("loss", metric.loss), ("perplexity", metric.perplexity), ("accuracy", metric.accuracy)]
      try file.write(.scalars(values.map { ("eval/" + $0.0, $0.1) }, step: metric.step, wallTime: Self.now))
    case .sample(let metric):
      let text = "Prompt:\n\n\(Self.literal(metric.prompt))\n\nAnswer:\n\n\(Self.literal(metric.text))\n"
      try file.write(.text("sample", text, step: metric.step, wallTime: Self.now))
    }
  }

  /// What was written is on the disk when this returns.
  func close(isFinished: Bool) throws {
    if isFinished { try file.write(.finished(wallTime: Self.now)) }
    try file.sync()
  }

  private static var now: Double { Date().timeIntervalSince1970 }

  /// Markdown that shows a text as it is: indented, it is code.
  private static func literal(_ text: String) -> String {
    text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).map { "    " + $0 }.joined(
      separator: "\n")
  }
}

extension RunConfiguration {
  /// What a run may be compared with others by.
  fileprivate var hyperParameters: [(name: String, value: Event.Parameter)] {
    let schedule = settings.schedule
    let adapter: [(String, Event.Parameter)] =
      settings.lora.map { lora in
        [
          ("lora_r", .number(Double(lora.rank))), ("lora_alpha", .number(lora.alpha)),
          ("lora_dropout", .number(lora.dropout)), ("lora_targets", .text(lora.targets.joined(separator: ","))),
          ("rslora", .flag(lora.rankStabilized)),
        ]
      } ?? []
    return adapter + [
      ("method", .text(settings.method.rawValue)), ("dropout", .number(settings.dropout ?? 0)),
      ("model", .text(model)), ("template", .text(templateName)), ("max_length", .number(Double(maxLength))),
      ("quantization", .text(quantization?.description ?? "none")), ("steps", .number(Double(settings.steps))),
      ("batch_size", .number(Double(settings.batchSize))),
      ("grad_accum", .number(Double(settings.gradientAccumulation))), ("lr", .number(schedule.learningRate)),
      ("scheduler", .text(schedule.kind.rawValue)), ("min_lr", .number(schedule.minimum)),
      ("warmup_steps", .number(Double(schedule.warmupSteps))), ("optimizer", .text(settings.optimizer.rawValue)),
      ("beta1", .number(settings.beta1)), ("beta2", .number(settings.beta2)),
      ("weight_decay", .number(settings.weightDecay)), ("max_grad_norm", .number(settings.maxGradientNorm)),
      ("shuffle", .flag(settings.shuffle)), ("seed", .number(Double(settings.seed))),
    ]
  }
}
