import Core
import Kernels
import Models
import Packing
import TestSupport
import Testing

/// The packed forest against one sequence at a time: the same loss and gradients.
@Suite struct PackingEquivalenceTests {
  /// Loss and gradient of the effective batch, cut into these batches.
  private static func evaluate(
    _ decoder: Decoder, _ adapter: Adapter, _ batches: [Batch], _ engine: Engine
  ) -> (totals: CrossEntropy.Totals, gradient: [Float]) {
    // Few logits at once for the fast engine: several chunks of rows.
    let memory = PassMemory(logits: engine == .plain ? 3 << 20 : 1)
    let pass = TrainingPass(decoder, .adapter(adapter), Compute(engine: engine), memory: memory)
    let scale = 1 / Float(max(1, batches.reduce(0) { $0 + $1.supervisedTokens }))
    var totals = CrossEntropy.Totals()
    pass.clearGradients()
    for batch in batches { totals += pass.accumulate(batch, scale: scale, dropoutSeed: 0) }
    return (totals, Array(UnsafeBufferPointer(start: pass.gradients.pointer, count: adapter.count)))
  }

  private static func model(_ seed: UInt64) -> RandomModel {
    var model = RandomModel()
    model.seed = seed
    model.width = [12, 16, 15, 8, 72][Int(seed % 5)]
    model.heads = [3, 2, 1, 4, 3][Int(seed % 5)]
    if model.width > 16 { model.scale = 0.08 }
    model.layers = 1 + Int(seed % 3)
    model.tiedHead = seed % 2 == 0
    model.context = 100
    return model
  }

  /// Trained in turns, the shared beginning too.
  private static func inTurns(_ sample: Sample) -> Sample {
    let starts = stride(from: 2, to: sample.tokens.count, by: 5)
    return Sample(tokens: sample.tokens, supervised: starts.map { $0..<min($0 + 3, sample.tokens.count) })
  }

  @Test(arguments: 0..<12 as Range<UInt64>) func everyWayOfCuttingGivesTheSame(_ seed: UInt64) throws {
    let model = Self.model(seed)
    let decoder = try model.decoder()
    let adapter = try model.adapter(LoRAConfiguration(rank: 2 + Int(seed % 3)), for: decoder)
    var samples = model.samples(1 + Int(seed), seed: seed, longest: seed % 4 == 1 ? 95 : 30)
    if seed % 2 == 1 { samples = samples.map(Self.inTurns) }
    func packed(_ size: Int, _ shares: Bool) -> [Batch] {
      stride(from: 0, to: samples.count, by: size).map {
        Packer.pack(Array(samples[$0..<min($0 + size, samples.count)]), sharesPrefixes: shares)
      }
    }
    let (totals, gradient) = Self.evaluate(decoder, adapter, packed(1, false), .plain)
    #expect(totals.weight == Double(samples.reduce(0) { $0 + $1.supervisedCount }))
    for engine in Engine.allCases {
      for (size, shares) in [(1, false), (samples.count, false), (samples.count, true), (2, true), (3, true)] {
        let (other, otherGradient) = Self.evaluate(decoder, adapter, packed(size, shares), engine)
        #expect(relativeError(other.loss, totals.loss) < 1e-5)
        #expect(other.weight == totals.weight && other.correct == totals.correct)
        for tensor in adapter.tensors {
          // Each tensor for itself, so that a small one is not judged by the size of others.
          let range = tensor.offset..<tensor.offset + tensor.count
          // The wide model's sums are longer, and so are those over more trained tokens.
          let bound = model.width > 16 || seed % 2 == 1 ? 3e-5 : 1e-5
          #expect(largestError(Array(otherGradient[range]), Array(gradient[range])) < bound, "\(tensor.name)")
        }
      }
    }
  }

  /// Logits at every row, of each sequence alone and of its path through the forest.
  @Test func everyRowHasTheLogitsOfItsSequence() throws {
    let model = Self.model(4)
    let decoder = try model.decoder()
    let adapter = try model.adapter(LoRAConfiguration(rank: 2), for: decoder)
    let samples = model.samples(7, seed: 2)
    let forest = Packer.pack(samples, sharesPrefixes: true)
    let pass = InferencePass(decoder, adapter, Compute())
    let together = pass.logits(forest, rows: Array(forest.tokens.indices))
    var seen: Set<Int> = []
    for sample in samples {
      let batch = Packer.pack([sample], sharesPrefixes: false)
      let alone = pass.logits(batch, rows: Array(batch.tokens.indices))
      // The path of this sequence: segments whose own path of tokens it begins with.
      for (index, segment) in forest.segments.enumerated() {
        let rows = (forest.ancestors(of: index) + [index]).flatMap { Array(forest.segments[$0].rows) }
        guard batch.tokens.starts(with: rows.map { forest.tokens[$0] }) else { continue }
        for row in segment.rows {
          seen.insert(row)
          let position = forest.positions[row]
          let (here, there) = (row * model.vocabulary, position * model.vocabulary)
          let (actual, expected) = (
            Array(together[here..<here + model.vocabulary]), Array(alone[there..<there + model.vocabulary])
          )
          #expect(largestError(actual, expected) < 1e-5)
        }
      }
    }
    #expect(seen.count == forest.tokens.count)
  }

  /// A batch without any target changes nothing.
  @Test func nothingSupervised() throws {
    let model = RandomModel()
    let decoder = try model.decoder()
    let adapter = try model.adapter(LoRAConfiguration(rank: 2), for: decoder)
    for samples in [[], [Sample(tokens: [1, 2, 3], promptCount: 3)], [Sample(tokens: [0], promptCount: 0)]] {
      let (totals, gradient) = Self.evaluate(decoder, adapter, [Packer.pack(samples, sharesPrefixes: true)], .auto)
      #expect(totals == CrossEntropy.Totals() && gradient.allSatisfy { $0 == 0 })
      #expect(
        InferencePass(decoder, adapter, Compute()).loss(Packer.pack(samples, sharesPrefixes: true))
          == CrossEntropy.Totals())
    }
  }
}
