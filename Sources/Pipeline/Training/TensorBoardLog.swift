import Core
import Files
import FoundationEssentials
import JSON
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
    let options: [(String, Event.Parameter)] = RunOption.all.flatMap { option -> [(String, Event.Parameter)] in
      guard option.role == .update || option.role == .schedule, let value = option.recorded(self) else { return [] }
      return Self.parameters(option.parameter, value)
    }
    return options + [
      ("method", .text(settings.method.rawValue)), ("model", .text(model)), ("template", .text(templateName)),
      ("max_length", .number(Double(maxLength))),
    ]
  }

  /// Numbers in a list have one each: beta1, beta2.
  private static func parameters(_ name: String, _ value: JSONValue) -> [(String, Event.Parameter)] {
    if let flag = value.bool { return [(name, .flag(flag))] }
    if let number = value.double { return [(name, .number(number))] }
    guard let elements = value.array else { return [(name, .text(value.string ?? ""))] }
    let numbers = elements.compactMap(\.double)
    if name == RunOption.betas.parameter { return zip(1..., numbers).map { (name + "\($0)", .number($1)) } }
    return [(name, .text(elements.map { $0.string ?? $0.serialized }.joined(separator: ",")))]
  }
}
