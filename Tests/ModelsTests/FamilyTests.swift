import Core
import Files
import Kernels
import Models
import Packing
import Quantizing
import TestSupport
import Testing
import Weights

/// What holds of every family, on small random models of each.
@Suite struct FamilyTests {
  static let families = Architecture.allCases

  /// An adapter or all weights of a model, to be trained.
  private struct Trainee {
    let decoder: Decoder
    let trained: TrainedParameters
    let parameters: FloatBuffer
    let tensors: [ParameterTensor]

    init(_ model: RandomModel, ofAdapter: Bool) throws {
      if ofAdapter {
        decoder = try model.decoder()
        let adapter = try model.adapter(LoRAConfiguration(rank: 3, alpha: 5), for: decoder)
        (trained, parameters, tensors) = (.adapter(adapter), adapter.parameters, adapter.tensors)
      } else {
        let weights = try model.trainable()
        decoder = try weights.decoder()
        (trained, parameters, tensors) = (.weights(weights), weights.parameters, weights.tensors)
      }
    }

    /// Of the token-mean loss.
    func gradient(_ batch: Batch, _ engine: Engine, recomputed: Int = 0) -> (loss: Double, values: [Float]) {
      let pass = TrainingPass(decoder, trained, Compute(engine: engine), recomputed: recomputed)
      let totals = pass.accumulate(batch, scale: 1 / Float(batch.supervisedTokens), dropoutSeed: 0)
      return (totals.loss, Array(UnsafeBufferPointer(start: pass.gradients.pointer, count: trained.count)))
    }

    func values(_ tensor: ParameterTensor, _ all: [Float]) -> [Float] {
      Array(all[tensor.offset..<tensor.offset + tensor.count])
    }
  }

  /// By the plain engine, whose loss is `InferencePass`'s, along each tensor's own gradient, where the slope is its norm, and
  /// along directions of noise.
  @Test(arguments: families, [true, false])
  func gradientsAgreeWithFiniteDifferences(_ family: Architecture, ofAdapter: Bool) throws {
    var model = RandomModel(family)
    // Flatter than with larger weights, so that the step's error is small.
    model.scale = 0.25
    let batch = Packer.pack(model.samples(3, seed: 3, longest: 16), sharesPrefixes: true)
    let trainee = try Trainee(model, ofAdapter: ofAdapter)
    let gradient = trainee.gradient(batch, .plain).values
    let memory = trainee.parameters
    let pass = InferencePass(trainee.decoder, trainee.trained.adapter, Compute(engine: .plain))
    let values = Array(UnsafeBufferPointer(start: memory.pointer, count: gradient.count))
    /// By the five-point formula: its error is of the step's fourth power.
    func slope(_ direction: [Float], from offset: Int) -> (slope: Double, length: Double) {
      let length = direction.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
      func loss(_ step: Double) -> Double {
        for (index, value) in direction.enumerated() {
          memory.pointer[offset + index] = Float(Double(values[offset + index]) + step * Double(value) / length)
        }
        let totals = pass.loss(batch)
        return totals.loss / totals.weight
      }
      let h = 5e-3
      defer { _ = loss(0) }
      return ((8 * (loss(h) - loss(-h)) - (loss(2 * h) - loss(-2 * h))) / (12 * h), length)
    }
    for tensor in trainee.tensors {
      let (slope, norm) = slope(trainee.values(tensor, gradient), from: tensor.offset)
      #expect(norm > 1e-5, "\(tensor.name)")
      #expect(abs(slope - norm) < 5e-3 * norm + 1e-4, "\(tensor.name): \(slope) against \(norm)")
    }
    for seed in 0..<2 as Range<UInt64> {
      let direction = noise(gradient.count, seed: seed)
      let (slope, length) = slope(direction, from: 0)
      let expected = weighted(gradient.map(Double.init), direction) / length
      #expect(abs(slope - expected) < 2e-3 * abs(expected) + 1e-4)
    }
  }

