import Files
import JSON
import TestSupport
import Testing

/// Conversations through a model's own chat template, from `prepare` to an answer.
@Suite struct ConversationTests {
  /// ChatML that shows of an earlier turn only what follows `</think>`, as Qwen 3 does.
  static let template = """
    {%- for message in messages %}
    {%- set content = message.content %}
    {%- if message.role == 'assistant' and not loop.last and '</think>' in content %}
    {%- set content = content.split('</think>')[-1] %}
    {%- endif %}
    {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n' }}
    {%- endfor %}
    {%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{% endif %}
    """

  /// GPT-2's fixture with the chat fixture's tokenizer, and a chat template.
  private func model(_ sft: SFTBinary, _ template: String = Self.template) throws -> String {
    let folder = sft.path("model")
    try createDirectory(folder)
    let files = [
      (SFTBinary.model, ["config.json", "model.safetensors"]),
      (fixturesFolder + "/chat", ["tokenizer.json", "tokenizer_config.json"]),
    ]
    for (source, names) in files {
      for name in names { try writeAtomically(try readFile("\(source)/\(name)"), to: "\(folder)/\(name)") }
    }
    try writeAtomically(template, to: folder + "/chat_template.jinja")
    return folder
  }

  private func record(_ texts: String...) -> String {
    let messages = texts.enumerated().map { index, text in
      JSONValue.object(
        JSONObject([("role", .string(index % 2 == 0 ? "user" : "assistant")), ("content", .string(text))]))
    }
    return JSONValue.object(JSONObject([("messages", .array(messages))])).serialized
  }

