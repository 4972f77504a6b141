import Core
import Models
import TestSupport
import Testing
import Training

/// How often a run is validated, and on what, where nobody says so.
@Suite struct ValidationPlanTests {
  /// An update costs 1,000, a record 10, a generated token 5.
  private static let cost = ValidationCost(update: 1000, record: 10, prompt: 20, answerToken: 5)

  private static func plan(
    steps: Int, records: Int, _ cost: ValidationCost = cost
  ) -> (every: Int, records: Int?, sample: Int, share: Double) {
    var settings = Bench.settings(nil, steps: steps)
    settings.planValidation(cost, of: records)
    let used = settings.validationRecords ?? records
    let each = cost.validation(records: used, sampleTokens: settings.sampleLimit)
    return (
      settings.evalEvery, settings.validationRecords, settings.sampleLimit,
      each * Double(settings.validations) / Double(steps)
    )
  }

  @Test func aLongRunIsValidatedFiveTimesOnAllRecords() {
    let plan = Self.plan(steps: 400, records: 300)
    #expect(plan.every == 80 && plan.records == nil && plan.sample == 64)
    #expect(plan.share < 0.1)
  }

  @Test func aShorterRunIsValidatedLessOften() {
    // 6,000 in all; a validation is 3,000, and 340 with a whole sample.
    let plan = Self.plan(steps: 60, records: 250)
    #expect(plan.every == 30 && plan.records == nil && plan.sample == 64)
    #expect(plan.share < 0.1)
  }

  @Test func aVeryShortRunIsValidatedOnSomeRecordsAtItsEnd() {
    // 800 in all: a quarter for a sample of 36 tokens, and 60 records.
    let plan = Self.plan(steps: 8, records: 300)
    #expect(plan.every == 8 && plan.records == 60 && plan.sample == 36)
    #expect(plan.share <= 0.1)
    // Three updates leave 75 for a sample, which is enough for 11 tokens; two do not.
    #expect(Self.plan(steps: 3, records: 300).sample == 11)
    let shortest = Self.plan(steps: 2, records: 300)
    #expect(shortest.sample == 0 && shortest.records == 20)
  }

  @Test func oneRecordIsAlwaysThere() {
    let dear = ValidationCost(update: 1, record: 1000, prompt: 20, answerToken: 5)
    let plan = Self.plan(steps: 1, records: 9, dear)
    #expect(plan.every == 1 && plan.records == 1 && plan.sample == 0)
  }

  @Test(arguments: Array(1...40) + [97, 200, 1003]) func noPlanTakesMoreThanATenth(_ steps: Int) {
    for records in [1, 2, 55, 300, 10_000] {
      let plan = Self.plan(steps: steps, records: records)
      #expect(plan.share <= 0.1 + 1e-12, "\(records) records")
    }
  }

  @Test func theChosenRecordsAreTheSeedsAndInOrder() {
    var settings = Bench.settings(nil, steps: 8)
    #expect(settings.validationIndices(of: 5) == [0, 1, 2, 3, 4])
    settings.validationRecords = 6
    let chosen = settings.validationIndices(of: 40)
    #expect(chosen == settings.validationIndices(of: 40))
    #expect(chosen == Array(Set(chosen)).sorted() && chosen.count == 6 && chosen.allSatisfy { $0 < 40 })
    #expect(settings.validationIndices(of: 4) == [0, 1, 2, 3])
    settings.seed += 1
    #expect(chosen != settings.validationIndices(of: 40))
  }

  @Test func anUpdateCostsWhatItComputes() throws {
    let model = RandomModel()
    let bench = try Bench(model)
    func cost(_ change: (inout TrainingSettings) -> Void = { _ in }, lowestLayer: Int = 0) -> Double {
      var settings = bench.settings
      settings.shuffle = false
      settings.batchSize = 1
      settings.steps = 1
      change(&settings)
      return ValidationCost.update(
        settings, bench.decoder, lowestLayer: lowestLayer, count: bench.samples.count,
        samples: { [samples = bench.samples] in samples[$0] })
    }
    let sample = bench.samples[0]
    // An input row for each token but the last; the head for each supervised token.
    let rows = Double(sample.tokens.count - 1)
    let configuration = bench.decoder.configuration
    let blocks = bench.decoder.linears.reduce(0) { $0 + $1.inputWidth * $1.outputWidth }
    let head = Double(sample.supervisedCount * configuration.vocabularySize * configuration.width) / Double(blocks)
    func near(_ value: Double, _ expected: Double) -> Bool { abs(value - expected) < 1e-9 * expected }
    let layers = Double(configuration.layers)
    // Forward and back; with all weights a third time; with activations computed again once more.
    let plain = cost()
    let full = cost {
      $0.lora = nil
      $0.method = .full
    }
    let checkpointing = cost { $0.gradientCheckpointing = true }
    #expect(near(plain, 2 * rows + 2 * head))
    #expect(near(full, 3 * rows + 3 * head))
    #expect(near(checkpointing, 3 * rows + 2 * head))
    // Back to the lowest adapted block only, and from there on only where what enters it is stored.
    let above = cost(lowestLayer: 1)
    let stored = cost({ $0.trunkLayer = 1 }, lowestLayer: 1)
    #expect(near(above, (1 + (layers - 1) / layers) * rows + 2 * head))
    #expect(near(stored, 2 * (layers - 1) / layers * rows + 2 * head))
  }

  @Test func oldRunsHaveAllRecordsAndAWholeSample() {
    let settings = Bench.settings(nil, steps: 8)
    #expect(settings.validationRecords == nil && settings.sampleLimit == 64)
  }
}
