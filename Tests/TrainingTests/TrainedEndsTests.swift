import Core
import Files
import Kernels
import Models
import TestSupport
import Testing
import Training
import Weights

/// Runs that train token rows or whole modules beside an adapter.
@Suite struct TrainedEndsTests {
  @Test(arguments: EndsCase.all, Engine.allCases)
  func curveIsPEFTs(_ name: String, _ engine: Engine) throws {
    let fixture = try EndsCase(name)
    let decoder = try Decoder(ModelCheckpoint(folder: fixture.reference.model))
    var bench = try Bench(fixture.reference, decoder)
    bench.initialAdapter = fixture.adapter
    bench.settings.lora = try AdapterFolder.describe(fixture.adapter).configuration
    bench.settings.engine = engine
    let log = Bench.Log()
    try withTemporaryFolder { folder in
      let run = RunFolder(folder + "/run")
      try bench.run(run, log)
      let adapter = try AdapterFolder.read(run.adapter, for: decoder)
      let inference = InferencePass(decoder, adapter, Compute(engine: engine))
      let cache = KeyValueCache(decoder, capacity: 256)
      let logits = Array(inference.extend(cache, with: bench.samples[0].tokens.dropLast()))
      // Six steps of AdamW at 1e-2 are as far apart as their gradients' rounding makes them.
      #expect(largestError(logits, fixture.trainedLogits) < 5e-2)
    }
    #expect(log.train.count == 6 && fixture.curve.count == 6)
    for (metric, step) in zip(log.train, fixture.curve) {
      #expect(relativeError(metric.loss, step.loss) < 1e-3, "step \(metric.step)")
      #expect(relativeError(metric.grad_norm, step.gradientNorm) < 2e-3, "step \(metric.step)")
    }
  }

  @Test(
    arguments: [
      LoRAConfiguration(rank: 3, dropout: 0.2, layers: [2], tokens: [TrainedTokens([20, 0])]),
      LoRAConfiguration(rank: 3, savedModules: ["wte", "lm_head", "ln_f"]),
    ], Optimizer.allCases)
  func resumedRunIsTheSame(_ lora: LoRAConfiguration, _ optimizer: Optimizer) throws {
    var bench = try Bench()
    bench.settings = Bench.settings(lora, steps: 7)
    bench.settings.optimizer = optimizer
    bench.settings.gradientAccumulation = 2
    try withTemporaryFolder { folder in
      let (whole, parts) = (RunFolder(folder + "/whole"), RunFolder(folder + "/parts"))
      let finished = try bench.run(whole)
      for stop in [1, 4] { #expect(try bench.run(parts, resume: stop > 1, stop: stop).interrupted) }
      #expect(try bench.run(parts, resume: true) == finished)
      #expect(try parts.adapterBytes() == whole.adapterBytes())
      #expect(try parts.bytes(of: parts.checkpoint(7)) == whole.bytes(of: whole.checkpoint(7)))
      #expect(try parts.metricLines() == whole.metricLines())
    }
  }
}
