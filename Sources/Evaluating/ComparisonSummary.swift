import Core
import Glibc

extension Comparison {
  /// Of one model's answers.
  public struct Score: Sendable, Equatable, Codable {
    /// Answers that ended by themselves or by a stop string.
    public var ended: Int
    /// Mean length in tokens.
    public var meanTokens: Double
    /// Answers equal to the reference, white space at the ends aside; nil without references, as is what follows.
    public var exactMatch: Int?
    /// Equal to it once normalised as SQuAD does.
    public var exactMatchNormalised: Int?
    public var tokenF1: Double?
    public var rougeL: Double?
    /// Token means over the references, EOS included.
    public var loss: Double?
    public var perplexity: Double?
    public var tokenAccuracy: Double?
    public var bitsPerByte: Double?
    /// Right choices by likelihood per byte; nil without multiple-choice questions.
    public var choicesRight: Int?
    /// Share of answers that ended with EOS, and that ran into the limit of new tokens.
    public var endedWithEOS: Double
    public var overrun: Double
    /// Mean probability of EOS at the answers' ends.
    public var endProbability: Double?
    /// Over all answers together.
    public var distinct1: Double?
    public var distinct2: Double?
    /// Means over answers.
    public var repetition: Double
    public var echo: Double

    private enum CodingKeys: String, CodingKey {
      case ended, meanTokens, exactMatch, exactMatchNormalised, rougeL, loss, perplexity, tokenAccuracy, bitsPerByte
      case choicesRight, overrun, endProbability, distinct1, distinct2, repetition, echo
      case tokenF1 = "tokenF1"
      case endedWithEOS = "endedWithEos"
    }

    init(_ items: [Item], _ answer: (Item) -> Answer, _ tokens: [[Int32]]) {
      let answers = items.map(answer)
      func mean(_ measure: Measure) -> Double? {
        let values = items.compactMap { measure.value(answer($0), $0) }
        let weight = values.reduce(0) { $0 + $1.weight }
        return weight == 0 ? nil : values.reduce(0) { $0 + $1.value * $1.weight } / weight
      }
      func count(_ measure: Measure) -> Int? {
        let values = items.compactMap { measure.value(answer($0), $0) }
        return values.isEmpty ? nil : values.count { $0.value == 1 }
      }
      let questions = Double(max(1, answers.count))
      ended = answers.count { $0.finishReason == .stop }
      meanTokens = Double(answers.reduce(0) { $0 + $1.tokens }) / questions
      exactMatch = count(.exactMatch)
      exactMatchNormalised = count(.exactMatchNormalised)
      (tokenF1, rougeL) = (mean(.tokenF1), mean(.rougeL))
      (loss, tokenAccuracy, bitsPerByte) = (mean(.loss), mean(.tokenAccuracy), mean(.bitsPerByte))
      // JSON has no infinity.
      perplexity = loss.map { min(exp($0), .greatestFiniteMagnitude) }
      choicesRight = count(.choiceAccuracy)
      endedWithEOS = mean(.endedWithEOS) ?? 0
      overrun = Double(answers.count { $0.finishReason == .length }) / questions
      endProbability = mean(.endProbability)
      distinct1 = Repetition.distinct(1, tokens)
      distinct2 = Repetition.distinct(2, tokens)
      (repetition, echo) = (mean(.repetition) ?? 0, mean(.echo) ?? 0)
    }
  }

  /// One measure of a tuned model against the base, over the questions that both have it for.
  public struct Difference: Sendable, Equatable, Codable {
    public enum Conclusion: String, Sendable, Codable {
      case better, worse, unclear
    }

    public var measure: Measure
    public var questions: Int
    public var base: Double
    public var tuned: Double
    /// tuned − base, and its bootstrap 95 % interval; nil for a single question.
    public var difference: Double
    public var low: Double?
    public var high: Double?
    /// Questions on which tuned was better, neither, or worse.
    public var wins: Int
    public var ties: Int
    public var losses: Int
    /// Of the exact sign test.
    public var pValue: Double
    /// Better or worse where the interval leaves 0 out and there are enough questions for that to mean anything.
    public var conclusion: Conclusion

    /// With fewer not even the same winner on every question would be significant at 5 % (2 · 0.5⁶ = 0.03).
    public static let fewestQuestions = 6
  }

