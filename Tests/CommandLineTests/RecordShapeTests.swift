import Files
import JSON
import Testing
import TestSupport

/// `prepare` on records of other shapes than Alpaca's, without a chat template.
@Suite struct RecordShapeTests {
  private func output(_ sft: SFTBinary, _ arguments: [String]) throws -> Outcome {
    let outcome = try sft.run(arguments)
    try #require(outcome.code == 0, "\(arguments): \(outcome.errors)")
    return outcome
  }

  private func prepared(_ sft: SFTBinary, _ text: String, _ options: String...) throws -> (
    summary: String, shown: String
  ) {
    try sft.write(text, to: "d.jsonl")
    let summary = try output(sft, ["prepare", "d.jsonl", "--model", SFTBinary.model, "--val", "0"] + options).output
    return (summary, try sft.succeed("inspect", "data").output)
  }

  /// As they are, with EOS: the completion is trained, and all of a text.
  @Test func textsNeedNoTemplate() throws {
    try withSFT { sft in
      let completion = try prepared(sft, #"{"prompt": "The word is", "completion": " bae."}"#)
      #expect(completion.summary.contains("data        prompts and completions\n"))
      #expect(completion.summary.contains("template    none, "))
      #expect(completion.shown.contains("\nThe word is⟦ bae.<|endoftext|>⟧"))
      let text = try prepared(sft, #"{"text": "All of it."}"#)
      #expect(text.summary.contains("data        texts\n") && text.shown.contains("\n⟦All of it.<|endoftext|>⟧"))
      let templated = try prepared(sft, #"{"prompt": "Word?", "completion": "bae"}"#, "--template", "qa")
      #expect(templated.shown.contains("Word?") && !templated.shown.contains("\nWord?⟦"))
    }
  }

  @Test func systemAndHistoryStandBeforeTheInstruction() throws {
    try withSFT { sft in
      let record = #"""
        {"instruction": "And pear?", "output": "bae", "system": "Be brief.", "history": [["Apple?", "sagwa"]]}
        """#
      let shown = try prepared(sft, record).shown
      #expect(shown.contains("\n### System:\nBe brief.\n\nBelow is an instruction"))
      #expect(shown.contains("### Instruction:\nApple?\n\n### Response:\n⟦sagwa<|endoftext|>⟧\n\nBelow is"))
      #expect(shown.contains("### Instruction:\nAnd pear?\n\n### Response:\n⟦bae<|endoftext|>⟧"))
      let last = try prepared(sft, record, "--train-on", "last").shown
      #expect(last.contains("sagwa<|endoftext|>\n\n") && last.contains("⟦bae<|endoftext|>⟧"))
    }
  }

  @Test func conversationsNeedAChatTemplateOrTurnsInTurn() throws {
    try withSFT { sft in
      let record = #"""
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
        """#
      try sft.write(record, to: "d.jsonl")
      let failed = try sft.run("prepare", "d.jsonl", "--model", SFTBinary.model)
      #expect(failed.code == 65 && failed.errors.contains("the model has no chat template, which conversations need."))
      let prepared = try prepared(sft, record, "--template", "alpaca")
      #expect(prepared.summary.contains("data        conversations (messages): 2 messages, 1 sample, trained on every"))
      #expect(prepared.shown.contains("### Instruction:\na\n\n### Response:\n⟦b<|endoftext|>⟧"))
      // Whom the template does not take is named, or skipped and counted.
      let leading = record.replacing(#"[{"#, with: #"[{"role": "assistant", "content": "Hi."}, {"#)
      try sft.write([record, leading, record].joined(separator: "\n"), to: "d.jsonl")
      try sft.fail(
        65,
        #"d.jsonl:2: the template alpaca takes a question and its answer in turn, and messages 1 and 2 are of "assistant" "#
          + #"and "user". Use a chat template: --template model."#,
        "prepare", "d.jsonl", "--model", SFTBinary.model, "--template", "alpaca")
      let skipped = try sft.succeed(
        "prepare", "d.jsonl", "--model", SFTBinary.model, "--template", "alpaca", "--skip-bad", "--val", "0")
      #expect(skipped.output.contains("dropped     1 bad\n") && skipped.errors.contains("skipped: d.jsonl:2: "))
    }
  }

  @Test func theFormatCanBeForced() throws {
    try withSFT { sft in
      let record = #"{"instruction": "a", "output": "b", "text": "c"}"#
      let shown = try prepared(sft, record, "--data-format", "text").shown
      #expect(shown.contains("\n⟦c<|endoftext|>⟧"))
    }
  }

  /// What is asked last, after what was said: the loss of the expected answer is that of the record's last answer.
  @Test func questionsMayBeConversations() throws {
    try withSFT { sft in
      let record = #"""
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"}, {"role": "assistant", "content": "d"}]}
        """#.split(separator: "\n").joined()
      try sft.write(record, to: "q.jsonl")
      let adapter = SFTBinary.tiny + "/adapter"
      try sft.succeed(
        "compare", "--questions", "q.jsonl", "--model", SFTBinary.model, "--adapter", adapter, "--template", "qa",
        "--max-new-tokens", "2", "--out", "o", "--quiet")
      let item = try #require(try parseJSONFile(sft.path("o/compare.json"))["items"]?.array?.first)
      #expect(item["question"]?.string == "c" && item["reference"]?.string == "d")
      let loss = try #require(item["tuned"]?["measures"]?["reference"]?["loss"]?.double)
      try sft.succeed(
        "prepare", "q.jsonl", "--model", SFTBinary.model, "--template", "qa", "--train-on", "last", "--val", "0",
        "--quiet")
      let shown = try sft.succeed("inspect", "data").output
      #expect(shown.hasSuffix("Question: c\n\nAnswer:\n⟦d<|endoftext|>⟧\n"))
      // Both answers together have the mean of this one and the first one's.
      let losses = try sft.succeed(
        "eval", "--data", "q.jsonl", "--model", SFTBinary.model, "--adapter", adapter, "--template", "qa", "--json"
      ).json()
      #expect(losses["supervised_tokens"]?.int == 4 && loss > 0)
    }
  }

  @Test func aConversationIsAnsweredWhereItEnds() throws {
    try withSFT { sft in
      let asked =
        #"[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]"#
      try sft.write(asked, to: "m.json")
      let options = ["--model", SFTBinary.model, "--max-new-tokens", "4", "--json"]
      let byMessages = try output(sft, ["generate", "--messages", "m.json", "--template", "qa"] + options).json()
      // Not what the last question alone is answered with: what was said before is read too.
      let alone = try output(sft, ["generate", "c", "--template", "qa"] + options).json()
      #expect(byMessages["token_ids"]?.array?.count == 4 && byMessages != alone)
      for (bad, message) in [
        (#"{"messages": []}"#, "m.json: holds no messages."),
        (#"[{"content": "a"}]"#, "message 1 of \"messages\" has no"),
      ] {
        try sft.write(bad, to: "m.json")
        let failed = try sft.run("generate", "--messages", "m.json", "--model", SFTBinary.model)
        #expect(failed.code == 65 && failed.errors.contains(message))
      }
      try sft.write(#"{"messages": [{"role": "system", "content": "a"}]}"#, to: "q.jsonl")
      let failed = try sft.run(
        "compare", "--questions", "q.jsonl", "--model", SFTBinary.model, "--adapter", SFTBinary.tiny + "/adapter")
      #expect(failed.code == 65 && failed.errors.contains("q.jsonl:1: its conversation does not end in a question"))
    }
  }
}
