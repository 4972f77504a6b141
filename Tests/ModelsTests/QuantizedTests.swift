import Core
import Files
import Kernels
import Models
import Packing
import Quantizing
import TestSupport
import Testing
import Weights

/// A base in 4 bits, against what transformers, peft and bitsandbytes computed.
@Suite struct QuantizedTests {
  static func quantize(_ checkpoint: ModelCheckpoint, _ compute: Compute) throws -> [String: QuantizedMatrix] {
    var matrices: [String: QuantizedMatrix] = [:]
    for linear in checkpoint.configuration.linears {
      let weight = try checkpoint.tensor(linear.weightName, shape: [linear.inputWidth, linear.outputWidth])
      matrices[linear.weightName] = try QuantizedMatrix(
        weight, layout: .inputsByOutputs, name: linear.weightName, settings: QuantizationSettings(), compute)
    }
    return matrices
  }

  @Test(arguments: ReferenceTests.cases, [Engine.auto, .plain])
  func lossesAgree(_ name: String, engine: Engine) throws {
    let reference = try ReferenceCase(name)
    let checkpoint = try ModelCheckpoint(folder: reference.model)
    let compute = Compute(engine: engine)
    let decoder = try Decoder(checkpoint, quantized: try Self.quantize(checkpoint, compute))
    let samples = try reference.samples().map(\.sample)
    let pass = InferencePass(decoder, nil, compute)
    for (key, adapter) in [("nf4", nil), ("nf4_adapter", try AdapterFolder.read(reference.adapter, for: decoder))] {
      pass.adapter = adapter
      let totals = pass.loss(Packer.pack(samples, sharesPrefixes: engine == .auto))
      #expect(relativeError(totals.loss / totals.weight, reference.loss(key)) < 1e-5)
    }
  }

  @Test(arguments: ReferenceTests.cases)
  func decodedWeightsAreTheReferences(_ name: String) throws {
    let reference = try ReferenceCase(name)
    let checkpoint = try ModelCheckpoint(folder: reference.model)
    let matrices = try Self.quantize(checkpoint, Compute())
    let file = try SafetensorsFile(reference.folder + "/nf4/nf4.safetensors")
    for (name, matrix) in matrices {
      #expect(matrix.decoded(Compute()).array == matrix.decoded(Compute(engine: .plain)).array)
      #expect(try file.bytes(of: name + ".packed").elementsEqual(try storedCodes(matrix, name)))
    }
  }

  private func storedCodes(_ matrix: QuantizedMatrix, _ name: String) throws -> [UInt8] {
    var bytes: [UInt8] = []
    for tensor in matrix.tensors(name: name) where tensor.name == name {
      try tensor.write { bytes.append(contentsOf: $0) }
    }
    return bytes
  }
}
