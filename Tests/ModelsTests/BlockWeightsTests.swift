import Core
import Files
import Kernels
import Models
import Packing
import TestSupport
import Testing
import Weights

/// Models whose matrices are in ggml's blocks, against the same with the decoded weights in float32.
@Suite struct BlockWeightsTests {
  /// Memory of a matrix.
  private final class Bytes {
    let first: UnsafeMutablePointer<UInt8>
    init(_ values: [UInt8]) {
      first = .allocate(capacity: max(1, values.count))
      first.initialize(from: values, count: values.count)
    }
    deinit { first.deallocate() }
  }

  /// Q8_0: of 32 values, the largest becomes 127 steps.
  private static func blocks(_ values: [Float], outputs: Int, inputs: Int) -> BlockMatrix {
    var bytes: [UInt8] = []
    for first in stride(from: 0, to: values.count, by: 32) {
      let block = values[first..<first + 32]
      let step = Float16((block.map(abs).max() ?? 0) / 127)
      bytes += [UInt8(truncatingIfNeeded: step.bitPattern), UInt8(step.bitPattern >> 8)]
      bytes += block.map { value in
        let code = step > 0 ? (value / Float(step)).rounded() : 0
        return UInt8(bitPattern: Int8(max(-127, min(127, code))))
      }
    }
    let memory = Bytes(bytes)
    return BlockMatrix(memory.first, .q8_0, outputs: outputs, inputs: inputs, keptBy: memory)
  }

  /// [rows, columns] → [columns, rows].
  private static func turned(_ values: [Float], rows: Int, columns: Int) -> [Float] {
    values.indices.map { values[$0 % rows * columns + $0 / rows] }
  }

  /// All matrices with rows of whole blocks, the token embedding and the head among them; and all tensors with what these
  /// decode to in their place.
  private static func quantize(_ checkpoint: ModelCheckpoint) throws -> ([String: BlockMatrix], [TensorOutput]) {
    var matrices: [String: BlockMatrix] = [:]
    let outputs = try checkpoint.configuration.expectedTensors.map { tensor in
      let values = try checkpoint.tensor(tensor.name, shape: tensor.shape).array
      let isTurned = tensor.orientation == .inputsByOutputs
      guard tensor.shape.count == 2, tensor.role != .positionEmbedding, tensor.shape[isTurned ? 0 : 1] % 32 == 0 else {
        return TensorOutput(tensor.name, tensor.shape, values)
      }
      let (rows, columns) = (tensor.shape[0], tensor.shape[1])
      let matrix = blocks(
        isTurned ? turned(values, rows: rows, columns: columns) : values, outputs: isTurned ? columns : rows,
        inputs: isTurned ? rows : columns)
      matrices[tensor.name] = matrix
      var decoded = [Float](repeating: 0, count: values.count)
      decoded.withUnsafeMutableBufferPointer { values in
        if let values = values.baseAddress { matrix.decode(rows: 0..<matrix.outputs, into: values, Compute()) }
      }
      return TensorOutput(
        tensor.name, tensor.shape, isTurned ? turned(decoded, rows: columns, columns: rows) : decoded)
    }
    return (matrices, outputs)
  }

  /// Tied heads and others, linears stored either way.
  @Test(arguments: ["gpt2-tiny", "llama3-tiny", "qwen2-tiny", "gemma3-tiny", "phi3-tiny"])
  func `Using and adapting them is that of the decoded weights`(name: String) throws {
    let reference = try ReferenceCase(name)
    let checkpoint = try ModelCheckpoint(folder: reference.model)
    let (matrices, outputs) = try Self.quantize(checkpoint)
    #expect(matrices.count > checkpoint.configuration.layers)
    let inBlocks = try Decoder(checkpoint, blocks: matrices)
    let batch = Packer.pack(Array(try reference.samples().map(\.sample).prefix(6)), sharesPrefixes: true)
    func head(_ decoder: Decoder) throws -> [Float] {
      decoder.head(with: try AdapterFolder.read(reference.adapter, for: decoder)).array
    }
    try withTemporaryFolder { folder in
      try writeAtomically(try readFile(reference.model + "/config.json"), to: folder + "/config.json")
      try writeSafetensors(outputs, to: folder + "/model.safetensors")
      let inFloats = try Decoder(ModelCheckpoint(folder: folder))
      #expect(sameBits(try head(inBlocks), try head(inFloats)))
      let decoded = try Self.results(inFloats, reference, batch, .auto)
      let largest = decoded.gradients.map(abs).max() ?? 0
      #expect(largest > 0)
      for engine in Engine.allCases {
        let own = try Self.results(inBlocks, reference, batch, engine)
        #expect(relativeError(own.loss, decoded.loss) < 1e-6)
        #expect(zip(own.gradients, decoded.gradients).allSatisfy { abs($0 - $1) < 1e-5 * largest })
      }
    }
  }

