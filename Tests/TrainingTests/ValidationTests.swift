import Core
import Files
import Models
import TestSupport
import Testing
import Training

/// Validation, the best weights, early stopping, and losses that are no number.
@Suite struct ValidationTests {
  /// Gives these losses one after the other.
  private final class Script {
    var losses: [Double]
    var next = 0
    init(_ losses: [Double]) { self.losses = losses }
    func callAsFunction() -> (loss: Double, accuracy: Double) {
      defer { next += 1 }
      return (losses[next], 0.25)
    }
  }

  private static func bench(_ losses: [Double], steps: Int = 8) throws -> Bench {
    var bench = try Bench()
    bench.settings.steps = steps
    bench.settings.evalEvery = 1
    bench.saveEvery = 1
    bench.keptCheckpoints = 100
    let script = Script(losses)
    bench.validate = { script() }
    return bench
  }

  private static func weights(_ folder: String) throws -> [UInt8] {
    try readFile(folder + "/" + AdapterFolder.weightsFile)
  }

  @Test func bestIsTheLowestLoss() throws {
    let bench = try Self.bench([3, 2, 2.5, 2.5, 1.5, 1.5, 1e4, 1.6])
    try withTemporaryFolder { folder in
      let run = RunFolder(folder + "/run")
      let log = Bench.Log()
      let outcome = try bench.run(run, log)
      let validated = log.metrics.compactMap { if case .eval(let metric) = $0 { metric.step } else { nil } }
      #expect(validated == [1, 2, 3, 4, 5, 6, 7, 8])
      #expect(outcome.steps == 8 && !outcome.stoppedEarly && outcome.bestLoss == 1.5 && outcome.bestStep == 5)
      #expect(try Self.weights(run.best) == Self.weights(run.checkpoint(5)))
      #expect(try Self.weights(run.best) != Self.weights(run.checkpoint(6)))
      #expect(try Self.weights(run.adapter) == Self.weights(run.checkpoint(8)))
    }
  }

  @Test func stopsAfterSoManyWithoutABetterOne() throws {
    var bench = try Self.bench([3, 2, 2, 2.1, 1.9, 2, 2, 2])
    bench.settings.earlyStopping = 3
    try withTemporaryFolder { folder in
      let outcome = try bench.run(RunFolder(folder + "/run"))
      // Never three in a row before the last one.
      #expect(outcome.stoppedEarly && outcome.steps == 8 && outcome.bestStep == 5)
    }
    bench = try Self.bench([3, 2, 2, 2.1, 1.9, 2, 2, 2])
    bench.settings.earlyStopping = 2
    try withTemporaryFolder { folder in
      let run = RunFolder(folder + "/run")
      let outcome = try bench.run(run)
      #expect(outcome.stoppedEarly && outcome.steps == 4 && outcome.bestStep == 2 && !outcome.interrupted)
      #expect(try run.checkpointSteps().last == 4)
      // Resumed, it stays stopped.
      let log = Bench.Log()
      #expect(try bench.run(run, resume: true, log) == outcome && log.metrics.isEmpty)
    }
  }

  /// What counts towards stopping, and the best so far, are in the checkpoint.
  @Test func resumesBetweenValidations() throws {
    let losses = [3, 2, 2.5, 2.4, 2.3, 1, 1, 1]
    var whole = try Self.bench(losses)
    whole.settings.earlyStopping = 3
    try withTemporaryFolder { folder in
      let expected = try whole.run(RunFolder(folder + "/whole"))
      #expect(expected.steps == 5 && expected.bestStep == 2)
      var parts = try Self.bench(losses)
      parts.settings.earlyStopping = 3
      let run = RunFolder(folder + "/parts")
      try parts.run(run, stop: 4)
      #expect(try parts.run(run, resume: true) == expected)
      #expect(try Self.weights(run.best) == Self.weights(folder + "/whole/best"))
    }
  }

