import Core
import Files
import TestSupport
import Testing
import Training

/// What a run's folder holds besides its checkpoints can be made from these.
@Suite struct SettlingTests {
  /// Nine updates, a validation after every third, each better than the one before.
  private static func bench(_ run: RunFolder) throws -> Bench {
    var bench = try Bench()
    bench.settings.steps = 9
    bench.settings.evalEvery = 3
    bench.validate = { (Double(10 - (try run.loggedSteps() ?? 0)), 0.5) }
    return bench
  }

  private func bytes(_ run: RunFolder) throws -> [[UInt8]] {
    try [run.adapter, run.best].map { try run.bytes(of: $0) }
  }

  @Test func lostWeightsAreMadeFromTheCheckpoint() throws {
    try withTemporaryFolder { folder in
      let run = RunFolder(folder + "/run")
      try Self.bench(run).run(run, stop: 7)
      let whole = try bytes(run)
      #expect(whole[0] != whole[1])
      #expect(try run.isSettled())
      for lost in [run.adapter, run.best, run.best + "/manifest.json", run.adapter + "/adapter_config.json"] {
        try removeTree(lost)
        #expect(try !run.isSettled())
        #expect(try run.settle(thorough: false) { _ in } == 7)
        #expect(try run.isSettled() && bytes(run) == whole)
      }
      // A changed bit is found by who reads all.
      try damage(run.best + "/adapter_model.safetensors")
      #expect(try run.isSettled() && run.settle(thorough: false) { _ in } == 7 && bytes(run) != whole)
      #expect(try run.settle(thorough: true) { _ in } == 7 && bytes(run) == whole)
    }
  }

  @Test func theNewestSoundCheckpointDecides() throws {
    try withTemporaryFolder { folder in
      let (older, run) = (RunFolder(folder + "/older"), RunFolder(folder + "/run"))
      try Self.bench(older).run(older, stop: 4)
      try Self.bench(run).run(run, stop: 7)
      for step in [6, 7] { try damage(run.checkpoint(step) + "/adapter_model.safetensors", cutting: 1) }
      var notices = 0
      #expect(try !run.isSettled())
      #expect(try run.settle(thorough: false) { _ in notices += 1 } == 4 && notices == 2)
      #expect(try bytes(run) == bytes(older))
      // Without any, nothing is known, and nothing is touched.
      try removeTree(run.checkpoints)
      #expect(try run.isSettled() && run.settle(thorough: true) { _ in } == nil && bytes(run) == bytes(older))
    }
  }

  /// Not as though there were none, after which a run would begin anew.
  @Test func checkpointsThatCannotBeListedAreAnError() throws {
    try withTemporaryFolder { folder in
      let run = RunFolder(folder + "/run")
      try Self.bench(run).run(run, stop: 7)
      try removeTree(run.checkpoints)
      try writeAtomically("in the way", to: run.checkpoints)
      #expect(throws: SFTError.self) { try run.checkpointSteps() }
      #expect(throws: SFTError.self) { try run.settle(thorough: false) { _ in } }
      #expect(throws: SFTError.self) { try run.newestState() }
    }
  }

  @Test func aCheckpointWhoseBestWeightsAreLostIsPassedOver() throws {
    try withTemporaryFolder { folder in
      let (whole, run) = (RunFolder(folder + "/whole"), RunFolder(folder + "/run"))
      try Self.bench(whole).run(whole)
      try Self.bench(run).run(run, stop: 7)
      for place in [run.best, run.checkpoints + "/best-6"] { try damage(place + "/adapter_model.safetensors") }
      let log = Bench.Log()
      #expect(try Self.bench(run).run(run, resume: true, log).bestStep == 9)
      #expect(log.notices.count == 2 && log.train.first?.step == 5)
      #expect(try bytes(run) == bytes(whole) && run.metricLines() == whole.metricLines())
    }
  }

  @Test func onlyTheBestWeightsThatACheckpointNamesAreKept() throws {
    try withTemporaryFolder { folder in
      let run = RunFolder(folder + "/run")
      var bench = try Self.bench(run)
      bench.keptCheckpoints = 2
      try bench.run(run)
      #expect(try directoryEntries(run.checkpoints) == ["best-6", "best-9", "step-8", "step-9"])
    }
  }
}
