import Core
import Kernels
import Models
import Packing
import Quantizing
import TestSupport
import Testing
import Weights

/// What training takes in memory, worked out beforehand, against what a pass then asks for.
@Suite struct FootprintTests {
  struct Setting: Sendable, CustomTestStringConvertible {
    var name: String
    var lora: LoRAConfiguration? = LoRAConfiguration(rank: 3, alpha: 5)
    var recomputed = 0
    var keepsAttention = true
    var dropout: Double?
    var engine = Engine.auto
    var testDescription: String { name }
  }

  static let settings = [
    Setting(name: "adapter"), Setting(name: "checkpointing", recomputed: .max),
    Setting(name: "checkpointing of one layer", recomputed: 1),
    Setting(name: "checkpointing of two, attention computed again", recomputed: 2, keepsAttention: false),
    Setting(name: "attention computed again", keepsAttention: false),
    Setting(name: "all weights", lora: nil),
    Setting(name: "all weights, checkpointing", lora: nil, recomputed: .max),
    Setting(name: "upper layers", lora: LoRAConfiguration(rank: 2, alpha: 5, layers: [1, 2])),
    Setting(
      name: "last layer, checkpointing", lora: LoRAConfiguration(rank: 2, alpha: 5, layers: [2]), recomputed: .max),
    Setting(name: "adapter's dropout", lora: LoRAConfiguration(rank: 3, alpha: 5, dropout: 0.3)),
    Setting(name: "the base's dropout", lora: nil, dropout: 0.2), Setting(name: "plain", engine: .plain),
  ]
  static let families: [Architecture] = [
    .gpt2, .llama, .mistral, .qwen3, .gemma2, .gemma3, .phi3, .olmo2, .granite, .smollm3, .exaone4,
  ]

  /// Buffer by buffer they are the same numbers, so their sum is.
  @Test(arguments: families, settings)
  func everyBufferIsForeseen(_ family: Architecture, _ setting: Setting) throws {
    let model = RandomModel(family)
    let compute = Compute(engine: setting.engine, threads: 2)
    let frozen = try model.decoder()
    let weights = try setting.lora == nil ? model.trainable() : nil
    let adapter = try setting.lora.map { try model.adapter($0, for: frozen) }
    let decoder = try weights?.decoder() ?? frozen
    let trained = try adapter.map { TrainedParameters.adapter($0) } ?? .weights(#require(weights))
    let samples = model.samples(8, seed: 3)
    let shares = setting.dropout == nil && setting.lora?.dropout ?? 0 == 0 && setting.engine == .auto
    let batches = [Array(samples[..<3]), Array(samples[3...])].map {
      Packer.pack($0, sharesPrefixes: shares, shortLength: decoder.configuration.shortLength)
    }
    func memory() -> PassMemory { PassMemory(logits: 500, keepsAttention: setting.keepsAttention) }

    let footprint = TrainingFootprint(
      try Decoder.outline(decoder.configuration), adapter, compute, recomputed: setting.recomputed,
      dropsStream: setting.dropout != nil, memory: memory())
    let pass = TrainingPass(
      decoder, trained, compute, recomputed: setting.recomputed, dropout: setting.dropout, memory: memory())
    for batch in batches {
      footprint.addUpdate(batch)
      _ = pass.accumulate(batch, scale: 1, dropoutSeed: 7)
    }
    #expect(footprint.requested == pass.requested, "\(footprint.requested) foreseen, \(pass.requested) asked for")
    #expect(footprint.training.values.reduce(0, +) > 2 * footprint.requested)
    #expect(footprint.largestBatch == batches.map(\.tokens.count).max())
  }

  /// What validation takes of a pass's memory is what an inference pass asks for.
  @Test(arguments: families) func validationIsForeseen(_ family: Architecture) throws {
    let model = RandomModel(family)
    let decoder = try model.decoder()
    let compute = Compute(threads: 2)
    let adapter = try model.adapter(LoRAConfiguration(rank: 3, alpha: 5), for: decoder)
    let memory = PassMemory(logits: 500)
    let footprint = TrainingFootprint(
      decoder, adapter, compute, recomputed: 0, memory: PassMemory(logits: 500))
    let batch = Packer.pack(
      model.samples(5, seed: 4), sharesPrefixes: true, shortLength: decoder.configuration.shortLength)
    footprint.addValidation(batch)
    _ = InferencePass(decoder, adapter, compute, memory: memory).loss(batch)
    #expect(footprint.requested == memory.requested)
  }

  /// Gradients, moments and weights by the same counts as what is trained.
  @Test(arguments: families) func weightsAreCounted(_ family: Architecture) throws {
    let model = RandomModel(family)
    try withTemporaryFolder { folder in
      try model.write(to: folder)
      let checkpoint = try ModelCheckpoint(folder: folder)
      let names = Set(checkpoint.configuration.linears.map(\.weightName))
      let matrices = try checkpoint.quantizedLinears()
      let footprint = try WeightFootprint(
        checkpoint, quantized: names, doubleQuantization: true, usesPanels: true, tokens: [1, 2, 3])
      #expect(footprint.mapped == matrices.values.reduce(0) { $0 + $1.bytes })
      let tensors = TrainableWeights.tensors(of: checkpoint.configuration)
      #expect(try tensors == TrainableWeights(checkpoint).tensors)
      let full = try WeightFootprint(
        checkpoint, quantized: [], doubleQuantization: true, usesPanels: false, tokens: Set(0..<Int32(model.vocabulary))
      )
      let bytes = 4 * tensors.reduce(0) { $0 + $1.count }
      #expect(full.bytes >= bytes * 9 / 10 && full.bytes <= bytes)
    }
  }
}
