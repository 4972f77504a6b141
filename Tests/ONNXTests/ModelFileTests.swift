import Core
import Files
import ONNX
import SwiftProtobuf
import TestSupport
import Testing

/// Model files and the weights beside them.
@Suite struct ModelFileTests {
  /// Made by the onnx package: `Fixtures/make_linear.py`.
  private let reference = parentPath(#filePath) + "/Fixtures/linear.onnx"

  @Test func `a file holds what the onnx package writes`() throws {
    try withTemporaryFolder { folder in
      let path = folder + "/model.onnx"
      try writeModel(SmallModel.graph(), SmallModel.weights, metadata: ["model_type": "test"], to: path)
      let (own, theirs) = (try SmallModel.read(path), try SmallModel.read(reference))
      #expect(own.unknownFields.data.isEmpty && theirs.unknownFields.data.isEmpty)
      // The order of initializers means nothing.
      var (sorted, expected) = (own, theirs)
      sorted.graph.initializer.sort { $0.name < $1.name }
      expected.graph.initializer.sort { $0.name < $1.name }
      #expect(sorted == expected)
    }
  }

  @Test func `the same graph gives the same bytes`() throws {
    try withTemporaryFolder { folder in
      for name in ["/a", "/b"] {
        try writeModel(SmallModel.graph(), SmallModel.weights, metadata: ["x": "1", "a": "2"], to: folder + name)
      }
      #expect(try readFile(folder + "/a") == readFile(folder + "/b"))
    }
  }

  @Test func `long weights lie beside at multiples of the alignment, short ones inside`() throws {
    try withTemporaryFolder { folder in
      let long = SmallModel.given("long", [2, 8], (0..<16).map { Float($0) })
      let weights = SmallModel.weights + [long, SmallModel.given("last", [16], (0..<16).map { -Float($0) })]
      let external = try ExternalData(weights, writingTo: "data", in: folder, alignment: 64)
      var builder = GraphBuilder(name: "graph")
      for weight in weights { _ = builder.weight(weight.name, weight.shape) }
      let path = folder + "/model.onnx"
      try writeModel(builder.build(), weights, external: external, to: path)
      let tensors = try SmallModel.read(path).graph.initializer
      #expect(tensors.map(\.name) == ["w", "b", "long", "last"])
      #expect(tensors.map(\.dataLocation) == [.default, .default, .external, .external])
      #expect(tensors.map { $0.entry("offset") } == [nil, nil, "0", "64"])
      #expect(tensors.map { $0.entry("length") } == [nil, nil, "64", "64"])
      #expect(tensors.map { $0.entry("location") } == [nil, nil, "data", "data"])
      #expect(tensors.map(\.hasRawData) == [true, true, false, false])
      #expect(tensors.map(\.dims) == [[3, 2], [3], [2, 8], [16]])
      let bytes = try readFile(folder + "/data")
      #expect(bytes.count == 128)
      #expect(Array(bytes[4..<8]) == [0, 0, 0x80, 0x3f])
    }
  }

  @Test func `gaps before weights are filled`() throws {
    try withTemporaryFolder { folder in
      let weights = ["a", "b", "c"].map { SmallModel.given($0, [5], [1, 1, 1, 1, 1]) }
      let external = try ExternalData(weights, writingTo: "data", in: folder, alignment: 16)
      #expect(external.places == ["a": 0..<20, "b": 32..<52, "c": 64..<84])
      #expect(try readFile(folder + "/data")[20..<32].allSatisfy { $0 == 0 })
    }
  }

  @Test func `a weight that is not given, or otherwise than the graph has it, is refused`() throws {
    try withTemporaryFolder { folder in
      let path = folder + "/model.onnx"
      for weights in [
        [], [SmallModel.weights[0]], [SmallModel.weights[0], SmallModel.given("b", [1, 3], [1, 2, 3])],
      ] {
        let error = #expect(throws: SFTError.self) { try writeModel(SmallModel.graph(), weights, to: path) }
        #expect(error?.kind == .internalError && error?.message.contains("is not given") == true)
      }
      let short = [SmallModel.weights[0], SmallModel.given("b", [3], [1, 2])]
      let error = #expect(throws: SFTError.self) { try writeModel(SmallModel.graph(), short, to: path) }
      #expect(error?.message == "the weight 'b': expected 12 bytes, was given 8")
      try #expect(directoryEntries(folder).isEmpty)
    }
  }

  @Test func `a file of 2 GiB or more is refused before anything is written`() throws {
    try withTemporaryFolder { folder in
      var builder = GraphBuilder(name: "large")
      _ = builder.weight("w", [1 << 29])
      let weight = WeightValues("w", [1 << 29]) { _ in Issue.record("the values were asked for") }
      let error = #expect(throws: SFTError.self) {
        try writeModel(builder.build(), [weight], to: folder + "/model.onnx")
      }
      #expect(error?.kind == .badData)
      try #expect(directoryEntries(folder).isEmpty)
    }
  }

  @Test func `impossible shapes and equal names are refused`() throws {
    try withTemporaryFolder { folder in
      for shape in [[1 << 40, 1 << 40], [-1]] {
        #expect(throws: SFTError.self) {
          _ = try ExternalData([WeightValues("w", shape) { _ in }], writingTo: "data", in: folder)
        }
      }
      let twice = SmallModel.given("w", [4], [1, 2, 3, 4])
      #expect(throws: SFTError.self) {
        _ = try ExternalData([twice, twice], writingTo: "data", in: folder, alignment: 16)
      }
      try #expect(directoryEntries(folder).isEmpty)
    }
  }
}