  /// How often either was preferred.
  public struct PreferenceCount: Sendable, Equatable, Codable {
    public var votes: Int
    public var tuned: Int
    public var base: Int
    public var ties: Int
    /// Of the exact two-sided sign test over those that are no ties.
    public var pValue: Double

    init(_ preferences: [Preference]) {
      votes = preferences.count
      tuned = preferences.count { $0 == .tuned }
      base = preferences.count { $0 == .base }
      ties = preferences.count { $0 == .tie }
      pValue = PairedDifference.signTest(wins: tuned, losses: base)
    }
  }

  public struct Summary: Sendable, Equatable, Codable {
    public var questions: Int
    public var withReference: Int
    public var withChoices: Int
    public var base: Score
    public var tuned: Score
    /// Of the adapters after the first.
    public var adapters: [Score]?
    /// Of tuned against base.
    public var differences: [Difference]
    /// Of each adapter after the first against base.
    public var adapterDifferences: [[Difference]]?
    /// Items, from 0, on which tuned is worse than base.
    public var regressions: [Int]
    /// What a judge preferred; nil where none gave a verdict.
    public var judge: PreferenceCount?
    /// Why a judge that was asked said nothing, or nothing of some questions; nil where it was not at fault.
    public var judgeFailure: String?

    init(_ settings: Settings, _ items: [Item], _ tokens: [[[Int32]]]) {
      questions = items.count
      withReference = items.count { $0.reference != nil }
      withChoices = items.count { $0.choices != nil }
      base = Score(items, \.base, tokens[0])
      let others = settings.adapters?.count ?? 0
      let scores = (0...others).map { index in Score(items, { $0.tunedAnswers[index] }, tokens[index + 1]) }
      let measures = Measure.allCases.filter { settings.sameTokenizer || !$0.dependsOnTokenizer }
      let all = (0...others).map { index in
        measures.compactMap { measure in
          Difference(measure, items, seed: settings.generation.seed) { $0.tunedAnswers[index] }
        }
      }
      (tuned, differences) = (scores[0], all[0])
      adapters = others == 0 ? nil : Array(scores.dropFirst())
      adapterDifferences = others == 0 ? nil : Array(all.dropFirst())
      regressions = items.indices.filter { items[$0].verdict == .loss }
    }
  }
}

extension Comparison.Difference {
  /// nil where no question has the measure.
  init?(
    _ measure: Measure, _ items: [Comparison.Item], seed: UInt64,
    tuned answer: (Comparison.Item) -> Comparison.Answer
  ) {
    var pairs: [PairedScores] = []
    var counts: [Comparison.Verdict: Int] = [:]
    for item in items {
      guard let base = measure.value(item.base, item), let tuned = measure.value(answer(item), item),
        let verdict = Self.verdict(measure, item, answer(item))
      else { continue }
      pairs.append(
        PairedScores(base: base.value, tuned: tuned.value, baseWeight: base.weight, tunedWeight: tuned.weight))
      counts[verdict, default: 0] += 1
    }
    guard !pairs.isEmpty else { return nil }
    self.measure = measure
    questions = pairs.count
    base = pairs.reduce(0) { $0 + $1.base * $1.baseWeight } / pairs.reduce(0) { $0 + $1.baseWeight }
    tuned = pairs.reduce(0) { $0 + $1.tuned * $1.tunedWeight } / pairs.reduce(0) { $0 + $1.tunedWeight }
    difference = PairedDifference.mean(pairs)
    let interval = PairedDifference.interval(pairs, seed: seed)
    (low, high) = (interval?.low, interval?.high)
    (wins, ties, losses) = (counts[.win, default: 0], counts[.tie, default: 0], counts[.loss, default: 0])
    pValue = PairedDifference.signTest(wins: wins, losses: losses)
    conclusion = .unclear
    if let interval, questions >= Self.fewestQuestions, interval.low > 0 || interval.high < 0 {
      conclusion = (difference > 0) != measure.lowerIsBetter ? .better : .worse
    }
  }

  /// nil where an answer lacks the measure. Differences of rounding are ties.
  static func verdict(
    _ measure: Measure, _ item: Comparison.Item, _ tuned: Comparison.Answer
  ) -> Comparison.Verdict? {
    guard let base = measure.value(item.base, item)?.value, let tuned = measure.value(tuned, item)?.value else {
      return nil
    }
    if abs(tuned - base) <= 1e-6 { return .tie }
    return (tuned > base) != measure.lowerIsBetter ? .win : .loss
  }
}
