import JSON

/// An adapter of PEFT's with token rows or whole modules, and what it computes: see `Fixtures/make_ends.py`.
public struct EndsCase {
  public static let all = [
    "tokens-llama3-tiny", "tokens-gemma3-tiny", "tokens-gpt2-tiny", "modules-llama3-tiny", "modules-qwen2-tiny",
    "modules-gpt2-tiny",
  ]

  /// The case that has the base and the records.
  public let reference: ReferenceCase
  private let folder: String
  private let expect: JSONValue

  public init(_ name: String) throws {
    folder = "\(fixturesFolder)/ends/\(name)"
    reference = try ReferenceCase(name.split(separator: "-").dropFirst().joined(separator: "-"))
    expect = try parseJSONFile(folder + "/expect.json")
  }

  public var adapter: String { folder + "/adapter" }
  public var loss: Double { expect["loss"]?.double ?? .nan }
  /// After the first record's last token but one.
  public var logits: [Float] { floats("logits") }
  /// The same after six updates.
  public var trainedLogits: [Float] { floats("trained_logits") }
  /// Norms over the first four records, by tensor.
  public var gradients: [String: Double] {
    Dictionary(
      uniqueKeysWithValues: (expect["gradients"]?.object?.members ?? []).map { ($0.key, $0.value.double ?? .nan) })
  }
  public var curve: [(loss: Double, gradientNorm: Double)] {
    (expect["curve"]?.array ?? []).map { ($0["loss"]?.double ?? .nan, $0["grad_norm"]?.double ?? .nan) }
  }

  private func floats(_ key: String) -> [Float] {
    (expect[key]?.array ?? []).map { Float($0.double ?? .nan) }
  }
}
