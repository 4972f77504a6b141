import Core
import Files
import Glibc
import JSON

/// The reference cases, made with the Hugging Face stack: see `Tests/Fixtures/README.md`.
public struct ReferenceCase: Sendable, CustomStringConvertible {
  public let name: String
  public let folder: String
  public let expect: JSONObject

  /// GPT-2: a width of whole 4-bit blocks, and one that is not.
  public static let gpt2 = ["gpt2-tiny", "gpt2-odd"]
  /// Of every other family that there are cases of; two of them with weights in bfloat16.
  public static let families = [
    "llama3-tiny", "llama3-bf16-tiny", "mistral-tiny", "qwen2-tiny", "qwen3-tiny", "qwen3-bf16-tiny", "smollm3-tiny",
    "olmo2-tiny", "granite-tiny", "phi3-tiny", "gemma2-tiny", "gemma3-tiny",
  ]
  public static let all = gpt2 + families

  public init(_ name: String) throws {
    self.name = name
    folder = fixturesFolder + "/" + name
    guard let object = try parseJSONFile(folder + "/expect.json").object else {
      throw SFTError(.badData, "is not an object", file: folder + "/expect.json")
    }
    expect = object
  }

  public var description: String { name }
  public var model: String { folder + "/model" }
  public var adapter: String { folder + "/adapter" }
  public var records: String { folder + "/records.jsonl" }

  /// input_ids and labels of each record.
  public func samples() throws -> [(sample: Sample, labels: [Int32])] {
    try lines(of: folder + "/tokens.jsonl").map { line in
      let value = try line.withUnsafeBytes { try parseJSON($0, file: "tokens.jsonl") }
      let tokens = (value["input_ids"]?.array ?? []).compactMap { $0.int.map(Int32.init) }
      let labels = (value["labels"]?.array ?? []).compactMap { $0.int.map(Int32.init) }
      return (Sample(tokens: tokens, promptCount: labels.prefix { $0 == -100 }.count), labels)
    }
  }

  public func loss(_ key: String) -> Double { expect[key]?["loss"]?.double ?? .nan }

  /// Ids that end a text.
  public var endTokens: [Int32] {
    let listed = expect["stop"]?.array ?? [expect["eos"]].compactMap(\.self)
    return listed.compactMap { $0.int.map(Int32.init) }
  }

  /// The base's loss where something that sets the family apart is left out, by what that is.
  public var lossesWithout: [String: Double] {
    Dictionary(
      uniqueKeysWithValues: (expect["without"]?.object?.members ?? []).map { ($0.key, $0.value.double ?? .nan) })
  }

  /// What quantising costs, as `make_quantization_errors.py` has it; nil where the case has no such figures.
  public func quantization(_ kind: String, double: Bool) throws -> JSONValue? {
    try parseJSONFile(folder + "/quantization.json")["reports"]?.array?.first {
      $0["kind"]?.string == kind && $0["double"]?.bool == double
    }
  }

  public func curve(_ key: String) -> [(loss: Double, gradientNorm: Double)] {
    (expect[key]?.array ?? []).map { ($0["loss"]?.double ?? .nan, $0["grad_norm"]?.double ?? .nan) }
  }
}

/// `Tests/Fixtures`.
public let fixturesFolder: String = parentPath(parentPath(#filePath)) + "/Fixtures"

/// A file's lines without their ends, the last empty one left out.
public func lines(of path: String) throws -> [[UInt8]] {
  var lines = try readFile(path).split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map(Array.init)
  if lines.last?.isEmpty == true { lines.removeLast() }
  return lines
}

/// A fresh folder, removed when `body` is done.
public func withTemporaryFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
  var template = Array("/tmp/sft-test-XXXXXX".utf8CString)
  guard mkdtemp(&template) != nil else { throw systemError("create a temporary folder", "/tmp") }
  let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  defer { try? removeTree(path) }
  return try body(path)
}

/// |a − b| relative to |b|.
public func relativeError(_ a: Double, _ b: Double) -> Double { abs(a - b) / max(abs(b), 1e-12) }
