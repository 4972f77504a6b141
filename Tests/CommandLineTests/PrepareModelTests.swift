import Core
import Files
import JSON
import Testing
import TestSupport

/// What `prepare` says of a model that could not be trained.
@Suite struct PrepareModelTests {
  /// Changes a copy of the tiny model, and expects `prepare` to refuse it as a verb that loads it does.
  private func refused(
    _ code: Int32, _ message: String, location: SourceLocation = #_sourceLocation,
    _ change: (_ sft: SFTBinary) throws -> Void
  ) throws {
    try withSFT { sft in
      try sft.copyModel(to: "m")
      try change(sft)
      let prepared = try sft.run("prepare", SFTBinary.records, "--model", "m", "--quiet")
      #expect(prepared.code == code, sourceLocation: location)
      #expect(prepared.errors.contains(message), "\(prepared.errors)", sourceLocation: location)
      #expect(prepared.output == "", sourceLocation: location)
      #expect(try !fileExists(sft.path(".sft/latest/prepared")), sourceLocation: location)
      let loaded = try sft.run("generate", "--model", "m", "--prompt", "a", "--quiet")
      #expect(loaded.code == code, sourceLocation: location)
      #expect(loaded.errors == prepared.errors, sourceLocation: location)
    }
  }

  private static let weights = "m/model.safetensors"

  @Test func withoutWeights() throws {
    try refused(66, "the folder has no weights") { try removeTree($0.path(Self.weights)) }
  }

  @Test func withWeightsInPyTorchsFormat() throws {
    try refused(65, "pytorch_model.bin") { sft in
      try removeTree(sft.path(Self.weights))
      try sft.write("x", to: "m/pytorch_model.bin")
    }
  }

  @Test func withWeightsThatAreCutShort() throws {
    try refused(65, "of the data, which has only") { sft in
      let whole = try readFile(sft.path(Self.weights))
      try writeAtomically(Array(whole.prefix(whole.count - 100)), to: sft.path(Self.weights))
    }
  }

  @Test func withEmptyWeights() throws {
    try refused(65, "is 0 bytes long: too short for a safetensors file") { try $0.write("", to: Self.weights) }
  }

  @Test func withWeightsThatAreSomethingElse() throws {
    try refused(65, "the safetensors header claims") { sft in
      try sft.write(String(repeating: "noise ", count: 1000), to: Self.weights)
    }
  }

  @Test func withAConfigurationThatTheWeightsContradict() throws {
    try refused(65, "config.json gives it shape") { sft in
      var object = try #require(try parseJSONFile(sft.path("m/config.json")).object)
      let width = try #require(object["n_embd"]?.int)
      object.members = object.members.map { $0.key == "n_embd" ? ($0.key, .integer(2 * width)) : $0 }
      try sft.write(JSONValue.object(object).serialized, to: "m/config.json")
    }
  }

  @Test func withATokenizerThatIsTooLarge() throws {
    try refused(65, "the model's vocab_size is") { sft in
      let name = "m/tokenizer_config.json"
      var object = try #require(try parseJSONFile(sft.path(name)).object)
      let token = JSONValue.object(JSONObject([("content", .string("<|more|>")), ("special", .bool(true))]))
      object.members = object.members.filter { $0.key != "added_tokens_decoder" }
      let beyond = try #require(try parseJSONFile(sft.path("m/config.json"))["vocab_size"]?.int)
      object.members.append(("added_tokens_decoder", .object(JSONObject([("\(beyond)", token)]))))
      try sft.write(JSONValue.object(object).serialized, to: name)
    }
  }

  @Test func aFileInPlaceOfTheFolder() throws {
    try withSFT { sft in
      try sft.copyModel(to: "m")
      try sft.fail(
        66,
        "m/model.safetensors: is neither a folder with config.json and model.safetensors in it nor a GGUF file. Give the "
          + "folder that it is in: m.", "prepare", SFTBinary.records, "--model", "m/model.safetensors")
    }
  }
}
