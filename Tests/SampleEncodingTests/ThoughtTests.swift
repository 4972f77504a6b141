import Core
import Foundation
import SampleEncoding
import TestSupport
import Testing
import Tokenizing

/// Templates that ask for an answer with its reasoning begun, and write turns otherwise.
@Suite struct ThoughtTests {
  private let tokenizer: Tokenizer

  init() throws { tokenizer = try Tokenizer(folder: fixturesFolder + "/chat") }

  private func encode(
    _ answers: [String], _ habits: Set<FakeTemplate.Habit>, members: String = "", _ trainOn: TrainedTurns = .assistant
  ) throws -> EncodedRecord {
    let turns = answers.enumerated().flatMap { index, answer in
      [
        Conversation.Turn(role: Role.user, content: "\(index)?"),
        Conversation.Turn(role: Role.assistant, content: answer, members: members),
      ]
    }
    return try ChatSampler(
      FakeTemplate(habits), tokenizer, tokenizer.makeEncoder(), ChatSettings(trainOn: trainOn)
    ).record(Conversation(form: .messages, turns: turns))
  }

  private func text(_ tokens: some Sequence<Int32>) throws -> String {
    try tokenizer.decode(Array(tokens), skipSpecialTokens: false)
  }

  /// What each sample is trained after, from the last mark of the assistant's turn, and as what.
  private func ends(_ record: EncodedRecord) throws -> [String] {
    try record.samples.map { sample in
      let last = try #require(sample.supervised.last)
      let before = try text(sample.tokens[..<last.lowerBound])
      let start = try #require(before.ranges(of: "assistant\n").last)
      return String(before[start.upperBound...]) + "|" + (try text(sample.tokens[last]))
    }
  }

  /// As DeepSeek-R1's distillations: asked with `<think>`, and no turn is written with its reasoning.
  private let distilled: Set<FakeTemplate.Habit> = [.asksForThought, .neverWritesThinking]

  @Test(arguments: [
    ("<think>\nA fruit.\n</think>\n\nsagwa", "<think>\n|A fruit.\n</think>\n\nsagwa<|im_end|>"),
    ("<think>A fruit.</think>sagwa ", "<think>\n|A fruit.</think>sagwa <|im_end|>"),
    ("A fruit.\n</think>\n\nsagwa", "<think>\n|A fruit.\n</think>\n\nsagwa<|im_end|>"),
    ("<think>\n\n</think>\n\nsagwa", "<think>\n|\n</think>\n\nsagwa<|im_end|>"),
    ("<think>\nOne.</think>\nTwo.</think>sagwa", "<think>\n|One.</think>\nTwo.</think>sagwa<|im_end|>"),
  ])
  func aThoughtThatIsNotWrittenIsTrainedWhereItIsAskedFor(_ answer: String, _ expected: String) throws {
    let record = try encode([answer], distilled)
    #expect(try ends(record) == [expected])
    #expect(record.remarks == TemplateRemarks())
  }

