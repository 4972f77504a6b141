import Core
import JSON
import Kernels
import Models
import Packing
import TestSupport
import Testing
import Weights

/// The gradients of the weights themselves: against finite differences of the loss through the whole model, and PyTorch's.
@Suite struct WeightGradientTests {
  struct Setting: Sendable, CustomTestStringConvertible {
    var engine: Engine
    var tiedHead = true
    var dropout: Double?
    var checkpointing = false
    var testDescription: String {
      "\(engine), tied \(tiedHead), dropout \(dropout ?? 0), checkpointing \(checkpointing)"
    }
  }

  static let settings = Engine.allCases.flatMap { engine in
    [
      Setting(engine: engine), Setting(engine: engine, tiedHead: false), Setting(engine: engine, dropout: 0.3),
      Setting(engine: engine, dropout: 0.2, checkpointing: true),
    ]
  }

  @Test(arguments: settings) func gradientsAgreeWithFiniteDifferences(_ setting: Setting) throws {
    var model = RandomModel()
    model.tiedHead = setting.tiedHead
    let weights = try model.trainable()
    let pass = TrainingPass(
      try weights.decoder(), .weights(weights), Compute(engine: setting.engine),
      recomputed: setting.checkpointing ? .max : 0,
      dropout: setting.dropout)
    let batch = Packer.pack(model.samples(6, seed: 3), sharesPrefixes: setting.dropout == nil)
    let scale = 1 / Float(batch.supervisedTokens)
    _ = pass.accumulate(batch, scale: scale, dropoutSeed: 77)
    let gradient = Array(UnsafeBufferPointer(start: pass.gradients.pointer, count: weights.count))

    for tensor in weights.tensors {
      let range = tensor.offset..<tensor.offset + tensor.count
      let (slope, norm) = ownSlope(range, of: weights.parameters, gradient, step: 1e-2) {
        pass.accumulate(batch, scale: scale, dropoutSeed: 77).loss * Double(scale)
      }
      // Every key's bias adds the same to all scores of a query, so softmax does not see it; the rest of c_attn's does.
      #expect(norm > 1e-4, "\(tensor.name)")
      #expect(abs(slope - norm) < 1e-3 * norm + 3e-5, "\(tensor.name): \(slope) against \(norm)")
    }
  }

  /// What a pass calls final it does not touch again, and it calls nearly all of it final before it comes to the embeddings.
  @Test(arguments: [Architecture.gpt2, .llama, .gemma2, .phi3, .olmo2], [true, false])
  func gradientsAreFinalFromTheLastBlockDown(_ family: Architecture, _ tiedHead: Bool) throws {
    var model = RandomModel(family)
    model.tiedHead = tiedHead
    let weights = try model.trainable()
    let decoder = try weights.decoder()
    let adapter = try model.adapter(LoRAConfiguration(rank: 2, alpha: 3), for: try model.decoder())
    let batches = [1, 2].map { Packer.pack(model.samples(6, seed: $0), sharesPrefixes: true) }
    for (trained, decoder) in [
      (TrainedParameters.weights(weights), decoder), (.adapter(adapter), try model.decoder()),
    ] {
      for engine in Engine.allCases {
        let pass = TrainingPass(decoder, trained, Compute(engine: engine), recomputed: 1)
        var (final, places): ([Float], [Int]) = ([], [])
        for batch in batches {
          (final, places) = ([Float](repeating: 0, count: trained.count), [trained.count])
          _ = pass.accumulate(batch, scale: 0.1, dropoutSeed: 0) { place in
            #expect(place <= places[places.count - 1])
            for index in place..<places[places.count - 1] { final[index] = pass.gradients.pointer[index] }
            places.append(place)
          }
        }
        let lowest = places[places.count - 1]
        let all = Array(UnsafeBufferPointer(start: pass.gradients.pointer, count: trained.count))
        #expect(sameBits(Array(final[lowest...]), Array(all[lowest...])))
        #expect(Set(places).count > decoder.configuration.layers)
        if trained.adapter != nil {
          #expect(lowest == 0)
        } else {
          let first = try #require(weights.tensors.first { $0.name.contains("0.") })
          #expect(lowest == first.offset)
        }
      }
    }
  }

  /// One batch, with the last block's rows selected and without, kept activations and recomputed ones: one gradient.
  @Test(arguments: [nil, 0.25] as [Double?], [RandomModel(), .wide])
  func waysOfComputingAgree(_ dropout: Double?, _ model: RandomModel) throws {
    let batch = Packer.pack(model.samples(5, seed: 8), sharesPrefixes: false)
    func gradient(_ engine: Engine, checkpointing: Bool = false, logits: Int = 3 << 20) throws -> [Float] {
      let weights = try model.trainable()
      let pass = TrainingPass(
        try weights.decoder(), .weights(weights), Compute(engine: engine), recomputed: checkpointing ? .max : 0,
        dropout: dropout, memory: PassMemory(logits: logits))
      _ = pass.accumulate(batch, scale: 0.1, dropoutSeed: 4)
      return Array(UnsafeBufferPointer(start: pass.gradients.pointer, count: weights.count))
    }
    let fast = try gradient(.auto)
    #expect(largestError(fast, try gradient(.plain)) < 1e-5)
    #expect(sameBits(fast, try gradient(.auto, checkpointing: true)))
    // Sixteen rows of logits at once: several chunks.
    #expect(largestError(fast, try gradient(.auto, logits: 1)) < 1e-5)
  }

