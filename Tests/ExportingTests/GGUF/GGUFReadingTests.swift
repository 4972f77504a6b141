import Core
import Exporting
import Files
import GGUF
import JSON
import Models
import TestSupport
import Testing
import Tokenizing
import Weights

/// A model that was written as GGUF is the same model when it is read.
@Suite struct GGUFReadingTests {
  struct Case: Sendable, CustomStringConvertible {
    var model: String
    var edits: [(String, JSONValue)] = []
    var description: String { model }
  }

  /// With what llama.cpp has no equal form of taken out.
  static let cases = [
    Case(model: "gpt2-tiny"), Case(model: "llama3-tiny"), Case(model: "llama3-bf16-tiny"),
    Case(model: "qwen2-tiny"), Case(model: "qwen3-tiny"), Case(model: "qwen3-bf16-tiny"), Case(model: "olmo2-tiny"),
    Case(model: "granite-tiny"), Case(model: "phi3-tiny", edits: [("sliding_window", .null)]),
    Case(model: "gemma2-tiny", edits: [("query_pre_attn_scalar", .integer(24))]),
    Case(model: "gemma3-tiny", edits: [("query_pre_attn_scalar", .integer(16))]),
    Case(model: "smollm3-tiny", edits: [("no_rope_layers", .null), ("no_rope_layer_interval", .integer(4))]),
    Case(
      model: "qwen2-tiny",
      edits: [
        (
          "rope_scaling",
          .object(
            JSONObject([
              ("rope_type", .string("yarn")), ("factor", .number(4)),
              ("original_max_position_embeddings", .integer(64)),
            ]))
        )
      ]),
    Case(
      model: "llama3-tiny",
      edits: [
        (
          "rope_scaling",
          .object(
            JSONObject([
              ("rope_type", .string("llama3")), ("factor", .number(32)), ("low_freq_factor", .number(1)),
              ("high_freq_factor", .number(4)), ("original_max_position_embeddings", .integer(8192)),
            ]))
        )
      ]),
    Case(
      model: "llama3-tiny", edits: [("attention_bias", .bool(false)), ("rope_scaling", scaling("linear", factor: 2.5))]),
  ]

  private static func scaling(_ type: String, factor: Double) -> JSONValue {
    .object(JSONObject([("rope_type", .string(type)), ("factor", .number(factor))]))
  }

  private func withExport<Result>(
    _ model: Case, _ dtype: GGUFWeightType, _ body: (ModelCheckpoint, ModelCheckpoint) throws -> Result
  ) throws -> Result {
    try GGUFFolder.edited(model.model, model.edits) { folder in
      try GGUFFolder.exporting(folder, dtype: dtype) { export in
        try body(ModelCheckpoint(folder: folder), ModelCheckpoint(folder: export.path + "/" + export.report.file))
      }
    }
  }

  @Test(arguments: cases) func `the configuration is that of the model's folder`(_ model: Case) throws {
    try withExport(model, .f32) { own, read in
      var (expected, found) = (own.configuration, read.configuration)
      #expect(expected.rotaries.map(\.frequencies) == found.rotaries.map(\.frequencies))
      #expect(expected.rotaries.map(\.amplitude) == found.rotaries.map(\.amplitude))
      // Llama 3's scaling is kept as a factor for each frequency, and is told by them where its numbers are the usual ones.
      if model.model.hasPrefix("llama3"), model.edits.isEmpty { found.rotaries = expected.rotaries }
      expected.endTokens = []
      found.endTokens = []
      #expect(found == expected)
      #expect(Set(own.configuration.endTokens).isSubset(of: read.configuration.endTokens))
    }
  }