  @Test func everyTurnIsTrainedAfterWhatTheModelIsShown() throws {
    try withSFT { sft in
      let model = try model(sft)
      try sft.write(record("apple?", "sagwa", "And pear?", "bae"), to: "d.jsonl")
      let prepared = try sft.succeed("prepare", "d.jsonl", "--model", model, "--val", "0").output
      #expect(prepared.contains("data        conversations (messages): 4 messages, 1 sample, trained on every turn"))
      #expect(prepared.contains("template    model, "))
      #expect(
        try sft.succeed("inspect", "data").output.hasSuffix(
          "<|im_start|>user\napple?<|im_end|>\n<|im_start|>assistant\n⟦sagwa<|im_end|>⟧\n"
            + "<|im_start|>user\nAnd pear?<|im_end|>\n<|im_start|>assistant\n⟦bae<|im_end|>⟧\n"))
    }
  }

  /// A thought is trained where it is had, and the later turn where it is no longer shown.
  @Test func aConversationWhoseTurnsChangeIsSeveralSamples() throws {
    try withSFT { sft in
      let model = try model(sft)
      let thoughtful = record("apple?", "<think>Hm.</think>sagwa", "And pear?", "<think>So.</think>bae")
      try sft.write((0..<6).map { thoughtful.replacing("apple", with: "\($0)") }.joined(separator: "\n"), to: "d.jsonl")
      let summary = try sft.succeed("prepare", "d.jsonl", "--model", model, "--val", "0.34", "--json").json()["summary"]
      #expect(summary?["training"]?.int == 8 && summary?["validation"]?.int == 4)
      #expect(summary?["counts"]?["encoded"]?.int == 6 && summary?["counts"]?["duplicates"]?.int == 0)
      let lines = try sft.succeed("inspect", "data", "--limit", "12").output.split(separator: "\n")
      // No conversation is on both sides.
      let places = lines.filter { $0.hasPrefix("d.jsonl:") }
      let held = Set(places.filter { $0.hasSuffix("for validation") }.map { $0.prefix(9) })
      let kept = Set(places.filter { !$0.hasSuffix("for validation") }.map { $0.prefix(9) })
      #expect(held.count == 2 && kept.count == 4 && held.isDisjoint(with: kept))
      #expect(
        lines.contains { $0 == "⟦<think>Hm.</think>sagwa<|im_end|>⟧" } && lines.contains { $0 == "sagwa<|im_end|>" })
    }
  }

  /// DeepSeek-R1's distillations ask with `<think>` and write turns without: reasoning is trained where it is asked for.
  @Test func reasoningIsTrainedAfterThePromptThatOpensIt() throws {
    try withSFT { sft in
      let model = try model(
        sft,
        """
        {%- for message in messages %}
        {%- if message.role == 'user' %}{{ '<|im_start|>' + message.content }}{% endif %}
        {%- if message.role == 'assistant' %}
        {%- set content = message.content %}
        {%- if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}
        {{- '<|im_start|>assistant' + content + '<|im_end|>' }}
        {%- endif %}
        {%- endfor %}
        {%- if add_generation_prompt %}{{ '<|im_start|>assistant<think>\n' }}{% endif %}
        """)
      let thoughtful = record("apple?", "<think>\nA fruit.\n</think>\n\nsagwa", "And pear?", "bae")
      try sft.write(thoughtful, to: "d.jsonl")
      let prepared = try sft.succeed("prepare", "d.jsonl", "--model", model, "--val", "0").output
      #expect(prepared.contains("warning     the template's prompt begins or closes the reasoning"))
      #expect(prepared.contains("1 trained turn of the other kind"))
      let shown = try sft.succeed("inspect", "data").output
      #expect(
        shown.contains("apple?<|im_start|>assistant<think>\n⟦A fruit.\n</think>\n\nsagwa<|im_end|>⟧\n"))
      #expect(shown.contains("assistant\n\nsagwa<|im_end|><|im_start|>And pear?<|im_start|>assistant⟦bae<|im_end|>⟧\n"))
    }
  }

  @Test func anAnswerThatIsBegunIsGoneOnWith() throws {
    try withSFT { sft in
      let model = try model(sft)
      func continued(_ text: String) throws -> JSONValue? {
        try sft.write(record("apple?", text), to: "m.json")
        return try sft.succeed(
          "generate", "--messages", "m.json", "--model", model, "--max-new-tokens", "3", "--json"
        ).json()["token_ids"]
      }
      let prompt = "<|im_start|>user\\napple?<|im_end|>\\n<|im_start|>assistant\\nsag"
      try sft.write(#"{"text":"\#(prompt)"}"#, to: "t.jsonl")
      let ids = try sft.succeed("tokenize", "t.jsonl", "--model", model, "--special").json()["ids"]
      try sft.write(record("apple?", "sag"), to: "c.jsonl")
      let rendered = try sft.succeed("render", "c.jsonl", "--model", model, "--continue-final-message").json()
      #expect(rendered["ids"] == ids && ids != nil)
      #expect(try continued("sag") != continued("bae"))
    }
  }

  @Test func longConversationsAreRefusedDroppedOrCut() throws {
    try withSFT { sft in
      let model = try model(sft)
      try sft.write(record("a", "b", "c", "d") + "\n" + record("a", "b"), to: "d.jsonl")
      let base = ["prepare", "d.jsonl", "--model", model, "--val", "0", "--max-length", "24"]
      let refused = try sft.run(base)
      #expect(refused.code == 65 && refused.errors.contains("d.jsonl:1: the record has "))
      let dropped = try sft.run(base + ["--overlong", "drop"])
      #expect(dropped.output.contains("dropped     1 too long"))
      let cut = try sft.run(base + ["--overlong", "truncate"])
      #expect(cut.output.contains("truncated   1 conversation, by whole turns from the start"))
      #expect(try sft.succeed("inspect", "data").output.contains("<|im_start|>user\nc<|im_end|>\n"))
    }
  }

  /// Raised by the template: one line that names the record, or skipped.
  @Test func whatTheTemplateRefusesIsNamed() throws {
    try withSFT { sft in
      let model = try model(
        sft, "{% if messages[0].role == 'assistant' %}{{ raise_exception('no greetings') }}{% endif %}" + Self.template)
      let leading =
        #"{"messages": [{"role": "assistant", "content": "Hi."}, {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}"#
      try sft.write([record("a", "b"), leading].joined(separator: "\n"), to: "d.jsonl")
      let refused = try sft.run("prepare", "d.jsonl", "--model", model)
      #expect(refused.code == 65 && refused.errors.contains("d.jsonl:2: ") && refused.errors.contains("no greetings"))
      let skipped = try sft.succeed("prepare", "d.jsonl", "--model", model, "--skip-bad", "--val", "0")
      #expect(skipped.output.contains("dropped     1 bad"))
    }
  }

  @Test func aPinnedDateIsRecorded() throws {
    try withSFT { sft in
      let model = try model(sft, "{{ strftime_now('%d %b %Y') }}" + Self.template)
      try sft.write(record("a", "b"), to: "d.jsonl")
      let prepared = try sft.succeed("prepare", "d.jsonl", "--model", model, "--val", "0", "--date", "2024-07-26")
        .output
      #expect(prepared.contains("template    model, on 2024-07-26, "))
      #expect(try sft.succeed("inspect", "data").output.contains("26 Jul 2024<|im_start|>"))
    }
  }

  @Test func trainedTurnsAreAnsweredAndEvaluatedInTheSameTemplate() throws {
    try withSFT { sft in
      let model = try model(sft)
      try sft.write((0..<4).map { record("\($0)?", "sagwa \($0)") }.joined(separator: "\n"), to: "d.jsonl")
      try sft.succeed("prepare", "d.jsonl", "--model", model, "--val", "0", "--quiet")
      try sft.succeed("train", "--max-steps", "2", "--batch-size", "2", "--lora-r", "2", "--quiet")
      let losses = try sft.succeed("eval", "--data", "d.jsonl", "--json").json()
      #expect(losses["supervised_tokens"]?.int ?? 0 > 8)
      try sft.write(#"[{"role": "user", "content": "1?"}]"#, to: "m.json")
      let byMessages = try sft.succeed("generate", "--messages", "m.json", "--max-new-tokens", "4", "--json").json()
      let byQuestion = try sft.succeed("generate", "1?", "--max-new-tokens", "4", "--json").json()
      #expect(byMessages == byQuestion)
      try sft.write(record("1?", "sagwa 1", "2?", "sagwa 2"), to: "q.jsonl")
      let comparison = try sft.succeed("compare", "--questions", "q.jsonl", "--max-new-tokens", "2", "--json").json()
      #expect(comparison["items"]?.array?.first?["reference"]?.string == "sagwa 2" || comparison["summary"] != nil)
    }
  }
}
