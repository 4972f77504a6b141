import Core
import Exporting
import Files
import GGUF
import JSON
import Models
import TestSupport
import Testing
import Weights

/// What the reference files do not show: types of odd rows, untied heads, windows, names, the Modelfile.
@Suite struct GGUFExportTests {
  @Test func `rows that are no whole blocks are in half precision`() throws {
    for dtype in [GGUFWeightType.q8_0, .q4_0] {
      try GGUFFolder.exporting(fixturesFolder + "/gpt2-odd/model", dtype: dtype) { export in
        let file = try export.file()
        // Rows of 60, and of 240.
        #expect(file.info("token_embd.weight")?.type == .f16)
        #expect(file.info("blk.0.attn_qkv.weight")?.type == .f16)
        #expect(file.info("position_embd.weight")?.type == .f32)
        #expect(export.report.halved.count == 9)
        #expect(export.report.halved.contains("blk.1.ffn_down.weight"))
      }
    }
  }

  @Test func `in a file of 4 bits the head has 8`() throws {
    let tied: [(String, GGUFType)] = [("token_embd.weight", .q8_0), ("blk.0.attn_q.weight", .q4_0)]
    let own: [(String, GGUFType)] = [("token_embd.weight", .q4_0), ("output.weight", .q8_0)]
    for (name, types) in [("qwen2-tiny", tied), ("llama3-tiny", own)] {
      try GGUFFolder.exporting(fixturesFolder + "/\(name)/model", dtype: .q4_0) { export in
        let file = try export.file()
        for (tensor, type) in types { #expect(file.info(tensor)?.type == type, "\(name) \(tensor)") }
        #expect(file.metadata["general.file_type"] == .uint32(2))
        #expect(export.report.halved.isEmpty)
      }
    }
  }

  @Test func `a merged adapter may give a tied head weights of its own`() throws {
    let base = fixturesFolder + "/qwen2-tiny/model"
    let adapter = fixturesFolder + "/ends/modules-qwen2-tiny/adapter"
    let decoder = try Decoder(ModelCheckpoint(folder: base))
    let read = try AdapterFolder.read(adapter, for: decoder)
    try GGUFFolder.exporting(base, adapter: adapter) { export in
      let file = try export.file()
      #expect(try file.floats("output.weight") == decoder.head(with: read).array)
      #expect(
        try file.floats("token_embd.weight")
          == decoder.replacedTensor("model.embed_tokens.weight", with: read)?.array)
    }
  }

  @Test func `a tied OLMo 2 holds its head, which llama.cpp asks for`() throws {
    try GGUFFolder.edited("olmo2-tiny", [("tie_word_embeddings", .bool(true))]) { folder in
      try GGUFFolder.exporting(folder) { export in
        let file = try export.file()
        #expect(try file.floats("output.weight") == file.floats("token_embd.weight"))
      }
    }
  }

  @Test func `a merged weight has its rows where llama.cpp rotates them`() throws {
    let reference = try ReferenceCase("llama3-tiny")
    let decoder = try Decoder(ModelCheckpoint(folder: reference.model))
    let adapter = try AdapterFolder.read(reference.adapter, for: decoder)
    try GGUFFolder.exporting(reference.model, adapter: reference.adapter) { export in
      let file = try export.file()
      for (linear, heads) in [("q", 4), ("k", 2), ("v", nil)] as [(String, Int?)] {
        let index = try #require(decoder.linears.firstIndex { $0.name.hasSuffix("layers.1.self_attn.\(linear)_proj") })
        let merged = decoder.mergedWeight(of: index, with: adapter, threads: 1).array
        let expected = heads.map { interleaved(merged, heads: $0, width: 64) } ?? merged
        #expect(try file.floats("blk.1.attn_\(linear).weight") == expected)
      }
    }
  }

  /// Halves of a head become every other row.
  private func interleaved(_ values: [Float], heads: Int, width: Int) -> [Float] {
    let half = values.count / width / heads / 2
    return (0..<heads).flatMap { head in
      (0..<half).flatMap { pair in
        [0, half].flatMap { offset -> ArraySlice<Float> in
          let row = head * 2 * half + offset + pair
          return values[row * width..<(row + 1) * width]
        }
      }
    }
  }

