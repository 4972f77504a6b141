import Core
import Files
import JSON
import Templating
import TestSupport
import Testing

@Suite struct ChatTemplateTests {
  private let date = PinnedDate(year: 2024, month: 7, day: 26)

  private func json(_ text: String) throws -> JSONValue { try BuiltInChatTemplateTests.parse(text) }

  private func template(_ source: String, _ tokens: [String: String] = [:]) throws -> ChatTemplate {
    try ChatTemplate(source: source, name: "t.jinja", specialTokens: tokens)
  }

  private func render(
    _ template: ChatTemplate, _ messages: String, tools: String? = nil, variables: String = "{}"
  ) throws -> [RenderedPiece] {
    try template.render(
      messages: json(messages).array ?? [], tools: tools.map { try json($0) },
      variables: try #require(try json(variables).object), date: try #require(date))
  }

  private func found(_ files: [String: String]) throws -> ChatTemplate? {
    try withTemporaryFolder { folder in
      for (name, text) in files {
        if name.contains("/") { try createDirectory(folder + "/additional_chat_templates") }
        try writeAtomically(text, to: "\(folder)/\(name)")
      }
      return try ChatTemplate.of(folder: folder)
    }
  }

  private let hello = #"[{"role":"user","content":"Hello"}]"#

  @Test func textKnowsWhichMessageItIsFrom() throws {
    let made = try template(
      "{{ bos_token }}{% for m in messages[::-1] %}<{{ m.role ~ '>' + m.content | trim | upper }}{% endfor %}{{ x }}",
      ["bos_token": "<s>"])
    let pieces = try render(
      made, #"[{"role":"user","content":" a "},{"role":"evil","content":"b"}]"#, variables: #"{"x":"!"}"#)
    #expect(
      pieces == [
        RenderedPiece(text: "<s><", origin: .template),
        RenderedPiece(text: "evil", origin: .data(message: 1)),
        RenderedPiece(text: ">", origin: .template),
        RenderedPiece(text: "B", origin: .data(message: 1)),
        RenderedPiece(text: "<user>", origin: .template),
        RenderedPiece(text: "A", origin: .data(message: 0)),
        RenderedPiece(text: "!", origin: .data(message: nil)),
      ])
  }

  @Test func nullMembersAreMissingAndReasoningGoesByThreeNames() throws {
    let made = try template(
      "{% for m in messages %}{{ 'tool_calls' in m }} {{ m.keys() | join(',') }} {{ m.reasoning_content }};{% endfor %}"
    )
    let text = try render(
      made, #"[{"role":"a","content":null,"tool_calls":null},{"role":"b","thinking":"t"},{"reasoning":"r","role":"c"}]"#
    ).text
    #expect(
      text == "False role ;False role,thinking,reasoning_content t;False thinking,reasoning,role,reasoning_content r;")
  }

  @Test func theDateIsTheGivenOne() throws {
    let made = try template("{{ strftime_now('%d %b %Y') }}")
    #expect(made.asksForDate)
    #expect(try render(made, hello).text == "26 Jul 2024")
    #expect(try !template("{{ messages }}").asksForDate)
  }

  @Test func aVariableGoesBeforeASpecialTokenAndDocumentsAreNoneUnlessGiven() throws {
    let made = try template("{{ eos_token }} {{ documents is none }} {{ pad_token is defined }}", ["eos_token": "</s>"])
    #expect(try render(made, hello).text == "</s> True False")
    #expect(
      try render(made, hello, variables: #"{"eos_token":"E","documents":[{"title":"d"}]}"#).text == "E False False")
  }

  @Test func aFileGoesBeforeTheConfiguration() throws {
    let config = #"{"chat_template":"config {{ eos_token }}","eos_token":{"content":"</s>"},"bos_token":null}"#
    let both = try #require(
      try found(["tokenizer_config.json": config, "chat_template.jinja": "file {{ eos_token }}"]))
    #expect(try render(both, hello).text == "file </s>")
    let alone = try #require(try found(["tokenizer_config.json": config]))
    #expect(try render(alone, hello).text == "config </s>")
    #expect(try found(["tokenizer_config.json": #"{"eos_token":"</s>"}"#]) == nil)
    #expect(try found([:]) == nil)
  }

  @Test func toolsTakeTheTemplateOfThatName() throws {
    let list = #"[{"name":"default","template":"plain"},{"name":"tool_use","template":"{{ tools | length }} tools"}]"#
    let files = [
      "chat_template.jinja": "plain", "additional_chat_templates/tool_use.jinja": "{{ tools | length }} tools",
    ]
    for made in [try found(["tokenizer_config.json": "{\"chat_template\":\(list)}"]), try found(files)] {
      let template = try #require(made)
      #expect(try render(template, hello).text == "plain")
      #expect(try render(template, hello, tools: "[]").text == "0 tools")
    }
  }

  @Test func aFaultyTemplateIsNamedWithItsLine() throws {
    let error = try #require(throws: SFTError.self) { try template("a\n{% if x %}\nb") }
    #expect((error.file, error.line).0 == "t.jinja" && error.line == 3 && error.kind == .badData)
    let several = #"{"chat_template":[{"name":"a","template":"x"},{"name":"b","template":"y"}]}"#
    let unnamed = try #require(throws: SFTError.self) { try found(["tokenizer_config.json": several]) }
    #expect(unnamed.message.contains("none is called \"default\""))
  }

  @Test func whatIsNoConversationIsRefused() throws {
    let made = try template("x")
    for (messages, tools) in [("[]", nil), (#"["text"]"#, nil), (hello, "{}"), (hello, "[1]")] {
      #expect(throws: SFTError.self) { try render(made, messages, tools: tools) }
    }
  }

  @Test func aFailureHasTheTemplatesLineAndReason() throws {
    let refusal = try #require(throws: ChatTemplateFailure.self) {
      try render(template("\n{{ raise_exception('No ' ~ messages[0].role) }}"), hello)
    }
    #expect(refusal == ChatTemplateFailure(reason: .refused, message: "No user", template: "t.jinja", line: 2))
    let failure = try #require(throws: ChatTemplateFailure.self) { try render(template("{{ a.b }}"), hello) }
    #expect(failure.reason == .failed && failure.message == "'a' is undefined")
    let stopped = try #require(throws: ChatTemplateFailure.self) {
      try render(template("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"), hello)
    }
    #expect(stopped.reason == .exceeded)
  }

  @Test func tenThousandTurnsAreRendered() throws {
    let turns = (0..<10_000).map { #"{"role":"\#($0 % 2 == 0 ? "user" : "assistant")","content":"\#($0)"}"# }
    let messages = try json("[" + turns.joined(separator: ",") + "]").array ?? []
    let made = try #require(try ChatTemplate.builtIn("gemma", specialTokens: [:]))
    let text = try made.render(messages: messages, date: try #require(date)).text
    #expect(text.hasSuffix("<start_of_turn>model\n9999<end_of_turn>\n"))
  }
}
