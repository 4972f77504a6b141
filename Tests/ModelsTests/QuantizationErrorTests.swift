import Core
import Kernels
import Models
import Packing
import Quantizing
import TestSupport
import Testing
import Weights

/// What 4 bits cost a model's linears in their outputs. Against sums written out here, and against
/// transformers and bitsandbytes (`Tests/Fixtures/make_quantization_errors.py`).
@Suite struct QuantizationErrorTests {
  static let settings = [FourBitCode.nf4, .fp4].flatMap { kind in
    [true, false].map { QuantizationSettings(kind: kind, doubleQuantization: $0) }
  }

  struct Loaded {
    let reference: ReferenceCase
    let checkpoint: ModelCheckpoint
    let decoder: Decoder
    let samples: [Sample]

    init(_ name: String) throws {
      reference = try ReferenceCase(name)
      checkpoint = try ModelCheckpoint(folder: reference.model)
      decoder = try Decoder(checkpoint)
      samples = try reference.samples().map(\.sample)
    }

    /// W as it is stored, [in, out].
    func weight(_ linear: LinearDescription) throws -> FloatTensor {
      try checkpoint.tensor(linear.weightName, shape: [linear.inputWidth, linear.outputWidth])
    }

    func quantize(_ settings: QuantizationSettings, without skipped: String? = nil) throws -> [String: QuantizedMatrix]
    {
      let linears = decoder.linears.filter { linear in skipped.map { !linear.isNamed($0) } ?? true }
      return Dictionary(
        uniqueKeysWithValues: try linears.map { linear in
          (
            linear.weightName,
            try QuantizedMatrix(
              try weight(linear), layout: .inputsByOutputs, name: linear.name, settings: settings, Compute())
          )
        })
    }
  }

  // MARK: - Outputs

  /// ‖x·Q − x·W‖ / ‖x·W‖ by the definition, in double: the weights are [in, out] and [out, in].
  private static func outputError(_ x: [Float], _ weight: [Float], _ decoded: [Float], inputs: Int, outputs: Int)
    -> Double
  {
    var (error, total) = (0.0, 0.0)
    for row in 0..<x.count / inputs {
      for output in 0..<outputs {
        var (exact, rounded) = (0.0, 0.0)
        for input in 0..<inputs {
          exact += Double(x[row * inputs + input]) * Double(weight[input * outputs + output])
          rounded += Double(x[row * inputs + input]) * Double(decoded[output * inputs + input])
        }
        error += (rounded - exact) * (rounded - exact)
        total += exact * exact
      }
    }
    return (error / total).squareRoot()
  }

  @Test(arguments: ["gpt2-tiny", "gpt2-odd"], settings)
  func outputErrorsAreThoseOfThePlainProducts(_ name: String, _ settings: QuantizationSettings) throws {
    let loaded = try Loaded(name)
    let matrices = try loaded.quantize(settings, without: "mlp.c_proj")
    let batch = Packer.pack(Array(loaded.samples.prefix(3)), sharesPrefixes: false)
    var inputs: [(linear: Int, x: [Float])] = []
    InferencePass(loaded.decoder, nil, Compute()).observe(batch) { linear, x, rows in
      let count = rows * loaded.decoder.linears[linear].inputWidth
      inputs.append((linear, Array(UnsafeBufferPointer(start: x, count: count))))
    }
    // Every linear once, in order, with all rows.
    #expect(inputs.map(\.linear) == Array(loaded.decoder.linears.indices))
    let meter = OutputErrorMeter(loaded.decoder, matrices, Compute())
    meter.add(batch)
    for (linear, x) in inputs {
      let description = loaded.decoder.linears[linear]
      let (width, outputs) = (description.inputWidth, description.outputWidth)
      #expect(x.count == batch.tokens.count * width)
      guard let matrix = matrices[description.weightName] else {
        #expect(description.isNamed("mlp.c_proj") && meter.relativeErrors[linear] == nil)
        continue
      }
      let expected = Self.outputError(
        x, try loaded.weight(description).array, matrix.decoded(Compute()).array, inputs: width, outputs: outputs)
      #expect(expected > 0.01 && expected < 0.3)
      #expect(relativeError(meter.relativeErrors[linear] ?? .nan, expected) < 1e-5)
    }
  }

  @Test(arguments: settings) func outputErrorsAreTheReferences(_ settings: QuantizationSettings) throws {
    let loaded = try Loaded("gpt2-tiny")
    let expected = try #require(
      try loaded.reference.quantization(settings.kind.rawValue, double: settings.doubleQuantization))
    let meter = OutputErrorMeter(loaded.decoder, try loaded.quantize(settings), Compute())
    // A record at a time: the sums carry on.
    for sample in loaded.samples { meter.add(Packer.pack([sample], sharesPrefixes: false)) }
    let layers = try #require(expected["layers"]?.array)
    #expect(layers.compactMap { $0["name"]?.string } == loaded.decoder.linears.map(\.name))
    for (layer, error) in zip(layers, meter.relativeErrors) {
      #expect(relativeError(error ?? .nan, layer["outputs"]?.double ?? .nan) < 1e-5)
    }
  }
}
