import Core
import Files
import Models
import TestSupport
import Testing
import Training
import Weights

/// A stopped and resumed run goes through the same bits as one that never stopped.
@Suite struct ResumeTests {
  private static func bench(dropout: Double = 0, optimizer: Optimizer = .adamw) throws -> Bench {
    var model = RandomModel()
    if optimizer == .adamw8bit { model.width = 36 }
    var bench = try Bench(model)
    // The adapter's tensors have 1,440 to 5,760 elements then, so that some moments are in 8 bits and some are not.
    if optimizer == .adamw8bit { bench.settings.lora?.rank = 40 }
    bench.settings.optimizer = optimizer
    bench.settings.steps = 9
    bench.settings.gradientAccumulation = 2
    bench.settings.lora?.dropout = dropout
    bench.settings.evalEvery = 3
    let decoder = bench.decoder
    // Something that a clock or a counter does not decide.
    bench.validate = { (Double(decoder.linears.count), 0.5) }
    return bench
  }

  private static func expectSame(_ run: RunFolder, _ other: RunFolder) throws {
    #expect(try run.adapterBytes() == other.adapterBytes())
    #expect(try run.bytes(of: run.checkpoint(9)) == other.bytes(of: other.checkpoint(9)))
    let (lines, expected) = (try run.metricLines(), try other.metricLines())
    #expect(lines == expected && lines.count == 9 + 3)
  }

  @Test(arguments: [(0, Optimizer.adamw), (0.2, .adamw), (0.2, .adamw8bit)], [1, 4, 8])
  func resumedRunIsTheSame(_ kind: (dropout: Double, optimizer: Optimizer), _ stop: Int) throws {
    let bench = try Self.bench(dropout: kind.dropout, optimizer: kind.optimizer)
    try withTemporaryFolder { folder in
      let (whole, parts) = (RunFolder(folder + "/whole"), RunFolder(folder + "/parts"))
      let finished = try bench.run(whole)
      #expect(!finished.interrupted && finished.steps == 9)
      let stopped = try bench.run(parts, stop: stop)
      #expect(stopped.interrupted && stopped.steps == stop)
      #expect(try parts.checkpointSteps().last == stop)
      #expect(try !(whole.adapterBytes() == parts.adapterBytes()))
      #expect(try bench.run(parts, resume: true) == finished)
      try Self.expectSame(parts, whole)
    }
  }

