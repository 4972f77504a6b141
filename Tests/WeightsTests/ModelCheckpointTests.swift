import Core
import Files
import Testing
import Weights

@Suite struct ModelCheckpointTests {
  private func digest(_ folder: TemporaryFolder, threads: Int = 2) throws -> Digest {
    try ModelCheckpoint(folder: folder.path).baseDigest(threads: threads)
  }

  private func refused(
    _ tensors: [TensorOutput], configuration: String = tinyConfigurationText, _ part: String,
    location: SourceLocation = #_sourceLocation
  ) throws {
    let folder = try modelFolder(tensors, configuration: configuration)
    let error = failure { _ = try ModelCheckpoint(folder: folder.path) }
    #expect(error?.kind == .badData, sourceLocation: location)
    #expect(error?.message.contains(part) == true, "\(String(describing: error))", sourceLocation: location)
  }

  @Test func tensorsByCanonicalNameInBothLayouts() throws {
    for rename in [{ $0 }, withoutPrefix] {
      let folder = try modelFolder(outputs(rename))
      let checkpoint = try ModelCheckpoint(folder: folder.path)
      for (name, shape, values) in tinyTensors() {
        let tensor = try checkpoint.tensor(name, shape: shape)
        #expect(tensor.array == values)
        #expect(tensor.isView)
      }
      #expect(checkpoint.ignored == [])
      #expect(failure { _ = try checkpoint.tensor("nothing", shape: [1]) }?.message.contains("'nothing'") == true)
      let wrong = failure { _ = try checkpoint.tensor("transformer.ln_f.bias", shape: [7]) }
      #expect(wrong?.message.contains("expected shape [7], found [6]") == true)
    }
  }

  /// Layouts, stored buffers, a stored tied head, whatever it holds, and float types leave the digest alone.
  @Test func digestIsOfTheModelNotOfTheFiles() throws {
    let expected = try digest(modelFolder(outputs()))
    let buffers =
      outputs(withoutPrefix) + [
        TensorOutput("h.0.attn.bias", [1, 1, 2, 2], [1, 0, 1, 1]), TensorOutput("h.1.attn.masked_bias", [], [-1e4]),
        TensorOutput("lm_head.weight", [11, 6], values(66, seed: 99)),
      ]
    let folder = try modelFolder(buffers)
    #expect(
      try ModelCheckpoint(folder: folder.path).ignored
        == ["h.0.attn.bias", "h.1.attn.masked_bias", "lm_head.weight"])
    #expect(try digest(folder) == expected)
    let brain = tinyTensors().map { tensor in
      TensorOutput(tensor.name, .bf16, tensor.shape) { sink in
        try tensor.2.flatMap { littleEndian(UInt16($0.bitPattern >> 16)) }.withUnsafeBytes { try sink($0) }
      }
    }
    #expect(try digest(modelFolder(brain)) == expected)
    #expect(try digest(modelFolder(outputs()), threads: 1) == expected)
  }

  @Test func digestChangesWithOneBit() throws {
    let expected = try digest(modelFolder(outputs()))
    for changed in [0, 5, tinyTensors().count - 1] {
      let tensors = tinyTensors().enumerated().map { index, tensor in
        var values = tensor.2
        if index == changed, let last = values.last { values[values.count - 1] = last.nextUp }
        return TensorOutput(tensor.name, tensor.shape, values)
      }
      #expect(try digest(modelFolder(tensors)) != expected)
    }
  }

  @Test func untiedHead() throws {
    let untied = tinyConfigurationText.dropLast() + ", \"tie_word_embeddings\": false}"
    try refused(outputs(), configuration: String(untied), "lack 1 of 29 tensors: 'lm_head.weight'")
    let head = values(66, seed: 7)
    let folder = try modelFolder(
      outputs() + [TensorOutput("lm_head.weight", [11, 6], head)], configuration: String(untied))
    let checkpoint = try ModelCheckpoint(folder: folder.path)
    #expect(!checkpoint.configuration.tiedHead)
    #expect(try checkpoint.tensor("lm_head.weight", shape: [11, 6]).array == head)
    #expect(try digest(folder) != digest(modelFolder(outputs())))
  }

  @Test func missingUnexpectedAndMisshapenTensors() throws {
    let all = outputs()
    try refused(
      all.filter { !$0.name.hasSuffix("c_fc.bias") },
      "lack 2 of 28 tensors: 'transformer.h.0.mlp.c_fc.bias', 'transformer.h.1.mlp.c_fc.bias'")
    try refused(Array(all.dropFirst(20)), "lack 20 of 28 tensors: ")
    try refused(all + [TensorOutput("score.weight", [2], [1, 2])], "have 1 tensor that a gpt2 of this")
    try refused(
      all + [TensorOutput("h.2.ln_1.bias", [6], values(6, seed: 1))], "'h.2.ln_1.bias'")
    try refused(all + [TensorOutput("ln_f.bias", [6], values(6, seed: 1))], "are the same one in two layouts")
    try refused(all + [TensorOutput("lm_head.weight", [1], [1])], "gives it shape [11, 6], found [1]")
    let transposed = all.map { tensor in
      var tensor = tensor
      if tensor.name == "transformer.h.1.attn.c_attn.weight" { tensor.shape = [18, 6] }
      return tensor
    }
    try refused(transposed, "tensor 'transformer.h.1.attn.c_attn.weight': config.json gives it shape [6, 18]")
    let integers = all.map { tensor in
      var tensor = tensor
      if tensor.name == "transformer.ln_f.bias" { tensor.dtype = .i32 }
      return tensor
    }
    try refused(integers, "tensor 'transformer.ln_f.bias': expected F32, F16, BF16 or F64, found I32")
  }

  @Test func identityFollowsTheFiles() throws {
    let folder = try modelFolder(outputs())
    let before = try ModelCheckpoint(folder: folder.path).identity
    #expect(try ModelCheckpoint(folder: folder.path).identity == before)
    try writeSafetensors(outputs(), to: folder.path + "/model.safetensors")
    #expect(try ModelCheckpoint(folder: folder.path).identity != before)
  }

  @Test func foldersWithoutWhatIsNeeded() throws {
    let folder = try TemporaryFolder()
    #expect(failure { _ = try ModelCheckpoint(folder: folder.path) }?.kind == .notFound)
    try folder.write("config.json", tinyConfigurationText)
    let none = failure { _ = try ModelCheckpoint(folder: folder.path) }
    #expect(none?.kind == .notFound)
    #expect(none?.message.contains("model.safetensors, model.safetensors.index.json and pytorch_model.bin") == true)
    try folder.write("pytorch_model.bin", "PK")
    let torch = failure { _ = try ModelCheckpoint(folder: folder.path) }
    #expect(torch?.kind == .badData)
    #expect(torch?.advice?.contains("safe_serialization=True") == true)
    try folder.write(
      "config.json", tinyConfigurationText.dropLast() + ",\"quantization_config\":{\"quant_method\":\"x\"}}")
    #expect(failure { _ = try ModelCheckpoint(folder: folder.path) }?.message.contains("'x'") == true)
  }
}
