import Core
import Kernels
import Models
import Packing
import Quantizing
import TestSupport
import Testing
import Weights

/// What 4 bits cost a model: its linears' outputs, and the changes merged into them. Against sums written out here, and
/// against transformers and bitsandbytes (`Tests/Fixtures/make_quantization_errors.py`).
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

  // MARK: - Changes

  /// The sums by their definition, from one weight [out, in] and its change.
  private static func survival(
    _ weight: [Float], _ delta: [Double], outputs: Int, inputs: Int, _ settings: QuantizationSettings
  ) throws -> (survived: Double, error: Double) {
    func roundTrip(_ values: [Float]) throws -> [Float] {
      let tensor = FloatTensor(shape: [outputs, inputs]) { _ = $0.initialize(from: values) }
      return try QuantizedMatrix(
        tensor, layout: .outputsByInputs, name: "w", settings: settings, Compute(engine: .plain)
      ).decoded(Compute(engine: .plain)).array
    }
    let before = try roundTrip(weight)
    let after = try roundTrip(zip(weight, delta).map { Float(Double($0) + $1) })
    let change = zip(after, before).map { Double($0) - Double($1) }
    let norm = delta.reduce(0) { $0 + $1 * $1 }
    let product = zip(change, delta).reduce(0) { $0 + $1.0 * $1.1 }
    let error = zip(change, delta).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    return (product / norm, (error / norm).squareRoot())
  }

  @Test(arguments: ["gpt2-tiny", "gpt2-odd"], settings)
  func survivalIsThatOfThePlainSums(_ name: String, _ settings: QuantizationSettings) throws {
    let loaded = try Loaded(name)
    let adapter = try AdapterFolder.read(loaded.reference.adapter, for: loaded.decoder)
    for (index, linear) in loaded.decoder.linears.enumerated() {
      let pair = try #require(adapter.pair(of: index))
      let (a, b) = (adapter.parameters.pointer + pair.aOffset, adapter.parameters.pointer + pair.bOffset)
      let (inputs, outputs, rank) = (linear.inputWidth, linear.outputWidth, adapter.configuration.rank)
      let stored = try loaded.weight(linear).array
      let weight = (0..<stored.count).map { stored[$0 % inputs * outputs + $0 / inputs] }
      let delta = (0..<stored.count).map { place in
        var sum = 0.0
        for r in 0..<rank { sum += Double(b[place / inputs * rank + r]) * Double(a[r * inputs + place % inputs]) }
        return sum * Double(adapter.configuration.scale)
      }
      let expected = try Self.survival(weight, delta, outputs: outputs, inputs: inputs, settings)
      let measured = try loaded.decoder.deltaSurvival(of: index, with: adapter, settings, threads: 2)
      // W + D rounds to float32 in another order, so that a weight between two codes may fall to the other one.
      #expect(relativeError(measured.survived ?? .nan, expected.survived) < 1e-3)
      #expect(relativeError(measured.relativeError ?? .nan, expected.error) < 1e-3)
      #expect(relativeError(measured.norm, delta.reduce(0) { $0 + $1 * $1 }.squareRoot()) < 1e-6)
    }
  }

  @Test(arguments: settings) func survivalIsTheReferences(_ settings: QuantizationSettings) throws {
    let loaded = try Loaded("gpt2-tiny")
    let expected = try #require(
      try loaded.reference.quantization(settings.kind.rawValue, double: settings.doubleQuantization))
    let adapter = try AdapterFolder.read(loaded.reference.adapter, for: loaded.decoder)
    var total = DeltaSurvival()
    for (index, layer) in (expected["layers"]?.array ?? []).enumerated() {
      let survival = try loaded.decoder.deltaSurvival(of: index, with: adapter, settings, threads: 1)
      total += survival
      #expect(relativeError(survival.survived ?? .nan, layer["survived"]?.double ?? .nan) < 1e-3)
      #expect(relativeError(survival.relativeError ?? .nan, layer["error"]?.double ?? .nan) < 1e-3)
      #expect(relativeError(survival.norm, layer["norm"]?.double ?? .nan) < 1e-5)
    }
    #expect(relativeError(total.survived ?? .nan, expected["survived"]?.double ?? .nan) < 1e-3)
    #expect(relativeError(total.relativeError ?? .nan, expected["error"]?.double ?? .nan) < 1e-3)
  }

  /// An adapter of which every A is ±1 and every B ±`size`: its product is ±`size` · scale everywhere.
  private static func adapter(_ decoder: Decoder, size: Float) throws -> Adapter {
    let adapter = try Adapter(LoRAConfiguration(rank: 1, alpha: 1), for: decoder)
    let signs = noise(adapter.count, seed: 3)
    for tensor in adapter.tensors {
      let magnitude = tensor.name.contains("lora_A") ? 1 : size
      let values = adapter.values(tensor)
      for i in values.indices { values[i] = signs[i] < 0 ? -magnitude : magnitude }
    }
    return adapter
  }

  @Test(arguments: settings) func noChangeIsNotANumberDividedByZero(_ settings: QuantizationSettings) throws {
    let loaded = try Loaded("gpt2-tiny")
    let adapter = try Self.adapter(loaded.decoder, size: 0)
    var total = DeltaSurvival()
    for index in loaded.decoder.linears.indices {
      let survival = try loaded.decoder.deltaSurvival(of: index, with: adapter, settings, threads: 1)
      #expect(survival == DeltaSurvival())
      total += survival
    }
    #expect(total.survived == nil && total.relativeError == nil && total.norm == 0)
  }

  /// Beside ±`size` the weights do not count, and ±absmax are two of the 16 values.
  @Test(arguments: settings) func aLargeChangeSurvivesWhole(_ settings: QuantizationSettings) throws {
    let loaded = try Loaded("gpt2-tiny")
    let adapter = try Self.adapter(loaded.decoder, size: 1e5)
    for index in loaded.decoder.linears.indices {
      let survival = try loaded.decoder.deltaSurvival(of: index, with: adapter, settings, threads: 1)
      #expect(abs((survival.survived ?? .nan) - 1) < 1e-4)
      #expect(survival.relativeError ?? .nan < 1e-4)
    }
  }
}