  /// All weights, with the base's dropout; every checkpoint is a model folder.
  @Test(arguments: Optimizer.allCases, [1, 8]) func resumedRunOfAllWeightsIsTheSame(
    _ optimizer: Optimizer, _ stop: Int
  ) throws {
    var bench = try Self.bench()
    bench.trainAllWeights(of: try #require(try Bench.full().modelFolder))
    bench.settings.optimizer = optimizer
    bench.settings.dropout = 0.2
    try withTemporaryFolder { folder in
      let (whole, parts) = (RunFolder(folder + "/whole"), RunFolder(folder + "/parts"))
      let finished = try bench.run(whole)
      try bench.run(parts, stop: stop)
      #expect(try bench.run(parts, resume: true) == finished)
      try Self.expectSame(parts, whole)
      #expect(try parts.bytes(of: parts.best) == whole.bytes(of: whole.best))
      // As any model folder, the last weights among them.
      for place in [whole.model, whole.checkpoint(9)] {
        #expect(
          try TrainableWeights(ModelCheckpoint(folder: place)).configuration
            == ModelConfiguration(path: folder + "/base/config.json"))
      }
      #expect(
        try readFile(whole.model + "/model.safetensors") == readFile(whole.checkpoint(9) + "/model.safetensors"))
    }
  }

  @Test(arguments: ["model.safetensors", "config.json", "optimizer.safetensors"])
  func damagedCheckpointOfAllWeightsIsPassedOver(_ file: String) throws {
    var bench = try Self.bench()
    bench.trainAllWeights(of: try #require(try Bench.full().modelFolder))
    try withTemporaryFolder { folder in
      let (whole, parts) = (RunFolder(folder + "/whole"), RunFolder(folder + "/parts"))
      try bench.run(whole)
      try bench.run(parts, stop: 7)
      try damage(parts.checkpoint(7) + "/" + file)
      let log = Bench.Log()
      try bench.run(parts, resume: true, log)
      #expect(log.notices.count == 1 && log.notices[0].hasPrefix("checkpoint step-7 is passed over: "))
      try Self.expectSame(parts, whole)
    }
  }

  /// Updates of so many tokens go on with the record after the last one taken.
  @Test(arguments: [1, 4, 8], [1, 3]) func resumesUpdatesOfTokens(_ stop: Int, _ accumulation: Int) throws {
    var bench = try Self.bench()
    bench.settings.batchSize = 0
    bench.settings.batchTokens = 40
    bench.settings.gradientAccumulation = accumulation
    try withTemporaryFolder { folder in
      let (whole, parts) = (RunFolder(folder + "/whole"), RunFolder(folder + "/parts"))
      let log = Bench.Log()
      try bench.run(whole, log)
      var order = DataOrder(
        count: bench.samples.count, seed: bench.settings.seed, lengths: bench.samples.map(\.tokens.count))
      for (step, metric) in log.train.enumerated() {
        let records = order.records(step: step, tokens: 40 * accumulation).map { bench.samples[$0] }
        #expect(metric.tokens == records.reduce(0) { $0 + $1.tokens.count } && metric.tokens >= 40 * accumulation)
        #expect(metric.supervised_tokens == records.reduce(0) { $0 + $1.supervisedCount })
      }
      #expect(try bench.run(parts, stop: stop).interrupted)
      try bench.run(parts, resume: true)
      try Self.expectSame(parts, whole)
    }
  }

  @Test func resumesMoreThanOnce() throws {
    let bench = try Self.bench(dropout: 0.1)
    try withTemporaryFolder { folder in
      let (whole, parts) = (RunFolder(folder + "/whole"), RunFolder(folder + "/parts"))
      try bench.run(whole)
      for stop in 1...8 { try bench.run(parts, resume: true, stop: stop) }
      try bench.run(parts, resume: true)
      try Self.expectSame(parts, whole)
      // A finished run has nothing left to do.
      let log = Bench.Log()
      try bench.run(parts, resume: true, log)
      #expect(log.metrics.isEmpty)
      try Self.expectSame(parts, whole)
    }
  }

  /// A given adapter need not be there when the run is resumed.
  @Test func resumesWithoutTheInitialAdapter() throws {
    var bench = try Self.bench()
    try withTemporaryFolder { folder in
      let adapter = try RandomModel().adapter(try #require(bench.settings.lora), for: bench.decoder)
      try createDirectory(folder + "/given")
      try AdapterFolder.write(adapter, for: bench.decoder, to: folder + "/given", baseModel: nil, baseDigest: nil)
      bench.initialAdapter = folder + "/given"
      bench.settings.initialAdapter = "given"
      let (whole, parts) = (RunFolder(folder + "/whole"), RunFolder(folder + "/parts"))
      try bench.run(whole)
      try bench.run(parts, stop: 1)
      #expect(try parts.checkpointSteps() == [0, 1])
      bench.initialAdapter = nil
      try bench.run(parts, resume: true)
      try Self.expectSame(parts, whole)
      try removeTree(parts.path)
      bench.initialAdapter = folder + "/given"
      try bench.run(parts, stop: 1)
      // Killed before anything but the start was saved.
      try removeTree(parts.checkpoint(1))
      bench.initialAdapter = nil
      try bench.run(parts, resume: true)
      try Self.expectSame(parts, whole)
    }
  }

  /// What can happen to the newest checkpoint; it is passed over, and the one before is taken up.
  static let accidents: [(file: String, cut: Int)] = [
    ("optimizer.safetensors", 0), ("optimizer.safetensors", 8), ("adapter_model.safetensors", 0),
    ("adapter_config.json", 0), ("state.json", 0), ("state.json", 3), ("manifest.json", 0), ("manifest.json", 10),
  ]

  @Test(arguments: accidents, Optimizer.allCases)
  func damagedCheckpointIsPassedOver(_ accident: (file: String, cut: Int), _ optimizer: Optimizer) throws {
    let bench = try Self.bench(optimizer: optimizer)
    try withTemporaryFolder { folder in
      let (whole, parts) = (RunFolder(folder + "/whole"), RunFolder(folder + "/parts"))
      try bench.run(whole)
      try bench.run(parts, stop: 7)
      #expect(try parts.checkpointSteps() == [4, 6, 7])
      try damage(parts.checkpoint(7) + "/" + accident.file, cutting: accident.cut)
      let log = Bench.Log()
      try bench.run(parts, resume: true, log)
      #expect(log.notices.count == 1 && log.notices[0].hasPrefix("checkpoint step-7 is passed over: "))
      #expect(log.train.first?.step == 7)
      try Self.expectSame(parts, whole)
    }
  }

  /// A sound checkpoint of another optimiser is not passed over: starting again would throw the run away.
  @Test(arguments: Optimizer.allCases) func anotherOptimisersCheckpointIsRefused(_ optimizer: Optimizer) throws {
    var bench = try Self.bench(optimizer: optimizer)
    try withTemporaryFolder { folder in
      let run = RunFolder(folder + "/run")
      try bench.run(run, stop: 4)
      let lines = try run.metricLines()
      bench.settings.optimizer = optimizer == .adamw ? .adamw8bit : .adamw
      let error = #expect(throws: SFTError.self) { try bench.run(run, resume: true) }
      #expect(error?.kind == .usage && error?.file == run.checkpoint(4) + "/optimizer.safetensors")
      #expect(try run.metricLines() == lines)
    }
  }

  @Test func missingFilesAndFoldersArePassedOver() throws {
    let bench = try Self.bench()
    try withTemporaryFolder { folder in
      let (whole, parts) = (RunFolder(folder + "/whole"), RunFolder(folder + "/parts"))
      try bench.run(whole)
      try bench.run(parts, stop: 7)
      try removeTree(parts.checkpoint(7) + "/optimizer.safetensors")
      try removeTree(parts.checkpoint(6))
      try createDirectory(parts.checkpoint(6))
      try damage(parts.checkpoint(4) + "/state.json")
      let log = Bench.Log()
      try bench.run(parts, resume: true, log)
      // None is left: the run starts again, and says which it passed over.
      #expect(log.notices.count == 3 && log.train.first?.step == 1)
      try Self.expectSame(parts, whole)
    }
  }

  /// A damaged checkpoint of a later step does not count among those to keep: the new one stays.
  @Test(arguments: [1, 2]) func aDamagedCheckpointDoesNotPushOutASoundOne(_ kept: Int) throws {
    var bench = try Self.bench()
    try withTemporaryFolder { folder in
      let run = RunFolder(folder + "/run")
      try bench.run(run, stop: 7)
      try damage(run.checkpoint(7) + "/state.json")
      try removeTree(run.checkpoint(6))
      bench.keptCheckpoints = kept
      try bench.run(run, resume: true, stop: 5)
      #expect(try run.checkpointSteps().contains(5))
      let log = Bench.Log()
      try bench.run(run, resume: true, log)
      #expect(log.train.first?.step == 6)
      #expect(try run.checkpointSteps().last == 9)
    }
  }

  /// What a killed run wrote beyond its checkpoint is taken off, a torn last line too.
  @Test func metricsHaveEachStepOnce() throws {
    let bench = try Self.bench()
    try withTemporaryFolder { folder in
      let (whole, parts) = (RunFolder(folder + "/whole"), RunFolder(folder + "/parts"))
      try bench.run(whole)
      try bench.run(parts, stop: 4)
      let lines = try lines(of: whole.metrics)
      let beyond = lines[5..<8].flatMap { $0 + [10] } + lines[8].prefix(20)
      try writeAtomically(try readFile(parts.metrics) + beyond, to: parts.metrics)
      try bench.run(parts, resume: true)
      try Self.expectSame(parts, whole)
    }
  }

  @Test func keepsOnlyTheNewestCheckpoints() throws {
    var bench = try Self.bench()
    for (every, kept, expected) in [(2, 2, [8, 9]), (1, 3, [7, 8, 9]), (0, 1, [9]), (4, 9, [4, 8, 9])] {
      bench.saveEvery = every
      bench.keptCheckpoints = kept
      try withTemporaryFolder { folder in
        let run = RunFolder(folder + "/run")
        try bench.run(run)
        #expect(try run.checkpointSteps() == expected)
      }
    }
  }
}
