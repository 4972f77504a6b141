import ArgumentParser
import Core
import Evaluating
import Files
import Pipeline

struct Compare: ParsableCommand {
  static let configuration = CommandConfiguration(
    verb: "compare", abstract: "Is the tuned model better than its base, and how sure is that?",
    usage: "--questions <FILE> [options]",
    discussion: """
      Base and adapters answer the same questions over one set of weights. Where answers are expected, losses, F1 and \
      ROUGE-L are measured; multiple-choice questions are decided by likelihood per byte. Differences come with \
      bootstrap intervals and a sign test. Results are in compare.json and in compare.html, which needs nothing beside \
      itself.

      With --blind, compare.html is for voting: it does not say which answer is whose. `sft compare --score votes.json` \
      counts the votes. It and \(OptionName.judge) set the first adapter against the base, whatever others there are.

      With \(OptionName.modelB) two models are compared. Each has its own tokenizer; both get the first's template unless \
      --template-b names another. Where the tokenizers differ, nothing that counts tokens is compared; bits per byte is.
      """,
    examples: [
      "sft compare --questions eval.txt",
      "sft compare --questions eval.jsonl --run run-1 --batch-size 16 --out results",
      "sft compare --questions eval.txt --judge http://localhost:8080/v1",
    ])

  @OptionGroup(title: "Comparison") var comparison: ComparisonFlags
  @OptionGroup(title: "Model") var model: ModelOptions
  @OptionGroup(title: "Decoding") var decoding: DecodingOptions
  @OptionGroup(title: "Votes") var voting: VotingFlags
  @OptionGroup(title: "Judge") var judging: JudgeFlags
  @OptionGroup(title: "Settings file") var settings: SettingsFlags
  @OptionGroup(title: "General") var common: CommonOptions

  func validate() throws {
    guard (comparison.questions == nil) != (voting.score == nil) else {
      throw ValidationError("Give --questions to compare, or --score to count votes.")
    }
  }

  func run() throws {
    let progress = Progress(quiet: common.quiet)
    let workspace = Workspace(common.workspace, remark: progress.remark, progress: progress.show) { progress.note($0) }
    if let score = voting.score {
      try CompareVotes(workspace: workspace, file: score, out: comparison.out, json: common.json, note: progress.note)()
      return
    }
    let settings = try decoding.settings(note: progress.note)
    let (asked, source) = try readQuestions(comparison.questions ?? "")
    var options = CompareOptions(InferenceOptions(model), generation: settings)
    let adapters = comparison.adapter
    options.inference.adapter = adapters.first
    options.inference.needsAdapter = adapters.isEmpty
    options.inference.rowPrecision = decoding.rounding.rowPrecision
    options.adapters = Array(adapters.dropFirst())
    (options.otherModel, options.otherTemplate) = (comparison.otherModel, comparison.otherTemplate)
    (options.width, options.rougeWords) = (comparison.batchSize, comparison.rougeWords)
    let judge = try judging.judge(in: workspace)
    let models = try ModelComparison(options, workspace: workspace)
    progress.note(models.description)
    // Answers take long: what cannot be written should be known before.
    try createDirectory(comparison.out ?? "\(workspace.path)/compare")
    if let judge {
      progress.note("asking the judge at \(judge.address) whether it answers")
      try judge.probe()
    }
    var result = try models(asked, file: source) { done, total in
      progress.update(done, of: total, "answers", isMilestone: done == total)
    }
    var failure: SFTError?
    if let judge {
      failure = judge.add(to: &result) { done, total in
        progress.update(done, of: total, "judged", isMilestone: done == total)
      }
      progress.note(judge.description(result))
    }
    progress.close()
    if common.json {
      try Terminal.printJSON(result)
    } else {
      print(
        ComparisonView(
          result, columns: Terminal.columns, shown: voting.blind ? 0 : comparison.show, isBlind: voting.blind
        ).text)
    }
    let folder = try write(ComparisonFiles(result), metrics: models.metrics, in: workspace)
    for name in ["compare.json", "compare.html"] {
      let place = "written to \(folder)/\(name)"
      if common.json { progress.note(place) } else { Terminal.show(place) }
    }
    // Said last: the answers are safe.
    if let failure { throw failure }
  }

  /// `compare/ID`: the ID is of the content, so the same comparison has the same place.
  private func write(_ files: ComparisonFiles, metrics: String?, in workspace: Workspace) throws -> String {
    let folder = comparison.out ?? "\(workspace.path)/compare/\(files.digest.short)"
    let page = try voting.blind ? files.blindPage() : files.page(metrics: metrics)
    try createDirectory(folder)
    try writeAtomically(files.json, to: folder + "/compare.json")
    try writeAtomically(page, to: folder + "/compare.html")
    return folder
  }
}
