import Core
import Kernels
import Models
import Packing
import TestSupport
import Testing

/// The blocks below the lowest adapter, computed once for each record and read back: the same loss and gradients.
@Suite struct TrunkTests {
  private struct Result {
    var totals = CrossEntropy.Totals()
    var gradient: [Float] = []
  }

  /// What enters block `layer` of each sample, from one batch of all of them.
  private static func outputs(
    _ decoder: Decoder, _ samples: [Sample], layer: Int, sharesPrefixes: Bool
  ) -> [[Float]] {
    let width = decoder.configuration.width
    let batch = Packer.pack(samples, sharesPrefixes: sharesPrefixes)
    let pass = InferencePass(decoder, nil, Compute())
    let stream = pass.stream(batch, entering: layer)
    defer { withExtendedLifetime(pass) {} }
    return samples.map { sample in
      batch.path(of: sample.tokens.dropLast()).flatMap { segment -> [Float] in
        let rows = batch.segments[segment].rows
        return Array(UnsafeBufferPointer(start: stream + rows.lowerBound * width, count: rows.count * width))
      }
    }
  }

  private static func trunk(_ outputs: [[Float]], layer: Int, width: Int) -> TrunkOutputs {
    TrunkOutputs(layer: layer, width: width) { record, positions, place in
      for (index, value) in outputs[record][positions.lowerBound * width..<positions.upperBound * width].enumerated() {
        place[index] = value
      }
    }
  }

  @Test(arguments: 0..<6 as Range<UInt64>, [false, true]) func storedOutputsGiveTheSame(
    _ seed: UInt64, _ checkpointing: Bool
  ) throws {
    var model = RandomModel()
    model.seed = seed
    model.layers = 4
    let layer = 1 + Int(seed % 3)
    let decoder = try model.decoder()
    let adapter = try model.adapter(LoRAConfiguration(rank: 3, layers: Array(layer..<4)), for: decoder)
    #expect(adapter.lowestLayer == layer)
    let samples = model.samples(7, seed: seed)
    let pass = TrainingPass(decoder, .adapter(adapter), Compute(), recomputed: checkpointing ? .max : 0)
    func run(_ shares: Bool, _ trunk: TrunkOutputs?) -> Result {
      var result = Result()
      pass.clearGradients()
      for group in [[4, 0, 2], [1, 6, 3, 5]] {
        let members = group.map { samples[$0] }
        let batch = Packer.pack(members, sharesPrefixes: shares)
        result.totals += pass.accumulate(
          batch, scale: 0.1, dropoutSeed: 0, trunk: trunk?.stream(batch, samples: members, records: group))
      }
      result.gradient = Array(UnsafeBufferPointer(start: pass.gradients.pointer, count: adapter.count))
      return result
    }
    let expected = run(true, nil)
    for stored in [true, false] {
      let outputs = Self.outputs(decoder, samples, layer: layer, sharesPrefixes: stored)
      #expect(zip(outputs, samples).allSatisfy { $0.count == max(0, $1.tokens.count - 1) * model.width })
      for shares in [true, false] {
        let result = run(shares, Self.trunk(outputs, layer: layer, width: model.width))
        #expect(relativeError(result.totals.loss, expected.totals.loss) < 1e-6)
        #expect(result.totals.weight == expected.totals.weight && result.totals.correct == expected.totals.correct)
        #expect(largestError(result.gradient, expected.gradient) < 1e-5)
      }
    }
    // Another record's outputs would not do.
    let wrong = Array(Self.outputs(decoder, samples, layer: layer, sharesPrefixes: true).reversed())
    let longest = wrong.map(\.count).max() ?? 0
    let padded = wrong.map { $0 + [Float](repeating: 0.5, count: longest - $0.count) }
    let result = run(true, Self.trunk(padded, layer: layer, width: model.width))
    #expect(relativeError(result.totals.loss, expected.totals.loss) > 1e-4)
  }

  @Test func pathsLeadThroughTheForest() {
    let samples = [[1, 2, 3, 9], [1, 2, 9], [4, 5, 9], [1, 2, 3, 6, 9]].map {
      Sample(tokens: $0, promptCount: 1)
    }
    let batch = Packer.pack(samples, sharesPrefixes: true)
    for sample in samples {
      let path = batch.path(of: sample.tokens.dropLast())
      #expect(path.flatMap { Array(batch.tokens[batch.segments[$0].rows]) } == Array(sample.tokens.dropLast()))
      for (segment, parent) in zip(path.dropFirst(), path) { #expect(batch.segments[segment].parent == parent) }
    }
    #expect(batch.path(of: [7, 8]) == [])
    #expect(batch.path(of: []) == [])
  }
}
