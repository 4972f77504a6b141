import Core
import SampleEncoding
import Templating
import TestSupport
import Testing
import Tokenizing

@Suite struct SampleEncoderTests {
  private let tokenizer: Tokenizer
  private let encoder: SampleEncoder

  init() throws {
    tokenizer = try Tokenizer(folder: try ReferenceCase("gpt2-tiny").model)
    encoder = SampleEncoder(
      template: .prompt(
        try PromptTemplate(source: "Q: {{instruction}}\n{{#trained}}{{output}}{{/trained}}", name: "t")),
      tokenizer: tokenizer, endOfText: 0)
  }

  private func ids(_ text: String) -> [Int32] { tokenizer.makeEncoder().encode(text) }

  private func sample(_ turns: [Conversation.Turn], form: Conversation.Form = .messages) throws -> Sample {
    try encoder.encode(Conversation(form: form, turns: turns)).samples[0]
  }

  private func user(_ text: String) -> Conversation.Turn { Conversation.Turn(role: Role.user, content: text) }

  private func assistant(_ text: String, isExcluded: Bool = false) -> Conversation.Turn {
    Conversation.Turn(role: Role.assistant, content: text, isExcluded: isExcluded)
  }

  @Test func theAnswerAndItsEndAreTrained() throws {
    let (prompt, answer) = (ids("Q: Who?\n"), ids("She did."))
    #expect(
      try sample([user("Who?"), assistant("She did.")])
        == Sample(tokens: prompt + answer + [0], promptCount: prompt.count))
    #expect(try encoder.prompt([user("Who?")]) == prompt)
  }

  /// An answer that is begun is gone on with: nothing ends it.
  @Test func anAnswerThatIsBegunIsPartOfThePrompt() throws {
    #expect(try encoder.prompt([user("Who?"), assistant("She")]) == ids("Q: Who?\n") + ids("She"))
    let chat = try Tokenizer(folder: fixturesFolder + "/chat")
    let template = try #require(
      try ChatTemplate.builtIn("chatml", specialTokens: ["bos_token": "<|im_start|>", "eos_token": "<|im_end|>"]))
    let date = try #require(PinnedDate("2024-07-26"))
    let encoder = SampleEncoder(template: .chat(template, date), tokenizer: chat, endOfText: 0)
    let asked = try encoder.prompt([user("Who?")])
    let begun = try encoder.prompt([user("Who?"), assistant("She ")])
    #expect(begun == asked + chat.makeEncoder().encode("She "))
    #expect(try encoder.prompt([assistant("She")]).last == chat.makeEncoder().encode("She").last)
    #expect(throws: EncodingFault.self) {
      try encoder.prompt([user("Who?"), Conversation.Turn(role: Role.assistant, content: nil)])
    }
  }

  /// No token spans the boundary, though " the" is one.
  @Test func noTokenSpansWhatIsTrainedAndWhatIsNot() throws {
    let plain = SampleEncoder(template: .plain, tokenizer: tokenizer, endOfText: 0)
    let turns = [user("and "), assistant("the")]
    let prompt = ids("and ")
    #expect(
      try plain.encode(Conversation(form: .completion, turns: turns)).samples
        == [Sample(tokens: prompt + ids("the") + [0], promptCount: prompt.count)])
    #expect(ids("and the") != prompt + ids("the"))
  }

  /// As the shipped alpaca template's history is laid out elsewhere: each answer ends, a blank line follows.
  @Test func everyAnswerOfAHistoryEndsAndIsTrained() throws {
    let turns = [user("a"), assistant("b"), user("c"), assistant("d")]
    let (first, second) = (ids("Q: a\n") + ids("b") + [0], ids("\n\nQ: c\n"))
    let whole = first + second + ids("d") + [0]
    let starts = [ids("Q: a\n").count, first.count + second.count]
    #expect(
      try sample(turns)
        == Sample(tokens: whole, supervised: [starts[0]..<first.count, starts[1]..<whole.count]))
    // An answer that is not to be learnt has its end all the same.
    let excluded = try sample([user("a"), assistant("b", isExcluded: true), user("c"), assistant("d")])
    #expect(excluded == Sample(tokens: whole, supervised: [starts[1]..<whole.count]))
    let last = SampleEncoder(
      template: .prompt(
        try PromptTemplate(source: "Q: {{instruction}}\n{{#trained}}{{output}}{{/trained}}", name: "t")),
      tokenizer: tokenizer, endOfText: 0, settings: ChatSettings(trainOn: .last))
    #expect(try last.encode(Conversation(form: .messages, turns: turns)).samples == [excluded])
  }

  @Test func theSystemStandsBeforeAll() throws {
    let system = Conversation.Turn(role: Role.system, content: "Be brief.")
    let found = try sample([system, user("a"), assistant("b")])
    let prompt = ids("### System:\nBe brief.\n\nQ: a\n")
    #expect(found == Sample(tokens: prompt + ids("b") + [0], promptCount: prompt.count))
  }

  @Test func aPromptTemplateTakesTurnsInTurn() {
    let encoder = encoder
    for turns in [
      [user("a"), user("b"), assistant("c")], [assistant("a"), user("b")],
      [user("a"), Conversation.Turn(role: Role.assistant, content: "b", members: #"{"tool_calls":[{}]}"#)],
    ] {
      #expect(throws: EncodingFault.self) { try encoder.encode(Conversation(form: .messages, turns: turns)) }
    }
  }

  /// As the expected answer to a question may be.
  @Test func anEmptyAnswerIsItsEnd() throws {
    let sample = try sample([user("Who?"), assistant("")])
    #expect(sample.supervised == [sample.tokens.count - 1..<sample.tokens.count] && sample.tokens.last == 0)
  }

  @Test func allOfATextIsTrained() throws {
    let sample = try sample([assistant("the end")], form: .text)
    #expect(sample == Sample(tokens: ids("the end") + [0], promptCount: 0))
  }
}
