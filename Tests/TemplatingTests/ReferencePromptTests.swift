import Core
import Files
import JSON
import Templating
import TestSupport
import Testing

/// The prompts of the reference cases, written by Python from Stanford's two format strings (make_reference.py).
@Suite struct ReferencePromptTests {
  @Test(arguments: ["gpt2-tiny", "gpt2-odd"]) func alpacaGivesTheReferencePrompts(_ name: String) throws {
    let template = try PromptTemplate.named("alpaca")
    let records = try lines("\(name)/records.jsonl")
    let expected = try lines("\(name)/tokens.jsonl")
    #expect(records.count == 20 && expected.count == 20)
    for (fields, reference) in zip(records, expected) {
      let record = Record(
        instruction: try #require(fields["instruction"]?.string), input: try #require(fields["input"]?.string),
        output: try #require(fields["output"]?.string))
      let segments = template.render(record)
      // By bytes: Swift's `==` would overlook a changed normalisation.
      #expect(Array(joined(segments, trained: false).utf8) == Array(try #require(reference["prompt"]?.string).utf8))
      #expect(Array(joined(segments, trained: true).utf8) == Array(record.output.utf8))
    }
  }

  private func lines(_ path: String) throws -> [JSONValue] {
    try readFile(fixturesFolder + "/" + path).split(separator: 0x0a).map { line in
      try Array(line).withUnsafeBytes { try parseJSON($0, file: path) }
    }
  }
}
