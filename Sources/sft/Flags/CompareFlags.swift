import ArgumentParser
import Core
import Evaluating
import Pipeline

extension WordSplitting: ExpressibleByArgument {}

/// Who answers what, and where it goes.
struct ComparisonFlags: ParsableArguments {
  @Option(
    name: .long,
    help: .takes(
      "FILE",
      """
      Questions: one a line, or JSONL with instruction, input and perhaps the expected output, or choices and answer (an \
      index from 0, or the choice's text).
      """))
  var questions: String?

  @Option(name: .long, help: .takes("DIR", "Adapter folder; may be given several times (default: the newest run's)."))
  var adapter: [String] = []

  @Option(
    name: .customLong("model-b"),
    help: .takes("DIR|NAME", "Compare with this model (a folder, a name, or embedded) instead of with an adapter."))
  var otherModel: String?

  @Option(
    name: .customLong("template-b"),
    help: .takes("NAME|FILE", "That model's template (default: the first model's)."))
  var otherTemplate: String?

  @Option(name: .long, help: .takes("DIR", "Folder for the results (default: compare/ID in the workspace)."))
  var out: String?

  @Option(name: .long, help: .takes("N", "How many questions to show here; all are in the files."))
  var show = 24

  @Option(name: .long, help: .takes("N", "Questions that are answered at once."))
  var batchSize = 8

  @Option(
    name: .long,
    help: .takes(
      "HOW",
      """
      How ROUGE-L finds words: ascii, as the rouge-score package (a-z and 0-9, Korean for one is dropped), or unicode \
      (default: unicode where the expected answers need it).
      """))
  var rougeWords: WordSplitting?

  func validate() throws {
    if otherModel != nil, adapter.count > 1 {
      throw ValidationError("\(OptionName.modelB) goes with at most one \(OptionName.adapter).")
    }
    if otherTemplate != nil, otherModel == nil { throw ValidationError("--template-b goes with \(OptionName.modelB).") }
    if !(1...256).contains(batchSize) { throw ValidationError("\(OptionName.batchSize) must be from 1 to 256.") }
    if show < 0 { throw ValidationError("--show must not be negative.") }
  }
}

/// People's votes on the answers.
struct VotingFlags: ParsableArguments {
  @Flag(name: .long, help: "Make compare.html a page to vote on, without names.")
  var blind = false

  @Option(name: .long, help: .takes("FILE", "Count the votes of such a page."))
  var score: String?
}

/// Another model's opinion on the answers.
struct JudgeFlags: ParsableArguments {
  @Option(
    name: .long,
    help: .takes(
      "URL",
      """
      Ask the model behind this OpenAI-compatible address which answer is better, in both orders. A key is taken from \
      SFT_JUDGE_API_KEY.
      """))
  var judge: String?

  @Option(name: .long, help: .takes("NAME", "That model's name (default: default)."))
  var judgeModel: String?

  @Option(name: .long, help: .takes("N", "Requests to the judge at most, failed ones too (default: 1000)."))
  var judgeBudget: Int?

  @Option(name: .long, help: .takes("SECONDS", "How long to wait for a reply of the judge (default: 60)."))
  var judgeTimeout: Double?

  func validate() throws {
    if judge == nil, judgeModel != nil || judgeBudget != nil || judgeTimeout != nil {
      throw ValidationError("\(OptionName.judgeModel), --judge-budget and --judge-timeout go with \(OptionName.judge).")
    }
  }

  func judge(in workspace: Workspace) throws -> ComparisonJudge? {
    guard let judge else { return nil }
    return try ComparisonJudge(
      url: judge, model: judgeModel, budget: judgeBudget, timeout: judgeTimeout, workspace: workspace)
  }
}