  /// On average over masks the network is nearly the same; without a pass for training it is the same exactly.
  @Test func dropoutIsForTrainingOnly() throws {
    let model = RandomModel()
    let weights = try model.trainable()
    let decoder = try weights.decoder()
    let batch = Packer.pack(model.samples(4, seed: 1), sharesPrefixes: false)
    let pass = TrainingPass(decoder, .weights(weights), Compute(), dropout: 0.1)
    let losses = [1, 1, 2].map { pass.accumulate(batch, scale: 1, dropoutSeed: $0).loss }
    #expect(losses[0] == losses[1] && losses[0] != losses[2])
    let expected = InferencePass(decoder, nil, Compute()).loss(batch)
    let mean = (0..<100).reduce(0.0) { $0 + pass.accumulate(batch, scale: 1, dropoutSeed: UInt64($1)).loss } / 100
    #expect(relativeError(mean, expected.loss) < 0.1)
    let without = TrainingPass(decoder, .weights(weights), Compute())
    #expect(without.accumulate(batch, scale: 1, dropoutSeed: 1).loss == expected.loss)
  }

  /// GPT-2's: norms start as the identity, and what is added to the stream is scaled by its depth.
  @Test func freshWeights() throws {
    let configuration = ModelConfiguration.gpt2(
      vocabularySize: 300, contextLength: 40, width: 48, layers: 8, heads: 4, tiedHead: false)
    func weights(_ seed: UInt64) -> TrainableWeights {
      let weights = TrainableWeights(configuration)
      weights.initialize(seed: seed)
      return weights
    }
    let fresh = weights(3)
    for tensor in fresh.tensors {
      let values = fresh.values(tensor).map(Double.init)
      if tensor.shape.count < 2 {
        #expect(values.allSatisfy { $0 == (tensor.name.hasSuffix(".weight") ? 1 : 0) }, "\(tensor.name)")
        continue
      }
      let expected = tensor.name.hasSuffix("c_proj.weight") ? 0.02 / 4 : 0.02
      let deviation = (values.reduce(0) { $0 + $1 * $1 } / Double(values.count)).squareRoot()
      let error = 1 / (2 * Double(values.count)).squareRoot()
      #expect(abs(deviation / expected - 1) < 5 * error, "\(tensor.name)")
      let mean = values.reduce(0, +) / Double(values.count)
      #expect(abs(mean) < 5 * expected / Double(values.count).squareRoot(), "\(tensor.name)")
      // As many within one deviation as a normal has.
      let within = Double(values.count { abs($0) < expected }) / Double(values.count)
      #expect(abs(within - 0.6827) < 5 * 0.47 / Double(values.count).squareRoot(), "\(tensor.name)")
    }
    func all(_ weights: TrainableWeights) -> [Float] {
      Array(UnsafeBufferPointer(start: weights.parameters.pointer, count: weights.count))
    }
    #expect(all(fresh) == all(weights(3)) && all(fresh) != all(weights(4)))
  }

  @Test(arguments: ReferenceCase.gpt2, Engine.allCases)
  func firstStepGradientsArePyTorchs(_ name: String, _ engine: Engine) throws {
    let reference = try ReferenceCase(name)
    let weights = try TrainableWeights(ModelCheckpoint(folder: reference.model))
    let pass = TrainingPass(try weights.decoder(), .weights(weights), Compute(engine: engine))
    let samples = try reference.samples().map(\.sample)
    let batch = Packer.pack(Array(samples.prefix(4)), sharesPrefixes: true)
    _ = pass.accumulate(batch, scale: 1 / Float(batch.supervisedTokens), dropoutSeed: 0)
    let expected = try parseJSONFile(reference.folder + "/full.json")["gradients"]?.object
    #expect(expected?.count == weights.tensors.count)
    for tensor in weights.tensors {
      let gradient = Array(
        UnsafeBufferPointer(start: pass.gradients.pointer + tensor.offset, count: tensor.count))
      let norm = gradient.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
      let torch = try #require(expected?[tensor.name])
      let theirs = try #require(torch["norm"]?.double)
      #expect(relativeError(norm, theirs) < 1e-4, "\(tensor.name)")
      let elements = torch["elements"]?.array?.compactMap(\.double) ?? []
      #expect(elements.count == 5)
      for (index, element) in elements.enumerated() {
        #expect(abs(Double(gradient[index * (tensor.count / 5)]) - element) < 1e-4 * theirs, "\(tensor.name)")
      }
    }
  }
}
