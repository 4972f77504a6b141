import Core
import Files
import JSON
import Kernels
import Models
import TestSupport
import Testing
import Training
import Weights

/// Whole training curves: PyTorch's, and the same run in other ways.
@Suite struct CurveTests {
  @Test(arguments: ReferenceCase.all, Engine.allCases)
  func curveIsPyTorchs(_ name: String, _ engine: Engine) throws {
    let reference = try ReferenceCase(name)
    try expectCurve("train_lora", of: reference, Decoder(ModelCheckpoint(folder: reference.model)), engine)
  }

  /// With the base in 4 bits.
  @Test(arguments: ReferenceCase.all)
  func curveOfQLoRAIsPyTorchs(_ name: String) throws {
    let reference = try ReferenceCase(name)
    let checkpoint = try ModelCheckpoint(folder: reference.model)
    try expectCurve("train_qlora", of: reference, Decoder(checkpoint, quantized: checkpoint.quantizedLinears()), .auto)
  }

  private func expectCurve(_ key: String, of reference: ReferenceCase, _ decoder: Decoder, _ engine: Engine) throws {
    var bench = try Bench(reference, decoder)
    bench.settings.engine = engine
    let log = Bench.Log()
    try withTemporaryFolder { _ = try bench.run(RunFolder($0 + "/run"), log) }
    let expected = reference.curve(key)
    #expect(log.train.count == 6 && expected.count == 6)
    for (metric, step) in zip(log.train, expected) {
      #expect(relativeError(metric.loss, step.loss) < 1e-4, "step \(metric.step)")
      #expect(relativeError(metric.grad_norm, step.gradientNorm) < 1e-3, "step \(metric.step)")
      #expect(metric.lr == 1e-2)
    }
  }

  @Test(arguments: ReferenceCase.all, Engine.allCases)
  func curveOfAllWeightsIsPyTorchs(_ name: String, _ engine: Engine) throws {
    let reference = try ReferenceCase(name)
    var bench = try Bench(reference, Decoder(ModelCheckpoint(folder: reference.model)))
    bench.trainAllWeights { _ in reference.model }
    let rate = reference.expect["train_full_lr"]?.double ?? 1e-3
    bench.settings.schedule = Schedule(kind: .constant, learningRate: rate)
    bench.settings.engine = engine
    let log = Bench.Log()
    try withTemporaryFolder { _ = try bench.run(RunFolder($0 + "/run"), log) }
    let expected = reference.curve("train_full")
    #expect(log.train.count == 6 && expected.count == 6)
    for (metric, step) in zip(log.train, expected) {
      #expect(relativeError(metric.loss, step.loss) < 1e-5, "step \(metric.step)")
      #expect(relativeError(metric.grad_norm, step.gradientNorm) < 1e-4, "step \(metric.step)")
    }
  }

  /// Windows of a text, where every token is supervised and vectors are not decayed.
  @Test(arguments: ReferenceCase.gpt2, Engine.allCases)
  func curveOfPretrainingIsPyTorchs(_ name: String, _ engine: Engine) throws {
    let reference = try ReferenceCase(name)
    let stream = try reference.samples().flatMap { $0.sample.tokens }
    let windows = stride(from: 0, to: stream.count - 41, by: 30).map {
      Sample(tokens: Array(stream[$0..<$0 + 41]), promptCount: 1)
    }
    var bench = try Bench(RandomModel(), samples: windows)
    bench.trainAllWeights { _ in reference.model }
    bench.settings.method = .pretrain
    bench.settings.shuffle = false
    bench.settings.weightDecay = 0.5
    bench.settings.schedule = Schedule(kind: .constant, learningRate: 1e-3)
    bench.settings.engine = engine
    let log = Bench.Log()
    try withTemporaryFolder { _ = try bench.run(RunFolder($0 + "/run"), log) }
    let expected = try parseJSONFile(reference.folder + "/pretrain.json")["curve"]?.array ?? []
    #expect(log.train.count == 6 && expected.count == 6)
    for (metric, step) in zip(log.train, expected) {
      #expect(relativeError(metric.loss, step["loss"]?.double ?? .nan) < 1e-5, "step \(metric.step)")
      #expect(relativeError(metric.grad_norm, step["grad_norm"]?.double ?? .nan) < 1e-4, "step \(metric.step)")
      #expect(metric.supervised_tokens == 120)
    }
  }