  @Test func `Linears that are stored turned are merged as the model's files have them`() throws {
    let reference = try ReferenceCase("gpt2-tiny")
    let checkpoint = try ModelCheckpoint(folder: reference.model)
    let (matrices, outputs) = try Self.quantize(checkpoint)
    try withTemporaryFolder { folder in
      try writeAtomically(try readFile(reference.model + "/config.json"), to: folder + "/config.json")
      try writeSafetensors(outputs, to: folder + "/model.safetensors")
      let decoded = try ModelCheckpoint(folder: folder)
      try Self.expectMerging(Decoder(checkpoint, blocks: matrices), isThatOf: Decoder(decoded), reference)
      let quantized = try decoded.quantizedLinears()
      let inFourBits = try Decoder(decoded, quantized: quantized)
      let shapes = inFourBits.linears.map { [$0.inputWidth, $0.outputWidth] }
      let adapter = try AdapterFolder.read(reference.adapter, for: inFourBits)
      #expect(
        inFourBits.linears.indices.map { inFourBits.mergedWeight(of: $0, with: adapter, threads: 2).shape } == shapes)
    }
  }

  private static func results(
    _ decoder: Decoder, _ reference: ReferenceCase, _ batch: Batch, _ engine: Engine
  ) throws -> (loss: Double, gradients: [Float]) {
    let adapter = try AdapterFolder.read(reference.adapter, for: decoder)
    let pass = TrainingPass(decoder, .adapter(adapter), Compute(engine: engine), recomputed: 0)
    let totals = pass.accumulate(batch, scale: 1 / Float(batch.supervisedTokens), dropoutSeed: 0)
    return (totals.loss, Array(UnsafeBufferPointer(start: pass.gradients.pointer, count: adapter.count)))
  }

  private static func expectMerging(
    _ decoder: Decoder, isThatOf expected: Decoder, _ reference: ReferenceCase
  ) throws {
    let adapter = try AdapterFolder.read(reference.adapter, for: decoder)
    for index in decoder.linears.indices {
      let own = decoder.mergedWeight(of: index, with: adapter, threads: 2)
      let other = expected.mergedWeight(of: index, with: adapter, threads: 1)
      #expect(own.shape == other.shape && sameBits(own.array, other.array), "\(decoder.linears[index].name)")
    }
  }

  /// In 16 bits they are kept as [out, in], whichever way they are stored.
  @Test(arguments: ["gpt2-tiny", "gpt2-odd", "llama3-tiny"], [TensorType.f16, .bf16])
  func `Weights in 16 bits compute as the same in float32`(name: String, dtype: TensorType) throws {
    let reference = try ReferenceCase(name)
    let original = try ModelCheckpoint(folder: reference.model)
    let batch = Packer.pack(Array(try reference.samples().map(\.sample).prefix(6)), sharesPrefixes: true)
    func write(_ checkpoint: ModelCheckpoint, as dtype: TensorType, to folder: String) throws -> ModelCheckpoint {
      try createDirectory(folder)
      try writeAtomically(try readFile(reference.model + "/config.json"), to: folder + "/config.json")
      try writeSafetensors(
        checkpoint.configuration.expectedTensors.map { tensor in
          TensorOutput(tensor.name, tensor.shape, as: dtype) {
            try checkpoint.tensor(tensor.name, shape: tensor.shape)
          }
        }, to: folder + "/model.safetensors")
      return try ModelCheckpoint(folder: folder)
    }
    try withTemporaryFolder { folder in
      let halves = try write(original, as: dtype, to: folder + "/halves")
      let floats = try write(halves, as: .f32, to: folder + "/floats")
      let (own, expected) = (try Decoder(halves), try Decoder(floats))
      let linears = halves.configuration.expectedTensors.filter(\.role.isBlockMatrix)
      for tensor in linears {
        let found = try #require(try halves.halves(tensor))
        let isTurned = tensor.orientation == .inputsByOutputs
        #expect(found.shape == (isTurned ? tensor.shape.reversed() : tensor.shape))
        #expect(try halves.info(tensor.name).isCopied == isTurned)
        #expect(try floats.halves(tensor) == nil)
      }
      let footprint = try WeightFootprint(
        halves, quantized: [], doubleQuantization: false, usesPanels: true, tokens: [1])
      #expect(footprint.bytes < 3 * halves.byteCount / 2)
      try Self.expectMerging(own, isThatOf: expected, reference)
      let base = try Self.results(expected, reference, batch, .auto)
      let largest = base.gradients.map(abs).max() ?? 0
      #expect(largest > 0)
      for engine in Engine.allCases {
        let found = try Self.results(own, reference, batch, engine)
        #expect(relativeError(found.loss, base.loss) < 1e-6)
        #expect(zip(found.gradients, base.gradients).allSatisfy { abs($0 - $1) < 1e-5 * largest })
      }
    }
  }

  @Test func `A shape that is not the model's is refused`() throws {
    let checkpoint = try ModelCheckpoint(folder: try ReferenceCase("llama3-tiny").model)
    let name = try #require(checkpoint.configuration.linears.first?.weightName)
    let matrix = Self.blocks([Float](repeating: 1, count: 64), outputs: 2, inputs: 32)
    #expect { try Decoder(checkpoint, blocks: [name: matrix]) } throws: { error in
      (error as? SFTError)?.message.contains(name) == true
    }
  }
}
