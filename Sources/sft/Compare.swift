import ArgumentParser
import Core
import Evaluating
import Files
import Pipeline

extension WordSplitting: ExpressibleByArgument {}

struct Compare: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Is the tuned model better than its base, and how sure is that?",
    discussion: """
      Base and adapters answer the same questions over one set of weights. Where answers are expected, losses, F1 and
      ROUGE-L are measured; multiple-choice questions are decided by likelihood per byte. Differences come with bootstrap
      intervals and a sign test. Results are in compare.json and in compare.html, which needs nothing beside itself.

      With --blind, compare.html is for voting: it does not say which answer is whose. `sft compare --score votes.json`
      counts the votes. It and --judge set the first adapter against the base, whatever others there are.

      With --model-b two models are compared. Each has its own tokenizer; both get the first's template unless --template-b
      names another. Where the tokenizers differ, nothing that counts tokens is compared; bits per byte is.
      """)

  @OptionGroup var model: ModelOptions

  @Option(
    name: .long,
    help: """
      Questions: one a line, or JSONL with instruction, input and perhaps the expected output, or choices and answer (an \
      index from 0, or the choice's text).
      """)
  var questions: String?

  @Option(name: .long, help: "Adapter folder; may be given several times (default: the newest run's).")
  var adapter: [String] = []

  @Option(
    name: .customLong("model-b"),
    help: "Compare with this model (a folder, a name, or embedded) instead of with an adapter.")
  var otherModel: String?

  @Option(name: .customLong("template-b"), help: "That model's template (default: the first model's).")
  var otherTemplate: String?

  @Flag(name: .long, help: "Make compare.html a page to vote on, without names.")
  var blind = false

  @Option(name: .long, help: "Count the votes of such a page.")
  var score: String?

  @Option(name: .long, help: "Folder for the results (default: compare/ID in the workspace).")
  var out: String?

  @Option(name: .long, help: "How many questions to show here (default: 24; all are in the files).")
  var show = 24

  @Option(name: .long, help: "Questions that are answered at once.")
  var batchSize = 8

  @Option(
    name: .long,
    help: """
      How ROUGE-L finds words: ascii, as the rouge-score package (a-z and 0-9, Korean for one is dropped), or unicode \
      (default: unicode where the expected answers need it).
      """)
  var rougeWords: WordSplitting?

  @Option(
    name: .long,
    help: """
      Ask the model behind this OpenAI-compatible address which answer is better, in both orders. A key is taken from \
      SFT_JUDGE_API_KEY.
      """)
  var judge: String?

  @Option(name: .long, help: "That model's name (default: default).")
  var judgeModel: String?

  @Option(name: .long, help: "Requests to the judge at most, failed ones too (default: 1000).")
  var judgeBudget: Int?

  @Option(name: .long, help: "Seconds to wait for a reply of the judge (default: 60).")
  var judgeTimeout: Double?

  @OptionGroup var decoding: DecodingOptions
  @OptionGroup var common: CommonOptions

  func validate() throws {
    guard (questions == nil) != (score == nil) else {
      throw ValidationError("Give --questions to compare, or --score to count votes.")
    }
    if otherModel != nil, adapter.count > 1 { throw ValidationError("--model-b goes with at most one --adapter.") }
    if otherTemplate != nil, otherModel == nil { throw ValidationError("--template-b goes with --model-b.") }
    if !(1...256).contains(batchSize) { throw ValidationError("--batch-size must be from 1 to 256.") }
    if judge == nil, judgeModel != nil || judgeBudget != nil || judgeTimeout != nil {
      throw ValidationError("--judge-model, --judge-budget and --judge-timeout go with --judge.")
    }
    if show < 0 { throw ValidationError("--show must not be negative.") }
  }

  func run() throws {
    let progress = Progress(quiet: common.quiet)
    let workspace = Workspace(common.workspace) { progress.note($0) }
    if let score {
      try CompareVotes(workspace: workspace, file: score, out: out, json: common.json, note: progress.note)()
      return
    }
    let questions = questions ?? ""
    let settings = try decoding.settings(note: progress.note)
    let asked = try loadQuestions(questions)
    var options = CompareOptions(InferenceOptions(model), generation: settings)
    options.inference.adapter = adapter.first
    options.inference.needsAdapter = adapter.isEmpty
    options.adapters = Array(adapter.dropFirst())
    (options.otherModel, options.otherTemplate) = (otherModel, otherTemplate)
    (options.width, options.rougeWords) = (batchSize, rougeWords)
    let judging = try makeJudge(workspace)
    let models = try ModelComparison(options, workspace: workspace) { progress.note($0) }
    progress.note(models.description)
    // Answers take long: what cannot be written should be known before.
    try createDirectory(out ?? "\(workspace.path)/compare")
    if let judging {
      progress.note("asking the judge at \(judging.address) whether it answers")
      try judging.probe()
    }
    var comparison = try models(asked, file: questions) { done, total in
      progress.update(done, of: total, "answers", isMilestone: done == total)
    }
    var failure: SFTError?
    if let judging {
      failure = judging.add(to: &comparison) { done, total in
        progress.update(done, of: total, "judged", isMilestone: done == total)
      }
      progress.note(judging.description(comparison))
    }
    progress.close()
    if common.json {
      try Terminal.printJSON(comparison)
    } else {
      print(ComparisonView(comparison, columns: Terminal.columns, shown: blind ? 0 : show, isBlind: blind).text)
    }
    let folder = try write(ComparisonFiles(comparison), metrics: models.metrics, in: workspace)
    for name in ["compare.json", "compare.html"] {
      let place = "written to \(folder)/\(name)"
      if common.json { progress.note(place) } else { print(place) }
    }
    // Said last: the answers are safe.
    if let failure { throw failure }
  }

  private func makeJudge(_ workspace: Workspace) throws -> ComparisonJudge? {
    guard let judge else { return nil }
    return try ComparisonJudge(
      url: judge, model: judgeModel, budget: judgeBudget, timeout: judgeTimeout, workspace: workspace)
  }

  /// `compare/ID`: the ID is of the content, so the same comparison has the same place.
  private func write(_ files: ComparisonFiles, metrics: String?, in workspace: Workspace) throws -> String {
    let folder = out ?? "\(workspace.path)/compare/\(files.digest.short)"
    let page = try blind ? files.blindPage() : files.page(metrics: metrics)
    try createDirectory(folder)
    try writeAtomically(files.json, to: folder + "/compare.json")
    try writeAtomically(page, to: folder + "/compare.html")
    return folder
  }
}
