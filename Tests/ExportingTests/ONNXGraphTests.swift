import Exporting
import Files
import JSON
import Models
import ONNX
import SwiftProtobuf
import TestSupport
import Testing
import Weights

/// The graphs of an ONNX export: their numbers are compared with transformers' by `check_onnx.py`, which needs ONNX Runtime; what
/// it found right is held on to here.
@Suite struct ONNXGraphTests {
  /// Digests of all nodes without and with a cache. Where a graph is changed, run `check_onnx.py` before the new ones are
  /// entered.
  static let digests: [Architecture: [String]] = [
    .gpt2: ["941356cece37", "2763f5428e02"],
    .llama: ["b668f6ec9076", "0119c9cf0488"],
    .mistral: ["507018718d13", "9961cd2d4b79"],
    .qwen2: ["2ad3f3e3c823", "f489a51c7b18"],
    .qwen3: ["b16b7607d424", "349c048cb611"],
    .smollm3: ["f4dfe04138e4", "e3dd8043c131"],
    .olmo2: ["be2a3e8490f8", "ecbf94bb950b"],
    .granite: ["f370038b3058", "750f4e346b5f"],
    .hyperclovax: ["af8f641687b9", "11df9ce4c391"],
    .phi3: ["cb0343de4f59", "50d0511f51ce"],
    .gemma: ["4cd39b9491ad", "8d5de4c2f41e"],
    .gemma2: ["cc8733aaca2b", "7da9bfca99ec"],
    .gemma3Text: ["8a9c5031d494", "7e4b6bd7f128"],
    .gemma3: ["308857b0c22a", "b513df3d2690"],
    .exaone: ["4d650e791b8a", "ceb662119554"],
    .exaone4: ["165907b01991", "2eb65ee16980"],
  ]

  @Test(arguments: Architecture.allCases) func `the nodes of a family's graphs are those that were checked`(
    _ family: Architecture
  ) throws {
    try ONNXFolder.exporting(RandomModel(family)) { folder in
      #expect([folder.plain.graph.nodeDigest, folder.cached.graph.nodeDigest] == Self.digests[family])
    }
  }

  @Test(arguments: Architecture.allCases) func `inputs and outputs are those that other tools know`(
    _ family: Architecture
  ) throws {
    let model = RandomModel(family)
    let configuration = try model.decoder().configuration
    let (heads, width) = (configuration.keyValueHeads, configuration.headWidth)
    func pairs(_ prefix: String, _ length: String) -> [String] {
      (0..<model.layers).flatMap { layer in
        ["key", "value"].map { "\(prefix).\(layer).\($0): float [batch, \(heads), \(length), \(width)]" }
      }
    }
    try ONNXFolder.exporting(model) { folder in
      #expect(
        folder.plain.graph.input.map(\.text) == [
          "input_ids: int64 [batch, sequence]", "attention_mask: int64 [batch, sequence]",
        ])
      #expect(folder.plain.graph.output.map(\.text) == ["logits: float [batch, sequence, 61]"])
      #expect(
        folder.cached.graph.input.map(\.text) == [
          "input_ids: int64 [batch, sequence]", "attention_mask: int64 [batch, total]",
          "position_ids: int64 [batch, sequence]",
        ] + pairs("past_key_values", "past"))
      #expect(
        folder.cached.graph.output.map(\.text)
          == ["logits: float [batch, sequence, 61]"] + pairs("present", "total"))
      for model in [folder.plain, folder.cached] {
        #expect(model.irVersion == 8 && model.opsetImport.map(\.version) == [17])
        #expect(model.metadataProps.map(\.value) == [family.rawValue])
      }
    }
  }

  @Test(arguments: Architecture.allCases) func `weights are the model's own, each once`(
    _ family: Architecture
  ) throws {
    for isTied in [true, false] {
      var model = RandomModel(family)
      model.tiedHead = isTied
      let expected = try model.decoder().configuration.expectedTensors
      try ONNXFolder.exporting(model) { folder in
        for graph in [folder.plain.graph, folder.cached.graph] {
          let weights = graph.weights(Set(expected.map(\.name)))
          #expect(weights.map(\.name) == expected.map(\.name))
          #expect(weights.map { $0.dims.map(Int.init) } == expected.map(\.shape))
          #expect(weights.allSatisfy { $0.dataType == 1 && $0.rawData.count == 4 * $0.dims.reduce(1, *) })
          // No weight is left out of the computation, and nothing else is large.
          let used = Set(graph.node.flatMap(\.input))
          #expect(graph.initializer.allSatisfy { used.contains($0.name) })
          #expect(graph.initializer.count { $0.dims.count > 1 } == expected.count { $0.shape.count > 1 })
        }
      }
    }
  }

  @Test(arguments: Architecture.allCases) func `rotations have the configuration's frequencies`(
    _ family: Architecture
  ) throws {
    let model = RandomModel(family)
    let configuration = try model.decoder().configuration
    try ONNXFolder.exporting(model) { folder in
      let constants = Dictionary(uniqueKeysWithValues: folder.cached.graph.initializer.map { ($0.name, $0) })
      for number in Set(configuration.blocks.compactMap(\.rotary)) {
        let bytes = configuration.rotaries[number].frequencies.withUnsafeBytes { Array($0) }
        #expect(constants["rotary.\(number).frequencies"].map { Array($0.rawData) } == bytes)
      }
    }
  }

  /// A node's inputs are there before it, and no name is given twice, as the format demands.
  @Test(arguments: Architecture.allCases) func `nodes stand in an order in which they can be run`(
    _ family: Architecture
  ) throws {
    try ONNXFolder.exporting(RandomModel(family)) { folder in
      for graph in [folder.plain.graph, folder.cached.graph] {
        var known = Set(graph.input.map(\.name) + graph.initializer.map(\.name))
        #expect(known.count == graph.input.count + graph.initializer.count)
        for node in graph.node {
          #expect(node.input.allSatisfy { known.contains($0) })
          for output in node.output { #expect(known.insert(output).inserted) }
        }
        #expect(graph.output.allSatisfy { known.contains($0.name) })
        #expect(Set(graph.node.map(\.name)).count == graph.node.count)
      }
    }
  }

  @Test func `LongRoPE chooses by each sequence's length, and refuses a cache of another length`() throws {
    try withTemporaryFolder { folder in
      let config = try #require(parseJSONFile(fixturesFolder + "/longrope.json")["config"]).serialized
      try writeAtomically(config, to: folder + "/config.json")
      try copyFile(ReferenceCase("phi3-tiny").model + "/model.safetensors", to: folder + "/model.safetensors")
      try ONNXFolder.exporting(folder) { folder in
        let guards = [folder.plain, folder.cached].map { model in
          model.graph.node.map(\.name).filter { $0.contains("start_over_with_an_empty_cache") }
        }
        #expect(
          guards == [[], ["inputs/start_over_with_an_empty_cache_where_a_sequence_grows_beyond_20_tokens"]])
        for graph in [folder.plain.graph, folder.cached.graph] {
          #expect(graph.initializer.filter { $0.name == "rotary.0.long_frequencies" }.map(\.dims) == [[8]])
          #expect(graph.node.count { $0.name == "rotary.0/Where" } == 1)
        }
      }
    }
  }
}
