import Core
import Exporting
import Files
import Kernels
import JSON
import Models
import ONNX
import SwiftProtobuf
import TestSupport
import Testing
import Weights

/// Where the weights of an ONNX export are, what they are, and what lies beside the graphs.
@Suite struct ONNXWeightsTests {
  private let beside: ONNXLayout = {
    var layout = ONNXLayout()
    (layout.inlineLimit, layout.alignment) = (1000, 4096)
    return layout
  }()

  @Test(arguments: ["gpt2-tiny", "llama3-bf16-tiny", "gemma3-tiny"])
  func `weights are the checkpoint's in float32, inside or beside`(_ name: String) throws {
    let model = try ReferenceCase(name).model
    let checkpoint = try ModelCheckpoint(folder: model)
    for layout in [ONNXLayout(), beside] {
      try ONNXFolder.exporting(model, layout: layout) { folder in
        for graph in [folder.plain.graph, folder.cached.graph] {
          let tensors = Dictionary(uniqueKeysWithValues: graph.initializer.map { ($0.name, $0) })
          for tensor in checkpoint.configuration.expectedTensors {
            let values = try checkpoint.tensor(tensor.name, shape: tensor.shape).bytes
            try #expect(tensors[tensor.name]?.bytes(in: folder.path) == values)
          }
        }
      }
    }
  }

  @Test func `both graphs refer to one file of weights, at multiples of the alignment`() throws {
    try ONNXFolder.exporting(try ReferenceCase("qwen3-tiny").model, layout: beside) { folder in
      let files = try directoryEntries(folder.path).filter { $0.contains("onnx") }.sorted()
      #expect(files == ["model.onnx", "model.onnx_data", "model_no_cache.onnx"])
      let places = [folder.plain, folder.cached].map { model in
        model.graph.initializer.filter { $0.dataLocation == .external }.map {
          [$0.name, $0.entry("location"), $0.entry("offset"), $0.entry("length")]
        }
      }
      #expect(places[0] == places[1] && places[0].count > 20)
      let offsets = places[0].compactMap { $0[2].flatMap(Int.init) }
      #expect(offsets.count == places[0].count && offsets.allSatisfy { $0 % 4096 == 0 })
      #expect(offsets == offsets.sorted() && Set(offsets).count == offsets.count)
      // Vectors, which are short, stay inside.
      for tensor in folder.plain.graph.initializer {
        #expect((tensor.dataLocation == .external) == (tensor.dims.reduce(4, *) >= 4096))
      }
    }
  }

  @Test(arguments: ["gpt2-tiny", "llama3-bf16-tiny"])
  func `an adapter is merged in, turned as the files have it`(_ name: String) throws {
    let reference = try ReferenceCase(name)
    let decoder = try Decoder(ModelCheckpoint(folder: reference.model))
    let adapter = try AdapterFolder.read(reference.adapter, for: decoder)
    try ONNXFolder.exporting(reference.model, adapter: reference.adapter, layout: beside) { folder in
      let tensors = Dictionary(uniqueKeysWithValues: folder.plain.graph.initializer.map { ($0.name, $0) })
      for (index, linear) in decoder.linears.enumerated() {
        let merged = decoder.mergedWeight(of: index, with: adapter, threads: 1)
        try #expect(tensors[linear.weightName]?.bytes(in: folder.path) == merged.bytes)
      }
    }
  }

  @Test func `a head that the adapter unties from the embedding has a matrix of its own`() throws {
    let ends = try EndsCase("modules-gpt2-tiny")
    let model = ends.reference.model
    try ONNXFolder.exporting(model, adapter: ends.adapter) { folder in
      let configuration = try parseJSONFile(folder.path + "/config.json")
      #expect(configuration["tie_word_embeddings"] == .bool(false))
      for graph in [folder.plain.graph, folder.cached.graph] {
        #expect(graph.initializer.contains { $0.name == "lm_head.weight" })
        #expect(graph.node.last { $0.opType == "Gemm" }?.input.last == "lm_head.weight")
      }
    }
  }

  @Test func `configuration and tokenizer lie beside, and the configuration says float32`() throws {
    let model = try ReferenceCase("llama3-bf16-tiny").model
    let checkpoint = try ModelCheckpoint(folder: model)
    try withTemporaryFolder { folder in
      let target = folder + "/onnx"
      try createDirectory(target)
      try writeAtomically("left from before", to: target + "/old")
      try exportONNX(
        checkpoint, Decoder(checkpoint), adapter: nil, tokenizerFiles: [model + "/tokenizer.json"],
        turns: ExportedTurns(template: "{{ messages }}", end: nil, oldEnds: []), to: target, threads: 1)
      #expect(
        try directoryEntries(target).sorted() == [
          "chat_template.jinja", "config.json", "generation_config.json", "model.onnx", "model_no_cache.onnx",
          "tokenizer.json",
        ])
      let configuration = try parseJSONFile(target + "/config.json")
      #expect((configuration["dtype"] ?? configuration["torch_dtype"]) == .string("float32"))
    }
  }

  @Test func `a model that is stored in 4 bits is refused`() throws {
    let model = try ReferenceCase("llama3-tiny").model
    try withTemporaryFolder { folder in
      let source = try ModelCheckpoint(folder: model)
      try exportQuantized(
        source, source.quantizedLinears(), settings: .init(), skipped: [], tokenizerFiles: [], to: folder + "/nf4")
      let checkpoint = try ModelCheckpoint(folder: folder + "/nf4")
      let decoder = try Decoder(source)
      let error = #expect(throws: SFTError.self) {
        try exportONNX(checkpoint, decoder, adapter: nil, tokenizerFiles: [], to: folder + "/onnx", threads: 1)
      }
      #expect(error?.kind == .badData && error?.message.contains("4 bits") == true)
      #expect(try !fileExists(folder + "/onnx"))
    }
  }

  @Test func `linears of a decoder in 4 bits are merged as the files have them`() throws {
    let reference = try ReferenceCase("gpt2-tiny")
    let checkpoint = try ModelCheckpoint(folder: reference.model)
    let matrices = try checkpoint.quantizedLinears()
    let decoder = try Decoder(checkpoint, quantized: matrices)
    let adapter = try AdapterFolder.read(reference.adapter, for: decoder)
    try withTemporaryFolder { folder in
      let target = folder + "/onnx"
      try exportONNX(checkpoint, decoder, adapter: adapter, tokenizerFiles: [], to: target, threads: 1)
      let onnx = try ONNXFolder(target)
      let tensors = Dictionary(uniqueKeysWithValues: onnx.plain.graph.initializer.map { ($0.name, $0) })
      for (index, linear) in decoder.linears.enumerated() {
        let merged = decoder.mergedWeight(of: index, with: adapter, threads: 1)
        try #expect(tensors[linear.weightName]?.bytes(in: onnx.path) == merged.bytes)
        let (inputs, outputs) = (linear.inputWidth, linear.outputWidth)
        #expect(merged.shape == [inputs, outputs])
        let base = try #require(matrices[linear.weightName]).decoded(Compute()).array
        let delta = decoder.delta(of: index, with: adapter, threads: 1).array
        let expected = (0..<inputs * outputs).map {
          let place = $0 % outputs * inputs + $0 / outputs
          return base[place] + delta[place]
        }
        #expect(largestError(merged.array, expected) < 1e-6)
      }
    }
  }
}
