import ArgumentParser
import Core
import Kernels
import Loading
import Pipeline
import SampleEncoding

extension OverlongPolicy: ExpressibleByArgument {}
extension TrainedTurns: ExpressibleByArgument {}
extension DataFormat: ExpressibleByArgument {}

extension PinnedDate: ExpressibleByArgument {
  public init?(argument: String) { self.init(argument) }
}

struct Prepare: ParsableCommand {
  static let configuration = CommandConfiguration(
    verb: "prepare", abstract: "Turn instruction files into prepared data: templated, tokenised, masked, split.",
    usage: "<FILE> ... [options]",
    examples: [
      "sft prepare alpaca.jsonl --model gpt2",
      "sft prepare a.jsonl b.jsonl --val-file held-out.jsonl --overlong drop",
      "sft prepare table.csv.gz --columns instruction=question,output=answer",
      "sft prepare org/name --val-file org/name:validation --model gpt2",
    ])

  struct Form: ParsableArguments {
    @Option(name: .long, help: .takes("DIR|NAME", "\(modelWords) (default: embedded)."))
    var model: String?

    @Option(
      name: .long,
      help: .takes(
        "NAME|FILE",
        """
        model: the model's own chat template (default for conversations); a shipped prompt template (alpaca, short, chat, \
        qa; default for instructions: alpaca) or a file of one; a built-in chat template; none (default for texts).
        """))
    var template: String?

    @Option(
      name: .long,
      help: .takes(
        "WHICH", "Of conversations: loss on every turn of the assistant, on the last, or on all that is written."))
    var trainOn: TrainedTurns = .assistant

    @Option(
      name: .long,
      help: .takes(
        "DAY", "Today's date for templates that write it, as 2024-07-26 (default: today)."))
    var date: PinnedDate?

    @Option(name: .long, help: .takes("N", "Longest record in tokens (default: the model's context)."))
    var maxLength: Int?

    @Option(
      name: .long,
      help: .takes(
        "POLICY",
        "What to do with longer records; truncate cuts the prompt from its left, of conversations whole turns."))
    var overlong: OverlongPolicy = .error
  }

  struct Split: ParsableArguments {
    @Option(name: .customLong("val"), help: .takes("SHARE", "Share of the records for validation (default: 0.05)."))
    var share: Double?

    @Option(
      name: .customLong("val-file"),
      help: .takes("FILE", "Validation records, named as the data, instead of a share of it."))
    var file: String?

    @Option(name: .long, help: .takes("N", "Seed of the split."))
    var seed: UInt64 = 42

    func validate() throws {
      if share != nil, file != nil {
        throw ValidationError("Give \(OptionName.val) or \(OptionName.valFile), not both.")
      }
    }
  }

  struct Selection: ParsableArguments {
    @Option(
      name: .long,
      help: .takes(
        "NAME", "What the records are: messages, sharegpt, completion, alpaca, qa or text (default: by their members).")
    )
    var dataFormat: DataFormat?

    @Flag(name: .long, help: "Keep only the first of equal records.")
    var dedupe = false

    @Flag(name: .long, help: "Count and list bad records instead of stopping at the first.")
    var skipBad = false

    @Flag(name: .long, help: "Keep only records without an input.")
    var onlyEmptyInput = false
  }

  @Argument(
    help: .takes(
      "FILE",
      """
      Instructions or conversations: JSON Lines, JSON, Parquet, CSV or TSV, also compressed (gzip, zstd); a folder of such \
      files; a dataset in the local Hugging Face cache, owner/name[:split]; - for standard input.
      """))
  var files: [String]

  @OptionGroup(title: "Model and template") var form: Form
  @OptionGroup(title: "Validation") var split: Split
  @OptionGroup(title: "Records") var columns: ColumnFlags
  @OptionGroup(title: "Records") var selection: Selection
  @OptionGroup(title: "Computing") var computing: ThreadOption
  @OptionGroup(title: "Settings file") var settings: SettingsFlags
  @OptionGroup(title: "General") var common: CommonOptions

  func run() throws {
    let progress = Progress(quiet: common.quiet)
    let workspace = Workspace(common.workspace, progress: progress.show) { progress.note($0) }
    let options = PrepareOptions(
      files: files, model: form.model, template: form.template, format: selection.dataFormat,
      columns: columns.columns, trainOn: form.trainOn, date: form.date, maxLength: form.maxLength,
      overlong: form.overlong,
      validationShare: split.share ?? 0.05, validationFile: split.file, seed: split.seed, dedupe: selection.dedupe,
      skipBad: selection.skipBad, onlyEmptyInput: selection.onlyEmptyInput,
      threads: computing.threads ?? Compute.availableThreads)
    var stages: [StageReport] = []
    let artifact = try prepare(options, in: workspace, warn: { progress.note("warning: \($0).") }) { stage in
      stages.append(stage)
      progress.note("\(stage.stage): \(stage.reused ? "already there, skipped" : "made")  \(stage.path)")
    }
    let summary = artifact.summary
    for message in summary.skippedMessages { progress.note("skipped: \(message)") }
    if common.json {
      try Terminal.printJSON(Report(path: artifact.path, stages: stages, summary: summary))
    } else {
      Terminal.show(Self.text(summary, modelIsNamed: form.model != nil))
    }
  }

  private struct Report: Encodable {
    var path: String
    var stages: [StageReport]
    var summary: PreparedSummary
  }

  /// What a person wants to know of prepared data. `modelIsNamed`: whether the user said which model it is for.
  static func text(_ summary: PreparedSummary, modelIsNamed: Bool = true) -> String {
    let counts = summary.counts
    var lines = [
      "records     \(grouped(counts.loaded)) read: \(grouped(summary.training)) for training, "
        + "\(grouped(summary.validation)) for validation"
    ]
    let formats = DataFormat.allCases.filter(summary.formats.contains).map(\.words).joined(separator: ", ")
    let samples = summary.training + summary.validation
    lines.append(
      "data        \(formats)"
        + (counts.conversations == 0
          ? "" : ": \(counted(counts.turns, "message")), \(counted(samples, "sample")), \(summary.layout.words)"))
    let dropped = [
      (counts.skippedBad, "bad"), (counts.droppedWithInput, "with an input"), (counts.droppedTooLong, "too long"),
      (counts.droppedAnswerTooLong, "whose answer does not fit"), (counts.duplicatesRemoved, "duplicates"),
      (counts.alsoInValidation, "that are in the validation file too"),
    ].filter { $0.0 > 0 }.map { "\(grouped($0.0)) \($0.1)" }
    if !dropped.isEmpty { lines.append("dropped     " + dropped.joined(separator: ", ")) }
    if counts.turnsCut > 0 {
      lines.append("truncated   \(counted(counts.turnsCut, "conversation")), by whole turns from the start")
    }
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
    lines += (summary.remarks.warnings + (summary.warnings ?? [])).map { "warning     \($0)" }
    let date = summary.layout.date.map { ", on \($0)" } ?? ""
    lines.append("template    \(summary.templateName)\(date), maximum length \(grouped(summary.maxLength))")
    lines.append("model       \(summary.model)" + (modelIsNamed ? "" : ", as no \(OptionName.model) was given"))
    return lines.joined(separator: "\n")
  }
}
