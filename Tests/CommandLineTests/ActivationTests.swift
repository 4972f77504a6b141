import Files
import Foundation
import JSON
import TestSupport
import Testing

/// `inspect activations`.
@Suite struct ActivationTests {
  static let text = "Name three fruits."
  /// Families that are built differently, each with what transformers gives for `text`: see Tests/Fixtures/README.md.
  static let cases = [
    "gpt2-tiny", "llama3-tiny", "qwen2-tiny", "smollm3-tiny", "olmo2-tiny", "granite-tiny", "phi3-tiny", "gemma2-tiny",
    "gemma3-tiny",
  ]

  private static func inspect(_ sft: SFTBinary, _ name: String, _ options: String...) throws -> JSONValue {
    let model = try ReferenceCase(name).model
    return try sft.run(
      ["inspect", "activations", "--model", model, "--text", text, "--json", "--quiet"] + options
    ).json()
  }

  private static func parts(_ report: JSONValue) throws -> [JSONValue] { try #require(report["parts"]?.array) }

  private static func numbers(_ part: JSONValue, _ keys: String...) -> [Double] {
    keys.flatMap { (part[$0]?.array ?? []).map { $0.double ?? .nan } }
  }

  @Test(arguments: cases) func everyPartIsTransformers(_ name: String) throws {
    try withSFT { sft in
      let expected = try parseJSONFile(ReferenceCase(name).folder + "/activations.json")
      let actual = try Self.inspect(sft, name)
      #expect(actual["text"]?.string == Self.text)
      #expect(actual["tokens"] == expected["tokens"])
      let (own, theirs) = (try Self.parts(actual), try Self.parts(expected))
      #expect(own.map { $0["part"]?.string } == theirs.map { $0["part"]?.string })
      for (own, theirs) in zip(own, theirs) {
        let place = "\(theirs["layer"]?.int ?? -1) \(theirs["part"]?.string ?? "?")"
        #expect(own["layer"]?.int == theirs["layer"]?.int && own["shape"] == theirs["shape"], "\(place)")
        let (values, expected) = (Self.numbers(own, "first", "last"), Self.numbers(theirs, "first", "last"))
        #expect(values.count == 8 && expected.count == 8)
        let largest = expected.map(abs).max() ?? 0
        for (value, expected) in zip(values, expected) { #expect(abs(value - expected) < 1e-4 * largest, "\(place)") }
        let norm = theirs["norm"]?.double ?? .nan
        #expect(relativeError(own["norm"]?.double ?? .nan, norm) < 1e-5, "\(place)")
        #expect(abs((own["mean"]?.double ?? .nan) - (theirs["mean"]?.double ?? .nan)) < 1e-5 * norm, "\(place)")
      }
    }
  }

  @Test func eachTokenCanBeShownApart() throws {
    try withSFT { sft in
      let (whole, apart) = (
        try Self.parts(try Self.inspect(sft, "gemma3-tiny")),
        try Self.parts(try Self.inspect(sft, "gemma3-tiny", "--every-position"))
      )
      let count = try #require(whole[0]["shape"]?.array?[0].int)
      #expect(apart.count == whole.count * count)
      for (index, part) in whole.enumerated() {
        let rows = apart[index * count..<(index + 1) * count]
        #expect(rows.map { $0["position"]?.int } == Array(0..<count))
        #expect(rows.allSatisfy { $0["part"] == part["part"] && $0["shape"]?.array?[0].int == 1 })
        #expect(rows.last?["first"] == part["first"] && rows.last?["last"] == part["last"])
        let squares = rows.reduce(0) { $0 + pow($1["norm"]?.double ?? .nan, 2) }
        #expect(relativeError(sqrt(squares), part["norm"]?.double ?? .nan) < 1e-9)
      }
    }
  }

  /// The base, an adapter on it, the base in 4 bits, the model inside the program: each gives its own logits, in lines, too.
  @Test func itShowsWhateverModelIsUsed() throws {
    try withSFT { sft in
      let adapter = try ReferenceCase("phi3-tiny").adapter
      let reports = [
        try Self.inspect(sft, "phi3-tiny"), try Self.inspect(sft, "phi3-tiny", "--adapter", adapter),
        try Self.inspect(sft, "phi3-tiny", "--qlora"),
      ]
      let logits = try reports.map { Self.numbers(try #require(try Self.parts($0).last), "first", "last") }
      #expect(Set(logits).count == 3)
      let embedded = try sft.succeed("inspect", "activations", "--text", "Is it so?", "--model", "embedded").output
      let lines = embedded.split(separator: "\n")
      #expect(lines.first?.hasPrefix("       embeddings  ") == true)
      #expect(lines.last?.hasPrefix("       logits  ") == true)
      #expect(lines.allSatisfy { $0.count == lines[0].count })
    }
  }

  /// Where a weight is no number the parts before it are still shown, and what follows it is null.
  @Test func valuesThatAreNoNumbersAreShownAsSuch() throws {
    try withSFT { sft in
      try sft.copyModelWithNaN(to: "broken")
      let report = try sft.succeed("inspect", "activations", "--model", "broken", "--text", "a", "--json").json()
      let parts = try Self.parts(report)
      #expect(parts.first?["norm"]?.double != nil)
      #expect(parts.contains { $0["norm"] == nil })
      #expect(parts.last?["mean"] == nil)
    }
  }

  @Test func badInputIsOneLine() throws {
    try withSFT { sft in
      let model = SFTBinary.model
      try sft.fail(
        64, "the text is empty. Give one with --text.", "inspect", "activations", "--model", model, "--text", "")
      let long = String(repeating: "no ", count: 400)
      let outcome = try sft.run("inspect", "activations", "--model", model, "--text", long)
      #expect(outcome.code == 65)
      #expect(outcome.errors.contains("tokens, more than the model's context of 256."))
      try sft.fail(
        66,
        "cannot find the model: there is no folder './none', and it is not a name such as gpt2 or org/name. Give --model a "
          + "folder with config.json and model.safetensors: where it is now, if it was moved.",
        "inspect", "activations", "--model", "./none", "--text", "a")
    }
  }
}
