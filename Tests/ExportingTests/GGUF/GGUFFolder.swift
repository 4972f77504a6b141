import Core
import Exporting
import Files
import GGUF
import JSON
import Models
import Pipeline
import TestSupport
import Tokenizing
import Weights

/// A model's export as GGUF, read back.
struct GGUFFolder {
  let path: String
  let report: GGUFExportReport

  func file() throws -> GGUFFile { try GGUFFile(path + "/" + report.file) }

  var modelfile: String { get throws { String(decoding: try readFile(path + "/Modelfile"), as: UTF8.self) } }

  /// A reference case's model with `edits` in its `config.json`, in a folder of its own.
  static func edited<Result>(_ name: String, _ edits: [(String, JSONValue)], _ body: (String) throws -> Result) throws
    -> Result
  {
    let model = fixturesFolder + "/\(name)/model"
    return try withTemporaryFolder { folder in
      for entry in try directoryEntries(model) {
        try writeAtomically(readFile("\(model)/\(entry)"), to: "\(folder)/\(entry)")
      }
      var members = try parseJSONFile(folder + "/config.json").object?.members ?? []
      for (key, value) in edits {
        members.removeAll { $0.key == key }
        members.append((key, value))
      }
      try writeAtomically(JSONValue.object(JSONObject(members)).serialized, to: folder + "/config.json")
      return try body(folder)
    }
  }

  /// Exports a model folder with its own tokenizer, and hands what was written to `body`.
  static func exporting<Result>(
    _ model: String, adapter: String? = nil, dtype: GGUFWeightType = .f32, name: String = "model",
    template: String? = nil, _ body: (GGUFFolder) throws -> Result
  ) throws -> Result {
    let checkpoint = try ModelCheckpoint(folder: model)
    let decoder = try Decoder(checkpoint)
    let vocabulary = try GGUFVocabulary(
      folder: model, rows: checkpoint.configuration.vocabularySize, conversational: template != nil)
    return try withTemporaryFolder { folder in
      let report = try exportGGUF(
        checkpoint, decoder, adapter: try adapter.map { try AdapterFolder.read($0, for: decoder) },
        tokenizer: GGUFTokenizer(vocabulary, template: template), dtype: dtype, name: name, to: folder + "/gguf",
        threads: 2)
      return try body(GGUFFolder(path: folder + "/gguf", report: report))
    }
  }
}

extension GGUFValue {
  /// As the reference file has it: lists of more than 8 as their length and digest.
  var reference: JSONValue {
    switch self {
    case .uint32(let number): return .integer(Int(number))
    case .int32(let number): return .integer(Int(number))
    case .float32(let number): return .number(Double(number))
    case .bool(let flag): return .bool(flag)
    case .string(let text): return .string(text)
    case .array(let array):
      let values = array.reference
      guard values.count > 8 else { return .array(values) }
      let lines = values.map { $0.string ?? $0.int.map { "\($0)" } ?? "" }.joined(separator: "\n")
      let digest = Array(lines.utf8).withUnsafeBytes { Digest(of: $0) }
      return .object(JSONObject([("count", .integer(values.count)), ("digest", .string(digest.short))]))
    default: return .null
    }
  }
}

extension GGUFArray {
  fileprivate var reference: [JSONValue] {
    switch self {
    case .strings(let texts): texts.map { .string($0) }
    case .int32s(let numbers): numbers.map { .integer(Int($0)) }
    case .bools(let flags): flags.map { .bool($0) }
    case .float32s(let numbers): numbers.map { .number(Double($0)) }
    default: []
    }
  }
}
