import Core
import Files
import JSON
import Templating
import Testing

/// Conversations whose last message is gone on with, as transformers renders them (Fixtures/make_continued.py).
@Suite struct ContinuedMessageTests {
  private static let folder = parentPath(#filePath) + "/Fixtures"

  @Test func textsAreThoseOfTransformers() throws {
    let root = try parseJSONFile(Self.folder + "/chat_cases.json")
    let whole = try #require(root["cases"]?.array).filter { $0["add_generation_prompt"]?.bool == false }
    let cases = try #require(try parseJSONFile(Self.folder + "/continued.json").array)
    #expect(cases.count == 840)
    var templates: [String: ChatTemplate] = [:]
    for item in cases {
      let name = try #require(item["template"]?.string)
      let number = try #require(item["conversation"]?.int)
      let conversation = try #require(root["conversations"]?.array)[number]
      let template = try templates[name] ?? read(try #require(root["templates"]?[name]), name)
      templates[name] = template
      let expected = try item["rest"]?.string.map { rest in
        let text = whole.first { $0["template"]?.string == name && $0["conversation"]?.int == number }?["text"]?.string
        let same = try #require(item["same"]?.int)
        return Array((text ?? "").utf8.prefix(same)) + rest.utf8
      }
      let found = try? continued(template, conversation, isSpaced: item["spaced"]?.bool ?? false)
      #expect(found.map { Array($0.utf8) } == expected, "\(name) \(number): \(found ?? "refused")")
    }
  }

  private func read(_ value: JSONValue, _ name: String) throws -> ChatTemplate {
    let tokens = [("bos_token", value["bos_token"]?.string), ("eos_token", value["eos_token"]?.string)]
    return try ChatTemplate(
      source: try #require(value["template"]?.string), name: name,
      specialTokens: Dictionary(uniqueKeysWithValues: tokens.map { ($0, $1 ?? "") }))
  }

  private func continued(_ template: ChatTemplate, _ conversation: JSONValue, isSpaced: Bool) throws -> String {
    var messages = conversation["messages"]?.array ?? []
    if isSpaced, var last = messages.popLast()?.object {
      last.members = last.members.map { member in
        let text = member.key == "content" ? member.value.string : nil
        return (key: member.key, value: text.map { .string($0 + " \n") } ?? member.value)
      }
      messages.append(.object(last))
    }
    let continued = try #require(ContinuedMessage(messages))
    let date = try #require(PinnedDate("2024-07-26"))
    return try continued.cut(
      try template.render(messages: continued.messages, tools: conversation["tools"], date: date)
    ).text
  }

  private func text(_ content: JSONValue, _ source: String) throws -> String {
    let message = JSONValue.object(JSONObject([("role", .string("assistant")), ("content", content)]))
    let continued = try #require(ContinuedMessage([message]))
    let template = try ChatTemplate(source: source, name: "t", specialTokens: [:])
    let date = try #require(PinnedDate("2024-07-26"))
    return try continued.cut(try template.render(messages: continued.messages, date: date)).text
  }

  @Test func theLastPartOfTextIsGoneOnWith() throws {
    func part(_ text: String) -> JSONValue {
      .object(JSONObject([("type", .string("text")), ("text", .string(text))]))
    }
    let source = "{% for m in messages %}{% for p in m.content %}{{ p.text }}|{% endfor %}{% endfor %}"
    #expect(try text(.array([part("a"), part("b ")]), source) == "a|b ")
    #expect(ContinuedMessage([]) == nil)
    let silent = JSONValue.object(JSONObject([("role", .string("assistant")), ("content", .null)]))
    #expect(ContinuedMessage([silent]) == nil)
  }

  /// A message that the template cuts or leaves out has no end to go on from.
  @Test func aMessageThatIsNotWrittenWholeIsRefused() {
    for source in ["{{ messages[0].role }}", "{{ messages[0].content[1:] }}", "{{ messages[0].content | upper }}"] {
      let error = #expect(throws: SFTError.self) { try text(.string("ab"), source) }
      #expect(error?.message.contains("cannot be gone on with") == true, "\(source)")
    }
  }
}
