import Core
import Exporting
import Files
import GGUF
import JSON
import Models
import TestSupport
import Testing
import Weights

/// What is written against what llama.cpp's own converters make of the same models and adapters: see `make_gguf.py`.
@Suite struct GGUFReferenceTests {
  struct Case: Sendable, CustomStringConvertible {
    let value: JSONValue

    var name: String { value["case"]?.string ?? "" }
    var dtype: GGUFWeightType { GGUFWeightType(rawValue: value["dtype"]?.string ?? "") ?? .f32 }
    var edits: [(String, JSONValue)] { value["edits"]?.object?.members.map { ($0.key, $0.value) } ?? [] }
    var description: String { "\(name) \(dtype) \(edits.map(\.0))" }

    static func all(_ key: String) -> [Case] {
      let file = parentPath(#filePath) + "/gguf.json"
      return ((try? parseJSONFile(file))?[key]?.array ?? []).map { Case(value: $0) }
    }
  }

  static let models = Case.all("models")
  static let adapters = Case.all("adapters")

  /// Keys that llama.cpp's converter writes and that say nothing: who adds no separator, and a token that a byte-level
  /// tokenizer has no use for.
  static let idle: Set<String> = ["tokenizer.ggml.add_sep_token", "tokenizer.ggml.unknown_token_id"]

  @Test func `there are cases`() {
    #expect(Self.models.count == 17)
    #expect(Self.adapters.count == 3)
  }

  @Test(arguments: models) func `keys and tensors of a model are those of llama.cpp's converter`(_ model: Case) throws {
    try GGUFFolder.edited(model.name, model.edits) { folder in
      try GGUFFolder.exporting(folder, dtype: model.dtype) { export in
        let file = try export.file()
        try compareMetadata(file, model)
        try compareTensors(file, model)
      }
    }
  }

  @Test(arguments: adapters) func `keys and tensors of an adapter are those of llama.cpp's converter`(
    _ adapter: Case
  ) throws {
    let reference = try ReferenceCase(adapter.name)
    let decoder = try Decoder(ModelCheckpoint(folder: reference.model))
    let read = try AdapterFolder.read(reference.adapter, for: decoder)
    try withTemporaryFolder { folder in
      let report = try exportGGUFAdapter(
        read, for: decoder, base: "./base.gguf", dtype: .f32, name: "adapter", to: folder + "/out")
      let file = try GGUFFile(folder + "/out/" + report.file)
      try compareMetadata(file, adapter)
      try compareTensors(file, adapter)
    }
  }

  private func compareMetadata(_ file: GGUFFile, _ expected: Case) throws {
    let members = expected.value["metadata"]?.object?.members ?? []
    #expect(!members.isEmpty)
    for (key, value) in members where !Self.idle.contains(key) {
      // llama.cpp computes no windows there, so the context is made as short as they are.
      if key.hasSuffix(".context_length"), ["mistral-tiny", "phi3-tiny"].contains(expected.name) { continue }
      // Which is 0 for none.
      if key == "phi3.attention.sliding_window" { continue }
      // That of the model's files where nothing is scaled.
      if key == "phi3.rope.scaling.original_context_length", expected.edits.isEmpty { continue }
      // The vocabulary's own, or that of its name.
      if key == "tokenizer.ggml.padding_token_id", file.metadata[key] == nil { continue }
      let own = file.metadata[key]?.reference
      if let number = value.double, let ownNumber = own?.double {
        #expect(relativeError(ownNumber, number) < 1e-7 || ownNumber == number, "\(key): \(ownNumber), \(number)")
      } else {
        #expect(own == value, "\(key)")
      }
    }
  }

  private func compareTensors(_ file: GGUFFile, _ expected: Case) throws {
    let members = expected.value["tensors"]?.object?.members ?? []
    #expect(Set(file.tensors.map(\.name)) == Set(members.map(\.key)))
    for (name, entry) in members {
      let info = try #require(file.info(name))
      #expect(info.type.name == entry[0]?.string, "\(name)")
      #expect(info.shape == entry[1]?.array?.compactMap(\.int), "\(name)")
      if let factors = entry[3]?.array?.compactMap(\.double) {
        for (own, factor) in zip(try file.floats(name), factors) { #expect(relativeError(Double(own), factor) < 1e-6) }
      } else {
        #expect(Digest(of: file.bytes(info)).short == entry[2]?.string, "\(name)")
      }
    }
  }
}

extension JSONValue {
  fileprivate subscript(index: Int) -> JSONValue? {
    guard let array, array.indices.contains(index) else { return nil }
    return array[index]
  }
}