  /// Both engines, and kept activations or recomputed ones. On the wide model the fast engine computes the last block's queries
  /// for supervised rows only, also where those fill panels of one matrix with keys and values; the plain one computes
  /// all rows. The second batch has one supervised row, the third no other.
  @Test(arguments: families, [true, false])
  func waysOfComputingAgree(_ family: Architecture, ofAdapter: Bool) throws {
    var wide = RandomModel(family)
    (wide.heads, wide.width, wide.layers, wide.scale) = (4, 80, 2, 0.1)
    for model in [RandomModel(family), wide] {
      let trainee = try Trainee(model, ofAdapter: ofAdapter)
      let samples = model.samples(4, seed: 8, longest: 20)
      let one = Sample(tokens: samples[0].tokens, promptCount: samples[0].tokens.count - 1)
      let whole = samples.map { Sample(tokens: $0.tokens, promptCount: 1) }
      for samples in [samples, [one], whole] {
        let batch = Packer.pack(samples, sharesPrefixes: true)
        let (fast, plain) = (trainee.gradient(batch, .auto), trainee.gradient(batch, .plain))
        for recomputed in 1...3 {
          let again = trainee.gradient(batch, .auto, recomputed: recomputed)
          #expect(again.loss == fast.loss && sameBits(again.values, fast.values))
        }
        #expect(relativeError(fast.loss, plain.loss) < 1e-5)
        for tensor in trainee.tensors {
          let error = largestError(trainee.values(tensor, fast.values), trainee.values(tensor, plain.values))
          #expect(error < 1e-4, "\(tensor.name)")
        }
      }
    }
  }

  /// The packed forest against one sequence at a time.
  @Test(arguments: families, Engine.allCases)
  func packedEqualsOneAtATime(_ family: Architecture, _ engine: Engine) throws {
    let model = RandomModel(family)
    let samples = model.samples(6, seed: 4)
    let decoder = try model.decoder()
    let adapter = try model.adapter(LoRAConfiguration(rank: 3), for: decoder)
    func evaluate(_ batches: [Batch]) -> (totals: CrossEntropy.Totals, gradient: [Float]) {
      let pass = TrainingPass(decoder, .adapter(adapter), Compute(engine: engine))
      var totals = CrossEntropy.Totals()
      for batch in batches { totals += pass.accumulate(batch, scale: 0.02, dropoutSeed: 0) }
      return (totals, Array(UnsafeBufferPointer(start: pass.gradients.pointer, count: adapter.count)))
    }
    let alone = evaluate(samples.map { Packer.pack([$0], sharesPrefixes: false) })
    for shares in [true, false] {
      let packed = evaluate([Packer.pack(samples, sharesPrefixes: shares)])
      #expect(relativeError(packed.totals.loss, alone.totals.loss) < 1e-5)
      #expect(packed.totals.weight == alone.totals.weight)
      for tensor in adapter.tensors {
        let range = tensor.offset..<tensor.offset + tensor.count
        #expect(largestError(Array(packed.gradient[range]), Array(alone.gradient[range])) < 2e-5, "\(tensor.name)")
      }
    }
  }

  private static func logits(_ pass: InferencePass, _ tokens: [Int32]) -> [[Float]] {
    let segment = Batch.Segment(rows: 0..<tokens.count, startPosition: 0, parent: nil)
    let batch = Batch(tokens: tokens, segments: [segment], targets: [], recordTokens: tokens.count)
    let classes = pass.decoder.configuration.vocabularySize
    let logits = pass.logits(batch, rows: Array(tokens.indices))
    return tokens.indices.map { Array(logits[$0 * classes..<($0 + 1) * classes]) }
  }

  private static func tokens(_ count: Int) -> [Int32] {
    var generator = SeededGenerator(seed: 12)
    return (0..<count).map { _ in Int32(1 + generator.below(60)) }
  }

  /// Tokens one after the other, a few at once, and behind a cache that another one continues.
  @Test(arguments: families, Engine.allCases)
  func aCacheGivesTheLogitsOfTheWhole(_ family: Architecture, _ engine: Engine) throws {
    let model = RandomModel(family)
    let decoder = try model.decoder()
    let adapter = try model.adapter(LoRAConfiguration(rank: 3), for: decoder)
    let pass = InferencePass(decoder, adapter, Compute(engine: engine))
    let tokens = Self.tokens(36)
    let expected = Self.logits(pass, tokens)
    let root = KeyValueCache(decoder, capacity: 11)
    _ = pass.extend(root, with: Array(tokens.prefix(11)))
    for chunks in [[], [1], [7, 1, 9]] {
      for cache in [KeyValueCache(decoder, capacity: 36), KeyValueCache(continuing: root, capacity: 36, decoder)] {
        var counts = chunks[...]
        while cache.count < 36 {
          let count = min(counts.popFirst() ?? 1, 36 - cache.count)
          let logits = Array(pass.extend(cache, with: Array(tokens[cache.count..<cache.count + count])))
          #expect(largestError(logits, expected[cache.count - 1]) < 2e-5)
        }
      }
    }
    // Two sequences at once, which part after the root.
    let other = Array(tokens.prefix(11) + tokens.suffix(14))
    let branch = Self.logits(pass, other)
    let caches = (0..<2).map { _ in KeyValueCache(continuing: root, capacity: 36, decoder) }
    for count in [3, 1, 8, 1, 1] {
      let added = zip([tokens, other], caches).map { Array($0[$1.count..<$1.count + count]) }
      let logits = Array(pass.extend(caches, with: added))
      let classes = logits.count / 2
      #expect(largestError(Array(logits.prefix(classes)), expected[caches[0].count - 1]) < 1e-5)
      #expect(largestError(Array(logits.suffix(classes)), branch[caches[1].count - 1]) < 1e-5)
    }
  }