  /// Each turn is a sample: what comes before it is shown without its thoughts.
  @Test func everyTurnIsTrainedAfterItsOwnPrompt() throws {
    let record = try encode(["<think>\nA.\n</think>\n\nsagwa", "<think>\nB.\n</think>\n\nbae"], distilled)
    #expect(
      try ends(record) == [
        "<think>\n|A.\n</think>\n\nsagwa<|im_end|>", "<think>\n|B.\n</think>\n\nbae<|im_end|>",
      ])
    #expect(
      try text(record.samples[1].tokens).hasPrefix(
        "<|im_start|>user\n0?<|im_end|>\n<|im_start|>assistant\n\n\nsagwa<|im_end|>\n"))
    #expect(record.samples.map(\.supervised.count) == [1, 1])
  }

  @Test func reasoningBesideTheAnswerIsClosed() throws {
    let record = try encode(["sagwa"], distilled, members: #"{"reasoning_content": " A fruit.\n"}"#)
    #expect(try ends(record) == ["<think>\n|A fruit.\n</think>\n\nsagwa<|im_end|>"])
  }

  /// The answer comes after the mark of the turn, as the template writes it, and the owner is told.
  @Test func anAnswerWithoutAThoughtIsTrainedWithoutTheThoughtBegun() throws {
    let record = try encode(["sagwa", "bae"], distilled)
    #expect(try ends(record) == ["|bae<|im_end|>"])
    #expect(record.samples[0].supervised.count == 2 && record.remarks.turnsAskedOtherwise == 2)
    let warning = try #require(record.remarks.warnings.first)
    #expect(record.remarks.warnings.count == 1 && warning.contains("2 trained turns of the other kind"))
  }

  /// As Nemotron's: the mark is written, and only the white space after it is another.
  @Test func aThoughtThatIsWrittenIsTrainedAfterThePrompt() throws {
    let habits: Set<FakeTemplate.Habit> = [.asksForThought, .alwaysWritesThinking]
    #expect(try ends(try encode(["sagwa"], habits)) == ["<think>\n|</think>sagwa<|im_end|>"])
    #expect(try ends(try encode(["<think>A.</think>sagwa"], habits)) == ["<think>\n|A.</think>sagwa<|im_end|>"])
    let written = try encode(["A.\n</think>\n\nsagwa"], [.asksForThought])
    #expect(try ends(written) == ["<think>\n|A.\n</think>\n\nsagwa<|im_end|>"])
    #expect(written.remarks == TemplateRemarks())
  }

  @Test func aThoughtThatIsClosedAtOnceIsPartOfThePrompt() throws {
    let plain = try encode(["sagwa"], [.asksForNoThought])
    #expect(try ends(plain) == ["<think>\n\n</think>\n\n|sagwa<|im_end|>"] && plain.remarks == TemplateRemarks())
    let thoughtful = try encode(["<think>A.</think>sagwa"], [.asksForNoThought])
    #expect(try ends(thoughtful) == ["|<think>A.</think>sagwa<|im_end|>"])
    #expect(thoughtful.remarks.turnsAskedOtherwise == 1)
    let lost = try encode(["<think>A.</think>sagwa"], [.asksForNoThought, .neverWritesThinking])
    #expect(try ends(lost) == ["<think>\n\n</think>\n\n|sagwa<|im_end|>"] && lost.remarks.lostThoughts == 1)
  }

  /// Where the template asks for no thought and writes none, that is how it is trained, and said.
  @Test(arguments: [TrainedTurns.assistant, .all]) func aThoughtThatTheTemplateDropsIsCounted(_ which: TrainedTurns)
    throws
  {
    let record = try encode(["<think>A.</think>sagwa"], [.neverWritesThinking], which)
    #expect(try text(record.samples[0].tokens).contains("assistant\nsagwa<|im_end|>"))
    #expect(record.remarks.lostThoughts == 1 && record.remarks.warnings.count == 1)
    #expect(record.remarks.warnings[0].contains("1 trained turn out"))
  }

  @Test(arguments: ["Well, <think>A.</think>sagwa", "<think>A.</think>", "<think>A.</think> \n"])
  func aThoughtThatCannotBeToldIsRefused(_ answer: String) throws {
    let fault = #expect(throws: EncodingFault.self) { try encode([answer], distilled) }
    #expect(fault?.message.contains("message 2: the template asks for it with \"<think>\" begun") == true)
    #expect(fault?.advice?.contains("<think>…</think>") == true)
  }

  @Test func olderCountsAreRead() throws {
    let old = #"{"turnsWithoutEnd":1,"doubledBeginnings":2,"lostSpaces":3,"lostMessages":4,"emptyTurns":5}"#
    let remarks = try JSONDecoder().decode(TemplateRemarks.self, from: Data(old.utf8))
    #expect(remarks.emptyTurns == 5 && remarks.turnsAskedOtherwise == 0)
  }
}
