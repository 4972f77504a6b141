import Core
import Foundation
import TestSupport
import Testing
import Training

/// What is read from curves that are known beforehand, and that a test on a model is such a curve.
@Suite struct RateSuggestionTests {
  private static let range = RateRange()

  /// The test's losses by the rate's power of ten, with noise of the given size.
  private func test(_ range: RateRange = range, noise size: Double = 0, _ loss: (Double) -> Double) -> RangeTest {
    let noise = TestSupport.noise(range.steps, seed: 5)
    return RangeTest(
      losses: (0..<range.steps).map { loss(log10(range.rate(at: $0))) + size * Double(noise[$0]) }, range: range)
  }

  /// Flat at 4, falls about 1e-3, is lowest at about 10^-1.75, and rises steeply from there.
  private func valley(_ power: Double) -> Double { 4 - 2 / (1 + exp(-6 * (power + 3))) + exp(5 * (power + 1)) }

  @Test func ratesRiseExponentiallyFromEndToEnd() {
    let range = RateRange(lowest: 1e-5, highest: 1e-1, steps: 5)
    #expect(range.rate(at: 0) == 1e-5 && range.rate(at: 4) == 1e-1)
    for (step, rate) in [1e-5, 1e-4, 1e-3, 1e-2, 1e-1].enumerated() {
      #expect(abs(range.rate(at: step) / rate - 1) < 1e-12)
    }
  }

  /// Mean of losses weighted by 0.9 to the power of their age.
  @Test func theRunningLossIsTheBiasCorrectedExponentialMean() {
    let losses = [3, 1, 2, 5, 4.0]
    let test = RangeTest(losses: losses, range: RateRange(steps: 5))
    for (index, point) in test.points.enumerated() {
      let weights = (0...index).map { pow(0.9, Double(index - $0)) }
      let mean = zip(weights, losses).reduce(0) { $0 + $1.0 * $1.1 } / weights.reduce(0, +)
      #expect(abs(point.runningLoss - mean) < 1e-12 && point.step == index + 1 && point.loss == losses[index])
    }
    #expect(test.end == .finished)
  }

  @Test func itStopsAboveFourTimesTheMinimum() {
    // After 20 ones a loss of 25 has a weight of 0.112, and makes the mean 3.7; after four more, one of 60 makes it 8.6.
    let ones = [Double](repeating: 1, count: 20)
    let test = RangeTest(losses: ones + [25, 1, 1, 1, 60, 1], range: RateRange(steps: 26))
    #expect(test.end == .diverged && test.points.count == 25 && test.failure == nil)
    #expect(test.points[20].runningLoss < 4 && test.points[24].runningLoss > 4)
  }

  @Test(arguments: [0, 0.15]) func aValley(_ noise: Double) throws {
    let test = test(noise: noise) { valley($0) }
    #expect(test.end == .diverged && test.points.count < 100)
    let suggestion = RateSuggestion(test)
    #expect(suggestion.reason == nil)
    let steepest = try #require(suggestion.steepest)
    let lowest = try #require(suggestion.lowest)
    let rate = try #require(suggestion.rate)
    // Within a third of a power of ten.
    #expect(abs(log10(steepest) + 3) < 0.35, "\(steepest)")
    #expect(abs(log10(lowest) + 1.75) < 0.35, "\(lowest)")
    #expect(abs(rate / min((steepest * lowest).squareRoot(), lowest / 3) - 1) < 0.05)
    #expect(suggestion.smoothed.count == test.points.count)
  }

  /// A suggestion is what stands in a command: two digits, and no more than that in the number.
  @Test func itHasTwoDigits() throws {
    let rate = try #require(RateSuggestion(test { valley($0) }).rate)
    #expect(rate == Double(String(format: "%.1e", rate)))
  }

  /// The same curve at a hundredth of the rates gives a hundredth of the suggestion; with the losses tripled, the same.
  @Test func itGoesWithTheCurve() throws {
    let rate = try #require(RateSuggestion(test { valley($0) }).rate)
    let lower = RateRange(lowest: 1e-8, highest: 1e-2, steps: 100)
    let shifted = try #require(RateSuggestion(test(lower) { valley($0 + 2) }).rate)
    #expect(abs(shifted * 100 / rate - 1) < 0.05)
    let tripled = try #require(RateSuggestion(test { 3 * valley($0) }).rate)
    #expect(abs(tripled / rate - 1) < 0.05)
  }

  /// Where the test came to its end does not move what was before it.
  @Test func whatComesAfterTheTurnDoesNotMoveIt() throws {
    let early = RateSuggestion(test { min(valley($0), 4.5) })
    let late = RateSuggestion(test { valley($0) })
    #expect(abs(log10((early.rate ?? .nan) / (late.rate ?? .nan))) < 0.1)
  }

  /// Rates far too high may end lower than good ones: what is learnt then is not what was to be learnt.
  @Test func onlyTheFirstValleyCounts() throws {
    let test = test(noise: 0.05) { power in
      4 - 2 / (1 + exp(-6 * (power + 3.5))) + 1.5 / (1 + exp(-12 * (power + 2))) - 2.5 / (1 + exp(-8 * (power + 1)))
    }
    #expect(test.end == .finished)
    let suggestion = RateSuggestion(test)
    #expect((suggestion.lowest ?? 0) > 1e-3 && (suggestion.lowest ?? 1) < 1e-2)
    #expect((suggestion.steepest ?? 0) > 1e-4 && (suggestion.steepest ?? 1) < 1e-3)
    #expect(suggestion.rate != nil && suggestion.reason == nil)
  }

