import ArgumentParser
import Core
import Evaluating
import Pipeline
import SampleEncoding

struct Eval: ParsableCommand {
  static let configuration = CommandConfiguration(
    verb: "eval", abstract: "Loss, perplexity and token accuracy on raw records: token means over the answers.",
    usage: "\(OptionName.data) <FILE> [options]",
    examples: ["sft eval --data eval.jsonl", "sft eval --data eval.jsonl --base --overlong drop --json"])

  struct Records: ParsableArguments {
    @Option(
      name: .long,
      help: .takes(
        "FILE",
        "Records in any format that `sft prepare` takes; - for standard input, or a folder, or a dataset of the hub as owner/name:split."
      ))
    var data: String

    @Option(name: .long, help: .takes("POLICY", "What to do with longer records."))
    var overlong: OverlongPolicy = .error

    @Option(name: .long, help: .takes("N", "Longest record in tokens (default: the run's, else the model's context)."))
    var maxLength: Int?
  }

  @OptionGroup(title: "Records") var records: Records
  @OptionGroup(title: "Records") var columns: ColumnFlags
  @OptionGroup(title: "Model") var choice: AdapterChoice
  @OptionGroup(title: "Model") var model: ModelOptions
  @OptionGroup(title: "General") var common: CommonOptions

  func run() throws {
    let progress = Progress(quiet: common.quiet)
    let workspace = Workspace(common.workspace, remark: progress.remark, progress: progress.show) { progress.note($0) }
    var options = InferenceOptions(model)
    options.apply(choice)
    options.usesPanels = true
    let session = try InferenceSession(options, workspace: workspace)
    progress.note("evaluating \(session.base.name) with \(session.description)")
    let evaluation = try session.evaluate(
      records: records.data, columns: columns.columns, overlong: records.overlong, maxLength: records.maxLength
    ) { done, total in
      progress.update(done, of: total, "records", isMilestone: false)
    }
    progress.close()
    if evaluation.truncated > 0 { progress.note("\(evaluation.truncated) prompts were truncated from their left") }
    if evaluation.dropped > 0 { progress.note("\(evaluation.dropped) records were too long and dropped") }
    let result = evaluation.result
    if common.json {
      try Terminal.printJSON(result)
    } else {
      print(
        """
        loss        \(fixed(result.loss, 6))
        perplexity  \(fixed(result.perplexity, 4))
        accuracy    \(fixed(100 * result.accuracy, 2)) %
        supervised  \(grouped(result.supervised_tokens)) tokens in \(grouped(evaluation.records)) records
        """)
    }
  }
}

extension InferenceOptions {
  /// What of a run or a folder goes on top of the base.
  mutating func apply(_ choice: AdapterChoice) { (adapter, baseOnly) = (choice.adapter, choice.base) }

  init(_ options: ModelOptions) {
    self.init(options.weights)
    template = options.template
  }

  init(_ options: WeightsOptions) {
    self.init()
    model = options.model
    run = options.run
    checkpoint = options.checkpoint
    force = options.force
    threads = options.threads
    quantized = options.quantization.quantized
    quantization = options.quantization.described
  }
}
