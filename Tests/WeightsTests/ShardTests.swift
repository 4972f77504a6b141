import Core
import Files
import Testing
import Weights

@Suite struct ShardTests {
  private static let first = "model-00001-of-00002.safetensors"
  private static let second = "model-00002-of-00002.safetensors"

  /// The tiny model in two shards, and an index built from `map`, which may be changed before it is written.
  private func sharded(_ change: (inout [String: String]) -> Void = { _ in }) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try folder.write("config.json", tinyConfigurationText)
    let tensors = outputs()
    try writeSafetensors(Array(tensors[..<9]), to: folder.path + "/" + Self.first)
    try writeSafetensors(Array(tensors[9...]), to: folder.path + "/" + Self.second)
    var map: [String: String] = [:]
    for (index, tensor) in tensors.enumerated() { map[tensor.name] = index < 9 ? Self.first : Self.second }
    change(&map)
    let entries = map.sorted { $0.key < $1.key }.map { "\"\($0.key)\": \"\($0.value)\"" }.joined(separator: ",")
    try folder.write(
      "model.safetensors.index.json", "{\"metadata\": {\"total_size\": 1}, \"weight_map\": {\(entries)}}")
    return folder
  }

  private func refused(
    _ kind: SFTError.Kind, _ part: String, location: SourceLocation = #_sourceLocation,
    _ change: (inout [String: String]) -> Void
  ) throws {
    let folder = try sharded(change)
    let error = failure { _ = try WeightFiles(folder: folder.path) }
    #expect(error?.kind == kind, sourceLocation: location)
    #expect(error?.message.contains(part) == true, "\(String(describing: error))", sourceLocation: location)
  }

  @Test func shardsGiveTheSameModelAsOneFile() throws {
    let folder = try sharded()
    let checkpoint = try ModelCheckpoint(folder: folder.path)
    #expect(try checkpoint.weights.files.count == 2)
    let whole = try modelFolder(outputs())
    let expected = try ModelCheckpoint(folder: whole.path).baseDigest(threads: 1)
    #expect(try checkpoint.baseDigest(threads: 2) == expected)
  }

  @Test(arguments: [
    "../x.safetensors", "/etc/x.safetensors", "..", ".", "", "a/b.safetensors", ".hidden.safetensors",
    "..\\\\x.safetensors", "model.bin", "x\\u0000.safetensors",
  ])
  func indexCannotLeadElsewhere(file: String) throws {
    try refused(.badData, "is not the name of a safetensors file in this folder") {
      $0["transformer.ln_f.bias"] = file
    }
  }

  @Test func indexThatDoesNotAgreeWithItsShards() throws {
    try refused(.notFound, "the shard 'model-00003.safetensors' is missing") {
      $0["transformer.ln_f.bias"] = "model-00003.safetensors"
    }
    try refused(.badData, "lists 1 tensor not to be found, first 'extra'") { $0["extra"] = Self.first }
    try refused(.badData, "tensor 'transformer.ln_f.bias' is here, but the index does not list it") {
      $0["transformer.ln_f.bias"] = nil
    }
    try refused(.badData, "tensor 'transformer.ln_f.bias' is here, but the index lists it in '\(Self.first)'") {
      $0["transformer.ln_f.bias"] = Self.first
    }
    try refused(.badData, "'weight_map' lists no tensors") { $0 = [:] }
  }

  @Test func tensorInTwoShards() throws {
    let folder = try sharded()
    try writeSafetensors(outputs(), to: folder.path + "/" + Self.second)
    let error = failure { _ = try WeightFiles(folder: folder.path) }
    #expect(error?.message.contains("is also in") == true)
  }

  @Test func indexThatIsNoIndex() throws {
    let folder = try TemporaryFolder()
    for text in ["{}", "[]", "{\"weight_map\": []}", "{\"weight_map\": {\"a\": 1}}", "{\"weight_map\": {}}", "{"] {
      try folder.write("model.safetensors.index.json", text)
      #expect(failure { _ = try WeightFiles(folder: folder.path) }?.kind == .badData)
    }
  }
}