  @Test func metricsAreInOrder() throws {
    var bench = try Self.bench([3, 2], steps: 5)
    bench.settings.evalEvery = 3
    bench.sample = { ("a \"question\"", "an\nanswer") }
    try withTemporaryFolder { folder in
      let run = RunFolder(folder + "/run")
      let log = Bench.Log()
      try bench.run(run, log)
      // The last update is validated though it is no multiple of three.
      #expect(log.metrics.map(\.step) == [1, 2, 3, 3, 3, 4, 5, 5, 5])
      #expect(log.metrics[3] == .eval(EvalMetric(step: 3, loss: 3, perplexity: 20.085536923187668, accuracy: 0.25)))
      #expect(log.metrics[8] == .sample(SampleMetric(step: 5, prompt: "a \"question\"", text: "an\nanswer")))
      let lines = try run.metricLines()
      #expect(lines.count == 9 && lines[4].contains("kind: string(\"sample\")"))
    }
  }

  @Test(arguments: [Double.nan, .infinity]) func aValidationLossThatIsNoNumberEndsTheRun(_ loss: Double) throws {
    let bench = try Self.bench([3, 2, loss, 1])
    try withTemporaryFolder { folder in
      let run = RunFolder(folder + "/run")
      let log = Bench.Log()
      let error = #expect(throws: SFTError.self) { try bench.run(run, log) }
      // The rate of update 3 of 8, the first one after the warm-up.
      #expect(
        error?.description == "the validation loss after step 3 is not a finite number at the learning rate 1e-2; the "
          + "checkpoint of step 2 is kept. Try a lower --lr, or a warm-up with --warmup-steps, or look at the validation "
          + "records.")
      #expect(error?.kind == .internalError && log.diverged == [3])
      #expect(log.metrics.map(\.step) == [1, 1, 2, 2, 3])
      #expect(try run.checkpointSteps() == [1, 2])
      let best = try Self.weights(run.best)
      #expect(try best == Self.weights(run.checkpoint(2)))
    }
  }

  /// Whoever knows the model's files is asked before the rate is blamed.
  @Test func aModelThatHoldsSuchValuesIsBlamedInstead() throws {
    var bench = try Self.bench([.nan])
    let blame = SFTError(.badData, "tensor 'wte.weight' holds an infinity or NaN")
    bench.checkModel = { throw blame }
    try withTemporaryFolder { folder in
      let log = Bench.Log()
      let error = #expect(throws: SFTError.self) { try bench.run(RunFolder(folder + "/run"), log) }
      #expect(error == blame && log.diverged == [])
    }
  }

  /// A record with a token whose embedding is broken comes in update 3 of 4.
  @Test(arguments: [1, 5]) func aLossThatIsNoNumberNamesStepAndRecords(_ saveEvery: Int) throws {
    var model = RandomModel()
    model.tiedHead = false
    model.brokenTokens = [60]
    var bench = try Bench(model)
    let healthy = bench.samples.filter { !$0.tokens.contains(60) }
    #expect(healthy.count >= 6)
    let broken = Sample(tokens: [1, 60, 3, 4, 0], promptCount: 2)
    let records = Array(healthy.prefix(6)) + [healthy[0], broken, healthy[1]]
    bench = try Bench(model, samples: records)
    bench.settings.shuffle = false
    bench.settings.steps = 4
    bench.saveEvery = saveEvery
    try withTemporaryFolder { folder in
      let run = RunFolder(folder + "/run")
      let log = Bench.Log()
      let error = #expect(throws: SFTError.self) { try bench.run(run, log) }
      let kept = saveEvery == 1 ? "; the checkpoint of step 2 is kept" : ""
      #expect(
        error?.message == "the loss of step 3 is not a finite number at the learning rate 1e-2, over the records "
          + "data.jsonl:7, data.jsonl:8, data.jsonl:9" + kept)
      #expect(log.diverged == [3])
      #expect(log.train.map(\.step) == [1, 2])
      let steps = try run.checkpointSteps()
      #expect(steps == (saveEvery == 1 ? [1, 2] : []))
    }
  }
}