  @Test(arguments: cases) func `tensors in float32 are the same bits, and so is the digest`(_ model: Case) throws {
    try withExport(model, .f32) { own, read in
      #expect(read.isGGUF && read.blockNames.isEmpty)
      // A weight that is stored less one comes back as near as one more can be written.
      let isExact = own.configuration.norm != .rms(unitOffset: true)
      for tensor in own.configuration.expectedTensors {
        let expected = try own.tensor(tensor.name, shape: tensor.shape).array
        let found = try read.tensor(tensor.name, shape: tensor.shape).array
        let isClose = zip(expected, found).allSatisfy { abs($0 - $1) <= 2.5e-7 * max(1, abs($0)) }
        #expect(isExact ? found == expected : isClose, "\(tensor.name)")
      }
      if isExact { #expect(try read.baseDigest(threads: 2) == own.baseDigest(threads: 1)) }
      try read.checkFinite()
    }
  }

  @Test(arguments: cases) func `blocks are what their values are`(_ model: Case) throws {
    try withExport(model, .q8_0) { own, read in
      let matrices = try read.blockMatrices()
      #expect(!matrices.isEmpty)
      for tensor in read.configuration.expectedTensors {
        let found = try read.tensor(tensor.name, shape: tensor.shape).array
        let original = try own.tensor(tensor.name, shape: tensor.shape).array
        let largest = original.map(\.magnitude).max() ?? 0
        #expect(zip(original, found).allSatisfy { abs($0 - $1) <= largest / 127 }, "\(tensor.name)")
        guard let matrix = matrices[tensor.name] else { continue }
        #expect(try read.info(tensor.name).typeName == "Q8_0")
        var values = [Float](repeating: 0, count: matrix.count)
        values.withUnsafeMutableBufferPointer {
          if let start = $0.baseAddress { matrix.decode(row: 0, count: matrix.count, into: start) }
        }
        let expected =
          tensor.orientation == .inputsByOutputs && tensor.role.isBlockMatrix
          ? transposed(found, tensor.shape) : found
        #expect(values == expected, "\(tensor.name)")
      }
    }
  }

  private func transposed(_ values: [Float], _ shape: [Int]) -> [Float] {
    (0..<values.count).map { values[$0 % shape[0] * shape[1] + $0 / shape[0]] }
  }

  @Test func `16 bits are read in 16 bits, with rows in the model's order`() throws {
    for name in ["llama3-bf16-tiny", "qwen3-bf16-tiny"] {
      try withExport(Case(model: name), .bf16) { own, read in
        for tensor in own.configuration.expectedTensors where tensor.role.isBlockMatrix {
          let expected = try own.halves(tensor)
          let found = try read.halves(tensor)
          let count = tensor.shape.reduce(1, *)
          #expect(try read.info(tensor.name).isHalf)
          let isEqual = (0..<count).allSatisfy { expected?.pointer[$0] == found?.pointer[$0] }
          #expect(found?.dtype == .bf16 && isEqual, "\(tensor.name)")
        }
        #expect(try read.baseDigest(threads: 2) == own.baseDigest(threads: 2))
      }
    }
  }

  @Test func `GPT-2's 16 bits are read where they lie`() throws {
    try withExport(Case(model: "gpt2-tiny"), .f16) { own, read in
      for tensor in read.configuration.expectedTensors where tensor.role.isBlockMatrix {
        let found = try #require(try read.halves(tensor))
        let values = try read.tensor(tensor.name, shape: tensor.shape).array
        let expected = transposed(values, tensor.shape).map { Float16($0).bitPattern }
        #expect(
          found.shape == tensor.shape.reversed()
            && (0..<expected.count).allSatisfy { found.pointer[$0] == expected[$0] })
        #expect(try !read.info(tensor.name).isCopied)
      }
    }
  }

  @Test func `what llama.cpp has no windows for is read as it was written`() throws {
    try withExport(Case(model: "mistral-tiny"), .f32) { own, read in
      #expect(read.configuration.architecture == .llama)
      #expect(read.configuration.contextLength == own.configuration.blocks.compactMap(\.window).min())
      #expect(read.configuration.blocks.allSatisfy { $0.window == nil })
      let digests = (try read.baseDigest(threads: 2), try own.baseDigest(threads: 2))
      #expect(digests.0 == digests.1)
    }
  }

  @Test func `a file is found by its path and told apart by its name`() throws {
    try GGUFFolder.exporting(fixturesFolder + "/qwen2-tiny/model") { export in
      let path = export.path + "/" + export.report.file
      #expect(try ModelFolder.resolve(path) == path)
      let checkpoint = try ModelCheckpoint(folder: path)
      #expect(try checkpoint.storedName("model.layers.0.self_attn.q_proj.weight") == "blk.0.attn_q.weight")
      #expect(try checkpoint.path(of: "model.norm.weight") == path)
      #expect(throws: SFTError.self) { try checkpoint.weights }
      #expect(throws: SFTError.self) { try checkpoint.tensor("model.norm.weight", shape: [3]) }
      #expect(throws: SFTError.self) { try checkpoint.tensor("nothing", shape: [3]) }
    }
  }
}
