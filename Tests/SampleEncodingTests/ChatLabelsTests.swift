import Core
import JSON
import SampleEncoding
import TestSupport
import Testing
import Tokenizing

/// Labels against TRL's (`make_chat.py`).
///
/// Two things are otherwise on purpose. What follows the last trained token is left out: no loss is on it. And of messages
/// for prompt and completion TRL trains all that the template writes after the prompt, the line feed behind the end token
/// too, which a model that has ended never writes; the same that TRL's issue 5988 is about: what ends a turn is the turn's.
@Suite struct ChatLabelsTests {
  struct Case: CustomTestStringConvertible {
    var name: String
    var template: String?
    var record: JSONValue
    var expected: Sample
    var testDescription: String { name }
  }

  static let cases: [Case] =
    (try? parseJSONFile(fixturesFolder + "/chat/labels.json"))?["cases"]?.array?.map { value in
      func numbers(_ key: String) -> [Int32] { (value[key]?.array ?? []).compactMap { $0.int.map(Int32.init) } }
      let labels = numbers("labels")
      return Case(
        name: value["name"]?.string ?? "", template: value["template"]?.string, record: value["record"] ?? .null,
        expected: Sample(
          tokens: numbers("input_ids"), supervised: labels.indices.filter { labels[$0] >= 0 }.map { $0..<$0 + 1 }))
    } ?? []

  private static func turns(_ messages: JSONValue?, isExcluded: Bool = false) -> [Conversation.Turn] {
    if let text = messages?.string { return [Conversation.Turn(role: Role.assistant, content: text)] }
    return (messages?.array ?? []).map {
      Conversation.Turn(
        role: $0["role"]?.string ?? "", content: $0["content"]?.string, isExcluded: isExcluded)
    }
  }

  private static func conversation(_ record: JSONValue) -> Conversation {
    if let text = record["text"] { return Conversation(form: .text, turns: turns(text)) }
    if let messages = record["messages"] { return Conversation(form: .messages, turns: turns(messages)) }
    let isText = record["prompt"]?.string != nil
    return Conversation(
      form: isText ? .completion : .messages,
      turns: turns(record["prompt"], isExcluded: true) + turns(record["completion"]))
  }

  @Test(arguments: cases) func labelsAreTRLs(_ example: Case) throws {
    let tokenizer = try Tokenizer(folder: fixturesFolder + "/chat")
    let conversation = Self.conversation(example.record)
    let sample: Sample
    if let template = example.template {
      let sampler = ChatSampler(
        FakeTemplate(template == "marked" ? [.marksGeneration] : []), tokenizer, tokenizer.makeEncoder(), ChatSettings()
      )
      sample = try #require(try sampler.record(conversation).samples.first)
    } else {
      let end = try #require(tokenizer.endOfText)
      sample = try #require(
        try SampleEncoder(template: .plain, tokenizer: tokenizer, endOfText: end).encode(conversation).samples.first)
    }
    let expected = example.expected
    #expect(sample.tokens == Array(expected.tokens.prefix(sample.tokens.count)))
    let behind = example.record["completion"]?.array == nil ? 0 : 1
    #expect(Array(expected.labels.dropLast(behind)).prefix(sample.tokens.count) == sample.labels[...])
    #expect(expected.labels.dropLast(behind).dropFirst(sample.tokens.count).allSatisfy { $0 == -100 })
  }

  @Test func theCasesAreThere() { #expect(Self.cases.count == 7) }
}