  /// The base's weights with others in the place of the linears'.
  private static func decoder(
    _ model: RandomModel, _ values: (_ index: Int, LinearDescription) throws -> [Float]
  ) throws -> Decoder {
    let weights = try model.trainable()
    for (index, linear) in weights.configuration.linears.enumerated() {
      let tensor = try #require(weights.tensors.first { $0.name == linear.weightName })
      let values = try values(index, linear)
      #expect(values.count == tensor.count)
      _ = weights.values(tensor).update(fromContentsOf: values)
    }
    return try weights.decoder()
  }

  @Test(arguments: families) func qloraIsLoRAOverTheDecodedWeights(_ family: Architecture) throws {
    let model = RandomModel(family)
    let batch = Packer.pack(model.samples(5, seed: 2), sharesPrefixes: true)
    let (quantized, matrices) = try withTemporaryFolder { folder in
      try model.write(to: folder)
      let checkpoint = try ModelCheckpoint(folder: folder)
      let matrices = try checkpoint.quantizedLinears()
      return (try Decoder(checkpoint, quantized: matrices), matrices)
    }
    #expect(quantized.isQuantized && matrices.count == quantized.linears.count)
    let decoded = try Self.decoder(model) { _, linear in
      linear.stored(try #require(matrices[linear.weightName]).decoded(Compute()).array)
    }
    func gradients(_ decoder: Decoder) throws -> (loss: Double, gradient: [Float]) {
      let adapter = try model.adapter(LoRAConfiguration(rank: 3), for: decoder)
      let pass = TrainingPass(decoder, .adapter(adapter), Compute())
      let totals = pass.accumulate(batch, scale: 1 / Float(batch.supervisedTokens), dropoutSeed: 0)
      return (totals.loss, Array(UnsafeBufferPointer(start: pass.gradients.pointer, count: adapter.count)))
    }
    let (own, expected) = (try gradients(quantized), try gradients(decoded))
    #expect(relativeError(own.loss, expected.loss) < 1e-6)
    #expect(largestError(own.gradient, expected.gradient) < 1e-5)
    #expect(relativeError(own.loss, try gradients(try model.decoder()).loss) > 1e-4)
  }

  @Test(arguments: families) func mergedWeightsGiveTheAdaptedModel(_ family: Architecture) throws {
    let model = RandomModel(family)
    let base = try model.decoder()
    let adapter = try model.adapter(LoRAConfiguration(rank: 3), for: base)
    let merged = try Self.decoder(model) { index, _ in
      base.mergedWeight(of: index, with: adapter, threads: 2).array
    }
    let tokens = Self.tokens(20)
    let expected = Self.logits(InferencePass(base, adapter, Compute()), tokens).flatMap(\.self)
    let actual = Self.logits(InferencePass(merged, nil, Compute()), tokens).flatMap(\.self)
    #expect(largestError(actual, expected) < 1e-5)
    #expect(largestError(Self.logits(InferencePass(base, nil, Compute()), tokens).flatMap(\.self), expected) > 1e-3)
  }

  /// Laid out for training, or as it is stored.
  @Test(arguments: families) func laidOutWeightsGiveTheSame(_ family: Architecture) throws {
    let model = RandomModel(family)
    let batch = Packer.pack(model.samples(5, seed: 2), sharesPrefixes: true)
    let runs = try [nil, Compute()].map { panels in
      let decoder = try model.decoder(panels: panels)
      let adapter = try model.adapter(LoRAConfiguration(rank: 3), for: decoder)
      let pass = TrainingPass(decoder, .adapter(adapter), Compute())
      _ = pass.accumulate(batch, scale: 1, dropoutSeed: 0)
      return Array(UnsafeBufferPointer(start: pass.gradients.pointer, count: adapter.count))
    }
    #expect(largestError(runs[0], runs[1]) < 1e-5)
  }
}