  @Test func countsAreOfTheRecords() throws {
    var bench = try Bench()
    bench.settings.shuffle = false
    bench.settings.gradientAccumulation = 2
    let log = Bench.Log()
    try withTemporaryFolder { _ = try bench.run(RunFolder($0 + "/run"), log) }
    for (index, metric) in log.train.enumerated() {
      let records = (index * 6..<index * 6 + 6).map { bench.samples[$0 % bench.samples.count] }
      #expect(metric.tokens == records.reduce(0) { $0 + $1.tokens.count })
      #expect(metric.supervised_tokens == records.reduce(0) { $0 + $1.supervisedCount })
      #expect(metric.step == index + 1 && metric.lr == bench.settings.schedule.rate(at: index, of: 6))
      #expect(metric.accuracy >= 0 && metric.accuracy <= 1 && metric.tokens_per_second > 0)
    }
    #expect(log.losses[5] < log.losses[0])
  }

  /// 1×8, 2×4, 4×2 and 8×1, and the plain engine: float rounding apart the same run.
  @Test func accumulationDoesNotChangeTheRun() throws {
    var bench = try Bench()
    func curve(_ batch: Int, _ accumulation: Int, _ engine: Engine) throws -> (losses: [Double], norms: [Double]) {
      bench.settings.batchSize = batch
      bench.settings.gradientAccumulation = accumulation
      bench.settings.engine = engine
      let log = Bench.Log()
      try withTemporaryFolder { _ = try bench.run(RunFolder($0 + "/run"), log) }
      return (log.losses, log.train.map(\.grad_norm))
    }
    let whole = try curve(8, 1, .auto)
    for (batch, accumulation, engine) in [
      (4, 2, Engine.auto), (2, 4, .auto), (1, 8, .auto), (8, 1, .plain), (2, 4, .plain),
    ] {
      let other = try curve(batch, accumulation, engine)
      for step in 0..<6 {
        #expect(relativeError(other.losses[step], whole.losses[step]) < 2e-5)
        #expect(relativeError(other.norms[step], whole.norms[step]) < 5e-4)
      }
    }
  }

  /// Clipping to 0 is no clipping; a small norm changes the run but not the norm that is reported first.
  @Test func clipping() throws {
    var bench = try Bench()
    var curves: [[Double]] = []
    var norms: [Double] = []
    for limit in [0, 1e9, 1e-9] {
      bench.settings.maxGradientNorm = limit
      let log = Bench.Log()
      try withTemporaryFolder { _ = try bench.run(RunFolder($0 + "/run"), log) }
      curves.append(log.losses)
      norms.append(log.train[0].grad_norm)
    }
    #expect(curves[0] == curves[1] && curves[0] != curves[2])
    #expect(norms[0] == norms[1] && norms[1] == norms[2] && norms[0] > 1e-6)
  }

  /// At rate 0 and with the same records again and again, only dropout's masks change: from update to update, from
  /// micro-batch to micro-batch, and with the seed.
  @Test func dropoutMasksAreNeverTheSame() throws {
    let model = RandomModel()
    let record = model.samples(1, seed: 1)[0]
    func losses(_ copies: Int, dropout: Double, seed: UInt64 = 1) throws -> [Double] {
      var bench = try Bench(model, samples: [Sample](repeating: record, count: copies))
      bench.settings.lora?.dropout = dropout
      bench.settings.seed = seed
      bench.settings.batchSize = 1
      bench.settings.gradientAccumulation = copies
      bench.settings.schedule = Schedule(kind: .constant, learningRate: 0)
      bench.adapter = try model.adapter(try #require(bench.settings.lora), for: bench.decoder)
      let log = Bench.Log()
      try withTemporaryFolder { _ = try bench.run(RunFolder($0 + "/run"), log) }
      return log.losses
    }
    #expect(Set(try losses(1, dropout: 0)).count == 1)
    let one = try losses(1, dropout: 0.3)
    #expect(Set(one).count == 6)
    #expect(try losses(1, dropout: 0.3) == one)
    #expect(try losses(1, dropout: 0.3, seed: 2)[0] != one[0])
    // Were the second micro-batch's masks the first's, the mean would be the same.
    #expect(abs(try losses(2, dropout: 0.3)[0] - one[0]) > 1e-6)
  }
}
