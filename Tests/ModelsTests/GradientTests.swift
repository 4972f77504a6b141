import Core
import Kernels
import Models
import Packing
import TestSupport
import Testing

/// The gradient of every adapter tensor against finite differences of the loss through the whole model.
@Suite struct GradientTests {
  struct Setting: Sendable, CustomTestStringConvertible {
    var name: String
    var lora: LoRAConfiguration
    var tiedHead = true
    var testDescription: String { name }
  }

  static let settings = [
    Setting(name: "every linear", lora: LoRAConfiguration(rank: 3, alpha: 5)),
    Setting(name: "untied head", lora: LoRAConfiguration(rank: 1, alpha: 2), tiedHead: false),
    Setting(name: "upper layers", lora: LoRAConfiguration(rank: 3, alpha: 5, layers: [1, 2])),
    Setting(name: "one layer between", lora: LoRAConfiguration(rank: 2, alpha: 5, layers: [1])),
    Setting(name: "attention only", lora: LoRAConfiguration(rank: 2, alpha: 5, targets: ["c_attn"])),
    Setting(name: "MLP only", lora: LoRAConfiguration(rank: 2, alpha: 5, targets: ["mlp.c_fc", "mlp.c_proj"])),
    Setting(
      name: "one linear", lora: LoRAConfiguration(rank: 2, alpha: 5, targets: ["transformer.h.1.attn.c_proj"])),
    Setting(name: "dropout", lora: LoRAConfiguration(rank: 3, alpha: 5, dropout: 0.3)),
    Setting(name: "rank-stabilised", lora: LoRAConfiguration(rank: 4, alpha: 3, rankStabilized: true)),
  ]

  @Test(arguments: settings, Engine.allCases)
  func gradientsAgreeWithFiniteDifferences(_ setting: Setting, _ engine: Engine) throws {
    var model = RandomModel()
    model.tiedHead = setting.tiedHead
    let decoder = try model.decoder()
    let adapter = try model.adapter(setting.lora, for: decoder)
    let pass = TrainingPass(decoder, .adapter(adapter), Compute(engine: engine))
    let batch = Packer.pack(model.samples(6, seed: 3), sharesPrefixes: setting.lora.dropout == 0)
    let scale = 1 / Float(batch.supervisedTokens)

    _ = pass.accumulate(batch, scale: scale, dropoutSeed: 77)
    let gradient = Array(UnsafeBufferPointer(start: pass.gradients.pointer, count: adapter.count))
    let parameters = Array(UnsafeBufferPointer(start: adapter.parameters.pointer, count: adapter.count))
    /// The slope of the loss along `direction`, by the five-point formula: its error is of the step's fourth power.
    func slope(_ direction: [Double]) -> Double {
      let step = 1e-2 / direction.reduce(0) { $0 + $1 * $1 }.squareRoot()
      let (near, far) = (
        loss(step, direction) - loss(-step, direction), loss(2 * step, direction) - loss(-2 * step, direction)
      )
      return (8 * near - far) / 0.12
    }
    func loss(_ step: Double, _ direction: [Double]) -> Double {
      for index in parameters.indices {
        adapter.parameters.pointer[index] = Float(Double(parameters[index]) + step * direction[index])
      }
      return pass.accumulate(batch, scale: scale, dropoutSeed: 77).loss * Double(scale)
    }

    // Along a tensor's own gradient the slope is its norm: what is wrong in it shows as a difference.
    for (name, range) in tensors(adapter) {
      var direction = [Double](repeating: 0, count: adapter.count)
      for index in range { direction[index] = Double(gradient[index]) }
      let norm = direction.reduce(0) { $0 + $1 * $1 }.squareRoot()
      #expect(norm > 1e-4, "\(name)")
      #expect(abs(slope(direction) - norm) < 5e-4 * norm + 2e-5, "\(name)")
    }
    for seed in 0..<4 as Range<UInt64> {
      let direction = noise(adapter.count, seed: seed).map(Double.init)
      let length = direction.reduce(0) { $0 + $1 * $1 }.squareRoot()
      let expected = weighted(direction, gradient) / length
      #expect(abs(slope(direction) - expected) < 3e-5)
    }
  }

