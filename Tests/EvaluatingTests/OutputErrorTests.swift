import Core
import Evaluating
import Kernels
import Models
import Quantizing
import TestSupport
import Testing
import Weights

/// Which of the data the linears' outputs are measured over.
@Suite struct OutputErrorTests {
  private func meter(_ model: RandomModel) throws -> OutputErrorMeter {
    try withTemporaryFolder { folder in
      try model.write(to: folder)
      let checkpoint = try ModelCheckpoint(folder: folder)
      let matrices = try checkpoint.configuration.linears.map { linear in
        let weight = try checkpoint.tensor(linear.weightName, shape: [linear.inputWidth, linear.outputWidth])
        return try QuantizedMatrix(
          weight, layout: .inputsByOutputs, name: linear.name, settings: QuantizationSettings(), Compute())
      }
      return OutputErrorMeter(
        try Decoder(checkpoint),
        Dictionary(uniqueKeysWithValues: zip(checkpoint.configuration.linears.map(\.weightName), matrices)), Compute())
    }
  }

  @Test func allOfALittle() throws {
    let model = RandomModel()
    let samples = model.samples(12, seed: 4)
    let inputs = samples.reduce(0) { $0 + $1.tokens.count - 1 }
    let meter = try meter(model)
    let data = try observe(meter, samples, tokenLimit: inputs)
    #expect(data.records == 12 && data.totalRecords == 12 && data.tokens == inputs)
    #expect(meter.relativeErrors.allSatisfy { ($0 ?? 0) > 0.01 && ($0 ?? 1) < 0.3 })
  }

  /// Whole records from everywhere in the data, and no more tokens than allowed.
  @Test(arguments: [60, 200, 500]) func someOfMuch(_ limit: Int) throws {
    let model = RandomModel()
    let samples = model.samples(100, seed: 4)
    // The second half's tokens differ, so that looking there too shows in the figures.
    let half = Array(samples[..<50])
    let other = Array(model.samples(50, seed: 9))
    let data = try observe(try meter(model), half + other, tokenLimit: limit)
    #expect(data.tokens <= limit && data.tokens > limit - 30)
    #expect(data.records >= 2 && data.records < 100 && data.totalRecords == 100)
    let (both, first) = (try meter(model), try meter(model))
    _ = try observe(both, half + other, tokenLimit: limit)
    _ = try observe(first, half + half, tokenLimit: limit)
    #expect(both.relativeErrors != first.relativeErrors)
  }

  @Test func oneRecordAtLeast() throws {
    let model = RandomModel()
    let data = try observe(try meter(model), model.samples(3, seed: 4), tokenLimit: 1)
    #expect(data.records == 1 && data.tokens > 1)
  }

  @Test func outputsThatAreNotFiniteAreRefused() throws {
    var model = RandomModel()
    model.brokenTokens = [7]
    let meter = try meter(model)
    #expect(throws: SFTError.self) {
      _ = try observe(meter, [Sample(tokens: [1, 7, 3, 0], promptCount: 2)], tokenLimit: 100)
    }
  }
}