  @Test func fallingToTheEndAsksForHigherRates() {
    let suggestion = RateSuggestion(test(noise: 0.02) { 3 - 0.3 * ($0 + 6) })
    #expect(suggestion.rate == nil && suggestion.lowest != nil)
    #expect(suggestion.reason?.contains("Test higher rates with a larger --lr-to") == true)
  }

  @Test(arguments: [0, 0.05]) func risingFromTheStartAsksForLowerRates(_ noise: Double) {
    let suggestion = RateSuggestion(test(noise: noise) { 3 + 0.3 * ($0 + 6) })
    #expect(suggestion.rate == nil && suggestion.steepest == nil)
    #expect(suggestion.reason?.hasPrefix("The loss never fell before it rose. Test lower rates") == true)
  }

  /// Many seeds, of which none may be taken for a fall.
  @Test func noiseIsNoFall() {
    for seed in 0..<200 {
      let values = noise(100, seed: UInt64(seed))
      let suggestion = RateSuggestion(RangeTest(losses: values.map { 5 + Double($0) }, range: Self.range))
      #expect(suggestion.rate == nil && suggestion.reason?.hasPrefix("The loss never fell") == true, "\(seed)")
    }
    #expect(RateSuggestion(test { _ in 2 }).reason?.hasPrefix("The loss never fell by more than it varies") == true)
  }

  @Test func fallingFromTheStartAsksForLowerRates() {
    // Falls at once, less and less, and rises.
    let suggestion = RateSuggestion(test { 4 - 2 * (1 - exp(-2 * ($0 + 6))) + exp(5 * ($0 + 1)) })
    #expect(suggestion.rate == nil)
    #expect(suggestion.reason?.contains("a smaller --lr-from") == true)
  }

  /// It falls until the loss is no number: what was before is a curve, and its end is where the rate is too high.
  @Test func aLossThatIsNoNumberEndsTheTest() throws {
    for end in [Double.nan, .infinity] {
      let test = test { $0 > -1.5 ? end : valley($0) }
      #expect(test.end == .notFinite && test.points.allSatisfy { $0.loss.isFinite })
      #expect(test.failure?.step == test.points.count + 1)
      #expect(abs(log10(test.failure?.lr ?? 0) + 1.5) < 0.07)
      let rate = try #require(RateSuggestion(test).rate)
      #expect(rate > 1e-3 && rate < 1e-2)
    }
  }

  @Test func fewPointsAreNoCurve() {
    #expect(
      RateSuggestion(test { _ in .nan }).reason?.hasPrefix("Loss or gradient is not a finite number at the first")
        == true)
    let early = RateSuggestion(test { $0 > -5.5 ? .nan : 3 })
    #expect(early.reason?.hasPrefix("There are 9 points, and a curve needs 10. ") == true)
    #expect(early.rate == nil && early.smoothed.count == 9)
    #expect(RateSuggestion(RangeTest(losses: [], range: Self.range)).rate == nil)
  }

  // MARK: - On a model

  private func onModel(_ range: RateRange, _ bench: Bench) throws -> RangeTest {
    let parts = TrainingParts(
      bench.decoder, .adapter(try bench.fresh()), count: bench.samples.count,
      samples: { [samples = bench.samples] in samples[$0] })
    return try RangeTest(parts, settings: bench.settings, range: range)
  }

  private func bench(steps: Int) throws -> Bench {
    var bench = try Bench()
    bench.settings.steps = steps
    return bench
  }

  /// Over a range of next to no width it is the training at that rate.
  @Test func itsUpdatesAreTheTrainers() throws {
    var bench = try bench(steps: 8)
    let test = try onModel(RateRange(lowest: 1e-2, highest: (1e-2).nextUp, steps: 8), bench)
    bench.settings.schedule = Schedule(kind: .constant, learningRate: 1e-2)
    let log = Bench.Log()
    try withTemporaryFolder { _ = try bench.run(RunFolder($0 + "/run"), log) }
    let trained = log.train
    #expect(test.points.count == 8 && trained.count == 8)
    for (point, metric) in zip(test.points, trained) {
      #expect(point.lr == metric.lr || point.lr == (1e-2).nextUp)
      #expect(abs(point.loss - metric.loss) < 1e-6)
    }
    #expect(test.points[7].loss < test.points[0].loss)
  }

  @Test func itRepeatsToTheBit() throws {
    let range = RateRange(lowest: 1e-4, highest: 1, steps: 20)
    #expect(try onModel(range, bench(steps: 20)) == onModel(range, bench(steps: 20)))
  }

  @Test func aRateFarTooHighIsAResult() throws {
    let range = RateRange(lowest: 1e20, highest: 1e30, steps: 12)
    let test = try onModel(range, bench(steps: 12))
    #expect(test.end != .finished && test.points.count >= 1 && test.points.count < 12)
  }
}
