import ArgumentParser
import Core
import Kernels
import Masking
import Pipeline

extension OverlongPolicy: ExpressibleByArgument {}

struct Prepare: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Turn instruction files into prepared data: templated, tokenised, masked, split.")

  @Argument(help: "Alpaca-style JSONL files or JSON arrays; - for standard input.")
  var files: [String]

  @Option(name: .long, help: "\(modelWords) (default: embedded).")
  var model: String?

  @Option(name: .long, help: "Shipped template (alpaca, short, chat, qa) or template file.")
  var template = "alpaca"

  @Option(name: .long, help: "Longest record in tokens (default: the model's context).")
  var maxLength: Int?

  @Option(name: .long, help: "What to do with longer records: error, drop or truncate (the prompt, from its left).")
  var overlong: OverlongPolicy = .error

  @Option(name: .customLong("val"), help: "Share of the records kept for validation (default: 0.05).")
  var validationShare: Double?

  @Option(name: .customLong("val-file"), help: "Validation records, instead of a share of the data.")
  var validationFile: String?

  @Option(name: .long, help: "Seed of the split.")
  var seed: UInt64 = 42

  @Flag(name: .long, help: "Keep only the first of equal records.")
  var dedupe = false

  @Flag(name: .long, help: "Count and list bad records instead of stopping at the first.")
  var skipBad = false

  @Flag(name: .long, help: "Keep only records without an input.")
  var onlyEmptyInput = false

  @Option(name: .long, help: "Threads (default: the cores this process may use).")
  var threads: Int?

  @OptionGroup var common: CommonOptions

  func validate() throws {
    if validationShare != nil, validationFile != nil { throw ValidationError("Give --val or --val-file, not both.") }
    if let threads, threads < 1 { throw ValidationError("--threads must be at least 1.") }
  }

  func run() throws {
    let progress = Progress(quiet: common.quiet)
    let workspace = Workspace(common.workspace) { progress.note($0) }
    let options = PrepareOptions(
      files: files, model: model, template: template, maxLength: maxLength, overlong: overlong,
      validationShare: validationShare ?? 0.05, validationFile: validationFile, seed: seed, dedupe: dedupe,
      skipBad: skipBad,
      onlyEmptyInput: onlyEmptyInput, threads: threads ?? Compute.availableThreads)
    var stages: [StageReport] = []
    let artifact = try prepare(options, in: workspace) { stage in
      stages.append(stage)
      progress.note("\(stage.stage): \(stage.reused ? "already there, skipped" : "made")  \(stage.path)")
    }
    let summary = artifact.summary
    for message in summary.skippedMessages { progress.note("skipped: \(message)") }
    if common.json {
      try Terminal.printJSON(Report(path: artifact.path, stages: stages, summary: summary))
    } else {
      Terminal.show(Self.text(summary))
    }
  }

  private struct Report: Encodable {
    var path: String
    var stages: [StageReport]
    var summary: PreparedSummary
  }

  /// What a person wants to know of prepared data.
  static func text(_ summary: PreparedSummary) -> String {
    let counts = summary.counts
    var lines = [
      "records     \(grouped(counts.loaded)) read: \(grouped(summary.training)) for training, "
        + "\(grouped(summary.validation)) for validation"
    ]
    let dropped = [
      (counts.skippedBad, "bad"), (counts.droppedWithInput, "with an input"), (counts.droppedTooLong, "too long"),
      (counts.droppedAnswerTooLong, "whose answer does not fit"), (counts.duplicatesRemoved, "duplicates"),
      (counts.alsoInValidation, "that are in the validation file too"),
    ].filter { $0.0 > 0 }.map { "\(grouped($0.0)) \($0.1)" }
    if !dropped.isEmpty { lines.append("dropped     " + dropped.joined(separator: ", ")) }
    if counts.truncated > 0 { lines.append("truncated   \(grouped(counts.truncated)) prompts, from their left") }
    if counts.duplicates > counts.duplicatesRemoved {
      lines.append("duplicates  \(grouped(counts.duplicates)), kept (--dedupe removes them)")
    }
    let lengths = summary.lengths
    lines.append(
      "tokens      \(grouped(summary.tokens)); a record has \(lengths.minimum) to \(lengths.maximum), median "
        + "\(lengths.median), 90 % up to \(lengths.p90), 99 % up to \(lengths.p99)")
    lines.append(
      "supervised  \(grouped(summary.supervisedTokens)) tokens (\(fixed(100 * summary.supervisedShare, 1)) %), EOS included"
    )
    lines.append("template    \(summary.templateName), maximum length \(grouped(summary.maxLength))")
    return lines.joined(separator: "\n")
  }
}
