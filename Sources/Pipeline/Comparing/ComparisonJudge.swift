import Core
import Evaluating
import Judging

/// A judge for a comparison: asked about tuned against base, question by question.
public struct ComparisonJudge {
  private let judge: Judge

  /// nil for what the user did not say. Throws `usage` for an address or numbers that cannot be; whether anybody answers
  /// is found out by `probe`.
  public init(url: String, model: String?, budget: Int?, timeout: Double?, workspace: Workspace) throws {
    var settings = JudgeSettings(url: url)
    settings.model = model ?? settings.model
    settings.budget = budget ?? settings.budget
    settings.timeout = timeout ?? settings.timeout
    judge = try Judge(settings, folder: workspace.path + "/judge")
  }

  /// Where the judge is asked.
  public var address: String { judge.settings.endpoint }

  /// Throws where the judge is not there, refuses, or does not give a verdict: before anything long is done for it.
  public func probe() throws { try judge.probe() }

  /// Puts the judgements into the comparison, as many as are to be had; returns why there are no more where the judge
  /// refused or failed. Nobody is asked any more after that.
  public func add(to comparison: inout Comparison, progress: (Int, Int) -> Void) -> SFTError? {
    var judgements: [Comparison.Judgement?] = []
    var failure: SFTError?
    for item in comparison.items {
      var judgement: Comparison.Judgement?
      if failure == nil {
        do {
          judgement = try ask(item)
        } catch {
          failure = error as? SFTError ?? SFTError(.inputOutput, "the judge cannot be asked: \(error)")
        }
        progress(judgements.count + 1, comparison.items.count)
      }
      judgements.append(judgement)
    }
    failure = failure ?? judge.failure
    // Equal answers are ties without asking; of a judge that said nothing at all they are no opinion.
    if failure != nil, judge.decided == 0 { judgements = judgements.map { _ in nil } }
    let verdicts = judgements.count { $0 != nil }
    failure?.message += "; \(verdicts) of \(judgements.count) questions are judged"
    comparison.add(
      judgements, by: judge.settings.url, model: judge.settings.model, failure: failure?.message)
    return failure
  }

  private func ask(_ item: Comparison.Item) throws -> Comparison.Judgement? {
    let question = item.input.map { item.question + "\n" + $0 } ?? item.question
    let orders = try judge.compare(
      question, reference: item.reference, first: item.base.text, second: item.tuned.text)
    return orders.map { orders in
      Comparison.Judgement(orders: orders.map { $0 == .tie ? .tie : $0 == .first ? .base : .tuned })
    }
  }

  /// What it took.
  public func description(_ comparison: Comparison) -> String {
    "\(comparison.summary.judge?.votes ?? 0) of \(comparison.items.count) questions were judged: the judge was sent \(judge.requests) of at most \(judge.settings.budget) requests, and \(judge.cached) verdicts "
      + "were there from before"
  }
}
