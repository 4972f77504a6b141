import Core
import Files
import Kernels
import Models
import Packing
import Quantizing
import TestSupport
import Testing
import Weights

/// A base in 4 bits, against what transformers, peft and bitsandbytes computed, and against its own decoded weights.
@Suite struct QuantizedTests {
  /// The checkpoint in a folder of its own, the linears replaced: `values` gives [out, in].
  private static func withFolder<Result>(
    _ checkpoint: ModelCheckpoint, _ values: (LinearDescription) throws -> [Float],
    _ body: (Decoder) throws -> Result
  ) throws -> Result {
    try withTemporaryFolder { folder in
      let linears = Dictionary(uniqueKeysWithValues: checkpoint.configuration.linears.map { ($0.weightName, $0) })
      let tensors = try checkpoint.configuration.expectedTensors.map { tensor in
        guard let linear = linears[tensor.name] else {
          return TensorOutput(tensor.name, try checkpoint.tensor(tensor.name, shape: tensor.shape))
        }
        return TensorOutput(tensor.name, tensor.shape, linear.stored(try values(linear)))
      }
      try writeSafetensors(tensors, to: folder + "/model.safetensors")
      try writeAtomically(try readFile(checkpoint.folder + "/config.json"), to: folder + "/config.json")
      return try body(try Decoder(ModelCheckpoint(folder: folder)))
    }
  }

  private static func loss(_ decoder: Decoder, _ adapter: Adapter?, _ samples: [Sample], _ engine: Engine) -> Double {
    let totals = InferencePass(decoder, adapter, Compute(engine: engine)).loss(
      Packer.pack(samples, sharesPrefixes: engine == .auto))
    return totals.loss / totals.weight
  }

  @Test(arguments: ReferenceTests.cases, [Engine.auto, .plain])
  func lossesAreTheReferences(_ name: String, engine: Engine) throws {
    let reference = try ReferenceCase(name)
    let checkpoint = try ModelCheckpoint(folder: reference.model)
    let decoder = try Decoder(checkpoint, quantized: try checkpoint.quantizedLinears())
    let samples = try reference.samples().map(\.sample)
    #expect(relativeError(Self.loss(decoder, nil, samples, engine), reference.loss("nf4")) < 1e-5)
    let adapter = try AdapterFolder.read(reference.adapter, for: decoder)
    #expect(relativeError(Self.loss(decoder, adapter, samples, engine), reference.loss("nf4_adapter")) < 1e-5)
  }

  /// The reference of width 60 has 240 inputs in its MLP's second linear, no multiple of 64, and was made by bitsandbytes
  /// on a CPU with AVX-512, which takes another block's statistics there (see `FourBitMatrix.looksUpByRow`). That is what
  /// we do, too; this is what it costs beside reading the blocks as they were written.
  @Test func statisticsLookedUpByRowAreFartherFromTheWeights() throws {
    let checkpoint = try ModelCheckpoint(folder: try ReferenceCase("gpt2-odd").model)
    let matrices = try checkpoint.quantizedLinears()
    for linear in checkpoint.configuration.linears where linear.inputWidth == 240 {
      let matrix = try #require(matrices[linear.weightName])
      let original = try checkpoint.tensor(linear.weightName, shape: [240, 60]).array
      func error(_ values: [Float]) -> Float {
        values.indices.reduce(0) { $0 + abs(values[$1] - original[$1 % 240 * 60 + $1 / 240]) } / Float(values.count)
      }
      let read = matrix.decoded(Compute()).array
      let written = read.indices.map { index in
        read[index] / matrix.absmax(index / 240 * 3 + index % 240 / 64) * matrix.absmax(index / 64)
      }
      #expect(error(written) < 0.6 * error(read))
    }
  }

  /// QLoRA is LoRA over the decoded weights: the same loss and gradients.
  @Test(arguments: ReferenceTests.cases)
  func equalsTrainingOverDecodedWeights(_ name: String) throws {
    let reference = try ReferenceCase(name)
    let checkpoint = try ModelCheckpoint(folder: reference.model)
    let matrices = try checkpoint.quantizedLinears()
    let quantized = try Decoder(checkpoint, quantized: matrices)
    let batch = Packer.pack(Array(try reference.samples().map(\.sample).prefix(6)), sharesPrefixes: true)
    func gradients(_ decoder: Decoder, checkpointing: Bool) throws -> (Double, [Float]) {
      let adapter = try AdapterFolder.read(reference.adapter, for: decoder)
      let pass = TrainingPass(decoder, .adapter(adapter), Compute(), recomputed: checkpointing ? .max : 0)
      let totals = pass.accumulate(batch, scale: 1 / Float(batch.supervisedTokens), dropoutSeed: 0)
      return (totals.loss, Array(UnsafeBufferPointer(start: pass.gradients.pointer, count: adapter.count)))
    }
    let (loss, own) = try gradients(quantized, checkpointing: false)
    let (decodedLoss, decoded) = try Self.withFolder(
      checkpoint, { matrices[$0.weightName]?.decoded(Compute()).array ?? [] }
    ) { try gradients($0, checkpointing: false) }
    #expect(relativeError(loss, decodedLoss) < 1e-6)
    let largest = decoded.map(abs).max() ?? 0
    #expect(largest > 0)
    for (a, b) in zip(own, decoded) { #expect(abs(a - b) < 1e-5 * largest) }
    let (checkpointedLoss, checkpointed) = try gradients(quantized, checkpointing: true)
    #expect(checkpointedLoss == loss && checkpointed == own)
  }
}
