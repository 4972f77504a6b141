import Core
import Files
import Kernels
import Models
import Packing
import TestSupport
import Testing
import Weights

/// Against what transformers and peft computed: see Tests/Fixtures.
@Suite struct ReferenceTests {
  static let cases = ReferenceCase.all

  static func load(_ name: String) throws -> (ReferenceCase, Decoder, [Sample]) {
    let reference = try ReferenceCase(name)
    let decoder = try Decoder(ModelCheckpoint(folder: reference.model))
    return (reference, decoder, try reference.samples().map(\.sample))
  }

  @Test(arguments: cases, [Engine.auto, .plain])
  func lossesAgree(_ name: String, engine: Engine) throws {
    let (reference, decoder, samples) = try Self.load(name)
    let pass = InferencePass(decoder, nil, Compute(engine: engine))
    for (key, adapter) in [("base", nil), ("adapter", try AdapterFolder.read(reference.adapter, for: decoder))] {
      pass.adapter = adapter
      for sharing in [false, true] {
        let totals = pass.loss(Packer.pack(samples, sharesPrefixes: sharing))
        #expect(Int(totals.weight) == reference.expect[key]?["tokens"]?.int)
        #expect(relativeError(totals.loss / totals.weight, reference.loss(key)) < 1e-5)
      }
    }
  }

  /// A family computed without what sets it apart would have another loss by far more than rounding.
  @Test(arguments: ReferenceCase.families)
  func whatSetsAFamilyApartIsComputed(_ name: String) throws {
    let (reference, decoder, samples) = try Self.load(name)
    let totals = InferencePass(decoder, nil, Compute()).loss(Packer.pack(samples, sharesPrefixes: true))
    #expect(!reference.lossesWithout.isEmpty)
    for (part, loss) in reference.lossesWithout {
      #expect(relativeError(reference.loss("base"), loss) > 1e-5, "\(part)")
      #expect(relativeError(totals.loss / totals.weight, loss) > 1e-5, "\(part)")
    }
  }

  @Test(arguments: cases)
  func logitsAgree(_ name: String) throws {
    let (reference, decoder, samples) = try Self.load(name)
    let pass = InferencePass(decoder, nil, Compute())
    for (key, adapter) in [
      ("base_logits", nil), ("adapter_logits", try AdapterFolder.read(reference.adapter, for: decoder)),
    ] {
      pass.adapter = adapter
      // The reference feeds the whole record, EOS too, and gives the last three positions' first eight logits.
      let tokens = samples[0].tokens
      let batch = Batch(
        tokens: tokens, segments: [Batch.Segment(rows: 0..<tokens.count, startPosition: 0, parent: nil)], targets: [],
        recordTokens: tokens.count)
      let logits = pass.logits(batch, rows: Array(tokens.count - 3..<tokens.count))
      let expected = (reference.expect[key]?.array ?? []).map { ($0.array ?? []).compactMap(\.double) }
      #expect(expected.count == 3)
      for (row, values) in expected.enumerated() {
        #expect(values.count == 8)
        for (index, value) in values.enumerated() {
          #expect(abs(Double(logits[row * decoder.configuration.vocabularySize + index]) - value) < 1e-4)
        }
      }
    }
  }

  @Test(arguments: cases, [Engine.auto, .plain])
  func firstStepGradientsAgree(_ name: String, engine: Engine) throws {
    let (reference, decoder, samples) = try Self.load(name)
    let adapter = try AdapterFolder.read(reference.adapter, for: decoder)
    let pass = TrainingPass(decoder, .adapter(adapter), Compute(engine: engine))
    let batch = Packer.pack(Array(samples.prefix(4)), sharesPrefixes: true)
    let totals = pass.accumulate(batch, scale: 1 / Float(batch.supervisedTokens), dropoutSeed: 0)
    let curve = reference.curve("train_lora")
    #expect(relativeError(totals.loss / totals.weight, curve[0].loss) < 1e-5)
    let norm = Elementwise.sumOfSquares(pass.gradients.pointer, count: adapter.count, Compute()).squareRoot()
    #expect(relativeError(norm, curve[0].gradientNorm) < 1e-4)
    let clip = min(1, 1 / (norm + 1e-6))
    var compared = 0
    for tensor in adapter.tensors {
      let expected = reference.expect["step1_clipped_grad_norms_lora"]?[tensor.name]?.double ?? .nan
      let gradients = pass.gradients.pointer + tensor.offset
      let actual = clip * Elementwise.sumOfSquares(gradients, count: tensor.count, Compute()).squareRoot()
      #expect(relativeError(actual, expected) < 1e-3, "\(tensor.name): \(actual) against \(expected)")
      compared += 1
    }
    #expect(compared == reference.expect["step1_clipped_grad_norms_lora"]?.object?.count)
  }
}
