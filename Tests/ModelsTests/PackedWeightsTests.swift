import Core
import Kernels
import Models
import Packing
import TestSupport
import Testing

/// A decoder whose linears are laid out beforehand computes what the one with mapped linears does.
@Suite struct PackedWeightsTests {
  private let lora = LoRAConfiguration(rank: 3, alpha: 5)

  private func train(
    _ model: RandomModel, _ decoder: Decoder, _ engine: Engine
  ) throws -> (loss: Double, gradients: [Float]) {
    let adapter = try model.adapter(lora, for: decoder)
    let pass = TrainingPass(decoder, .adapter(adapter), Compute(engine: engine))
    let batch = Packer.pack(model.samples(6, seed: 3), sharesPrefixes: true)
    let totals = pass.accumulate(batch, scale: 1 / Float(batch.supervisedTokens), dropoutSeed: 1)
    return (totals.loss, Array(UnsafeBufferPointer(start: pass.gradients.pointer, count: adapter.count)))
  }

  @Test(arguments: [RandomModel(), .wide]) func lossAndGradientsHaveTheSameBits(_ model: RandomModel) throws {
    let (mapped, packed) = (try model.decoder(), try model.decoder(panels: Compute(threads: 2)))
    let (expected, actual) = (try train(model, mapped, .auto), try train(model, packed, .auto))
    // Without the panel products' instructions mapped weights are OpenBLAS's, which sums in another order.
    guard PanelMatrix.pays else { return #expect(largestError(actual.gradients, expected.gradients) < 1e-5) }
    #expect(actual.loss == expected.loss)
    #expect(sameBits(actual.gradients, expected.gradients))
  }

  @Test func thePlainEngineTakesThemToo() throws {
    let model = RandomModel.wide
    let (mapped, packed) = (try model.decoder(), try model.decoder(panels: Compute()))
    let (expected, actual) = (try train(model, mapped, .plain), try train(model, packed, .plain))
    #expect(relativeError(actual.loss, expected.loss) < 1e-6)
    #expect(largestError(actual.gradients, expected.gradients) < 1e-5)
  }

  @Test func mergedWeightsAndDescriptionAreTheSame() throws {
    let model = RandomModel()
    let (mapped, packed) = (try model.decoder(), try model.decoder(panels: Compute()))
    let adapter = try model.adapter(lora, for: mapped)
    for linear in mapped.linears.indices {
      #expect(
        sameBits(
          packed.mergedWeight(of: linear, with: adapter, threads: 1).array,
          mapped.mergedWeight(of: linear, with: adapter, threads: 1).array))
    }
    #expect(packed.linears == mapped.linears && packed.isQuantized == mapped.isQuantized)
  }
}