  @Test func `B's rows change places as the weight's, and rsLoRA's scale is in alpha`() throws {
    let decoder = try Decoder(ModelCheckpoint(folder: fixturesFolder + "/llama3-tiny/model"))
    let adapter = try Adapter(
      LoRAConfiguration(rank: 4, alpha: 6, rankStabilized: true, targets: ["q_proj", "v_proj"]), for: decoder)
    for index in 0..<adapter.count { adapter.parameters.pointer[index] = Float(index % 251) / 8 }
    try withTemporaryFolder { folder in
      let report = try exportGGUFAdapter(
        adapter, for: decoder, base: "llama3", dtype: .f16, name: "my adapter", to: folder + "/out")
      #expect(report.file == "my-adapter.gguf")
      #expect(
        String(decoding: try readFile(folder + "/out/Modelfile"), as: UTF8.self)
          == "FROM llama3\nADAPTER ./my-adapter.gguf\n")
      let file = try GGUFFile(folder + "/out/" + report.file)
      #expect(file.metadata["adapter.lora.alpha"] == .float32(12))
      #expect(file.metadata["general.type"] == .string("adapter"))
      #expect(file.info("blk.0.attn_q.weight.lora_a")?.shape == [4, 64])
      #expect(file.info("blk.0.attn_q.weight.lora_b")?.shape == [64, 4])
      #expect(file.info("blk.0.attn_v.weight.lora_b")?.type == .f16)
      let pair = try #require(adapter.pairs.first)
      let b = Array(UnsafeBufferPointer(start: adapter.parameters.pointer + pair.bOffset, count: 64 * 4))
      #expect(try file.floats("blk.0.attn_q.weight.lora_b") == interleaved(b, heads: 4, width: 4))
    }
  }

  /// llama.cpp's converter gets these wrong: the linears are stored [in, out], A and B are not.
  @Test func `A and B of GPT-2's linears are as PEFT has them`() throws {
    let reference = try ReferenceCase("gpt2-tiny")
    let decoder = try Decoder(ModelCheckpoint(folder: reference.model))
    let adapter = try AdapterFolder.read(reference.adapter, for: decoder)
    try withTemporaryFolder { folder in
      let report = try exportGGUFAdapter(
        adapter, for: decoder, base: "gpt2", dtype: .f32, name: "a", to: folder + "/out")
      let file = try GGUFFile(folder + "/out/" + report.file)
      #expect(file.tensors.count == 2 * adapter.pairs.count)
      #expect(file.info("blk.2.attn_qkv.weight.lora_b")?.shape == [192, 8])
      let tensor = try #require(adapter.tensors.first { $0.name.hasSuffix("h.1.mlp.c_proj.lora_A.weight") })
      #expect(file.info("blk.1.ffn_down.weight.lora_a")?.shape == [8, 256])
      #expect(try file.floats("blk.1.ffn_down.weight.lora_a") == Array(adapter.values(tensor)))
    }
  }

  @Test func `a window that llama.cpp does not know of makes the context short`() throws {
    try GGUFFolder.exporting(fixturesFolder + "/mistral-tiny/model") { export in
      let metadata = try export.file().metadata
      #expect(metadata["llama.context_length"] == .uint32(24))
      #expect(export.report.remarks.contains { $0.contains("no sliding windows for llama") })
    }
  }

  @Test func `layers that slide in llama.cpp's own order are not listed`() throws {
    let types: [JSONValue] = ["sliding", "sliding", "full"].map { .string($0 + "_attention") }
    let scalar: (String, JSONValue) = ("query_pre_attn_scalar", .integer(16))
    try GGUFFolder.edited("gemma3-tiny", [scalar, ("layer_types", .array(types))]) { folder in
      try GGUFFolder.exporting(folder) { export in
        let metadata = try export.file().metadata
        #expect(metadata["gemma3.attention.sliding_window"] == .uint32(24))
        #expect(
          metadata["gemma3.attention.sliding_window_pattern"] == .array(.bools([true, true, false])))
        #expect(metadata["gemma3.rope.freq_base_swa"] == .float32(100))
        #expect(metadata["gemma3.rope.scaling.factor"] == .float32(4))
      }
    }
  }

  @Test func `the Modelfile names the file and what ends an answer`() throws {
    try GGUFFolder.exporting(
      fixturesFolder + "/llama3-tiny/model", name: "../My Model/1", template: "{{ messages }}"
    ) { export in
      #expect(export.report.file == "My-Model-1.gguf")
      let ends = try export.modelfile.split(separator: "\n")
      #expect(ends.first == "FROM ./My-Model-1.gguf")
      #expect(ends.dropFirst().allSatisfy { $0.hasPrefix("PARAMETER stop \"") })
      #expect(ends.count > 1)
      let metadata = try export.file().metadata
      #expect(metadata["tokenizer.chat_template"] == .string("{{ messages }}"))
      #expect(metadata["general.name"] == .string("../My Model/1"))
    }
  }

  /// llama.cpp goes by the name for how Phi-3's special tokens are found, and does not load another vocabulary under it.
  @Test func `a name with Phi-3 in it is kept from models that are not`() throws {
    for (name, expected) in [("my-Phi-3-tune", "my-Phi 3-tune"), ("phi3", "phi 3"), ("phi-4", "phi-4")] {
      try GGUFFolder.exporting(fixturesFolder + "/qwen2-tiny/model", name: name) { export in
        let metadata = try export.file().metadata
        #expect(metadata["general.name"] == .string(expected))
      }
    }
  }
}
