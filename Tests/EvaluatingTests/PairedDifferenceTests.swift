import Core
import Evaluating
import JSON
import TestSupport
import Testing

@Suite struct PairedDifferenceTests {
  @Test func bootstrapIsTheReference() throws {
    let cases = try #require(try AnswerMatchTests.reference.get()["bootstraps"]?.array)
    #expect(cases.count == 4)
    for example in cases {
      func number(_ value: JSONValue, _ key: String) -> Double { value[key]?.double ?? .nan }
      let pairs = (example["pairs"]?.array ?? []).map {
        PairedScores(
          base: number($0, "base"), tuned: number($0, "tuned"), baseWeight: number($0, "base_weight"),
          tunedWeight: number($0, "tuned_weight"))
      }
      let seed = UInt64(example["seed"]?.int ?? 0)
      let interval = try #require(
        PairedDifference.interval(pairs, seed: seed, resamples: example["resamples"]?.int ?? 0))
      #expect(abs(PairedDifference.mean(pairs) - number(example, "difference")) < 1e-12)
      #expect(abs(interval.low - number(example, "low")) < 1e-12)
      #expect(abs(interval.high - number(example, "high")) < 1e-12)
    }
    #expect(PairedDifference.interval([PairedScores(base: 0, tuned: 1)], seed: 1) == nil)
  }

  @Test func signTestIsTheReference() throws {
    for example in try #require(try AnswerMatchTests.reference.get()["signs"]?.array) {
      let (wins, losses) = (example["wins"]?.int ?? -1, example["losses"]?.int ?? -1)
      let p = PairedDifference.signTest(wins: wins, losses: losses)
      #expect(abs(p - (example["p"]?.double ?? .nan)) < 1e-9, "\(wins), \(losses)")
      #expect(p == PairedDifference.signTest(wins: losses, losses: wins))
    }
  }

  /// Of intervals over made-up questions, skewed and uneven, about 95 % hold the difference they were made with.
  @Test(arguments: [(questions: 40, skewed: false), (questions: 60, skewed: true)])
  func intervalsHoldTheTruthAsOftenAsTheySay(_ setting: (questions: Int, skewed: Bool)) {
    var random = SeededGenerator(seed: 11)
    func noise() -> Double {
      let uniform = random.uniform()
      // Both of mean 0, the first skewed.
      return setting.skewed ? uniform * uniform * 3 - 1 : uniform - 0.5
    }
    let trials = 600
    let held = (0..<trials).count { trial in
      let pairs = (0..<setting.questions).map { _ in
        let difficulty = noise()
        return PairedScores(base: difficulty + noise(), tuned: difficulty + 0.2 + noise())
      }
      guard let interval = PairedDifference.interval(pairs, seed: UInt64(trial), resamples: 800) else { return false }
      return interval.low <= 0.2 && 0.2 <= interval.high
    }
    let share = Double(held) / Double(trials)
    // Percentile intervals of few questions are a little too narrow; four deviations of 600 trials are 3.6 %.
    #expect((0.905...0.98).contains(share), "\(share)")
  }
}