  /// The fast engine computes the last block's queries for supervised rows only. An adapter's dropout has other masks then
  /// in that block's other linears.
  @Test(arguments: settings) func theEnginesAgreeOnAWideModel(_ setting: Setting) throws {
    var model = RandomModel.wide
    model.tiedHead = setting.tiedHead
    let decoder = try model.decoder()
    var lora = setting.lora
    if lora.dropout > 0 { lora.targets = ["c_attn"] }
    let adapter = try model.adapter(lora, for: decoder)
    let samples = model.samples(6, seed: 3)
    let larger = Packer.pack(model.samples(9, seed: 4), sharesPrefixes: false)
    // Only its end is supervised: one row.
    let one = Sample(tokens: samples[0].tokens, promptCount: samples[0].tokens.count - 1)
    for samples in [samples, [one]] {
      let batch = Packer.pack(samples, sharesPrefixes: lora.dropout == 0)
      func gradients(_ engine: Engine) -> [Float] {
        let pass = TrainingPass(decoder, .adapter(adapter), Compute(engine: engine))
        // What a larger batch left in the buffers is not to be seen.
        _ = pass.accumulate(larger, scale: 1, dropoutSeed: 5)
        pass.clearGradients()
        _ = pass.accumulate(batch, scale: 1 / Float(batch.supervisedTokens), dropoutSeed: 77)
        return Array(UnsafeBufferPointer(start: pass.gradients.pointer, count: adapter.count))
      }
      let (plain, fast) = (gradients(.plain), gradients(.auto))
      for (name, range) in tensors(adapter) {
        #expect(largestError(Array(fast[range]), Array(plain[range])) < 2e-5, "\(name)")
      }
    }
  }

  private func tensors(_ adapter: Adapter) -> [(String, Range<Int>)] {
    adapter.tensors.map { ($0.name, $0.offset..<$0.offset + $0.count) }
  }

  /// With B zero in the layers that a smaller adapter leaves out, the two compute the same function: their gradients of
  /// what they share are the same, wherever the backward pass stops.
  @Test(arguments: [[2], [1, 2], [0, 2], [1]]) func backwardStopsOnlyBelowTheLowestAdapter(_ layers: [Int]) throws {
    let model = RandomModel()
    let decoder = try model.decoder()
    let batch = Packer.pack(model.samples(5, seed: 9), sharesPrefixes: true)
    let part = try model.adapter(LoRAConfiguration(rank: 2, layers: layers), for: decoder)
    let whole = try Adapter(LoRAConfiguration(rank: 2), for: decoder)
    for tensor in part.tensors {
      let place = try #require(whole.tensors.first { $0.name == tensor.name })
      _ = whole.values(place).update(fromContentsOf: part.values(tensor))
    }
    let (first, second) = (
      TrainingPass(decoder, .adapter(part), Compute()), TrainingPass(decoder, .adapter(whole), Compute())
    )
    let (a, b) = (
      first.accumulate(batch, scale: 1, dropoutSeed: 0), second.accumulate(batch, scale: 1, dropoutSeed: 0)
    )
    #expect(relativeError(a.loss, b.loss) < 1e-6)
    let (small, large) = (
      Dictionary(uniqueKeysWithValues: tensors(part)), Dictionary(uniqueKeysWithValues: tensors(whole))
    )
    for (name, range) in small {
      let other = try #require(large[name])
      let expected = other.map { second.gradients.pointer[$0] }
      #expect(largestError(range.map { first.gradients.pointer[$0] }, expected) < 1e-5, "\(name)")
    }
  }

  /// Dropout's mask is the seed's: the same again, another for another seed, and none at inference.
  @Test func dropoutFollowsItsSeed() throws {
    let model = RandomModel()
    let decoder = try model.decoder()
    let adapter = try model.adapter(LoRAConfiguration(rank: 4, dropout: 0.5), for: decoder)
    let batch = Packer.pack(model.samples(4, seed: 1), sharesPrefixes: false)
    let pass = TrainingPass(decoder, .adapter(adapter), Compute())
    let losses = [1, 1, 2].map { pass.accumulate(batch, scale: 1, dropoutSeed: $0).loss }
    #expect(losses[0] == losses[1] && losses[0] != losses[2])
    let bare = try model.adapter(LoRAConfiguration(rank: 4), for: decoder)
    let expected = InferencePass(decoder, bare, Compute()).loss(batch)
    #expect(InferencePass(decoder, adapter, Compute()).loss(batch) == expected)
    // On average over masks the adapter's contribution is the same, so losses are near.
    let mean = (0..<50).reduce(0.0) { $0 + pass.accumulate(batch, scale: 1, dropoutSeed: UInt64($1)).loss } / 50
    #expect(relativeError(mean, expected.loss) < 0.05)
  }
}
