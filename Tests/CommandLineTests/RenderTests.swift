import Core
import Files
import JSON
import TestSupport
import Testing

@Suite struct RenderTests {
  /// A folder with the tiny model's tokenizer, whose `<|endoftext|>` is special, and a template.
  private func withModel(_ template: String?, _ body: (SFTBinary, String) throws -> Void) throws {
    try withSFT { sft in
      let folder = sft.path("model")
      try createDirectory(folder)
      for name in ["tokenizer.json", "tokenizer_config.json"] where try fileExists("\(SFTBinary.model)/\(name)") {
        try writeAtomically(
          try String(decoding: readFile("\(SFTBinary.model)/\(name)"), as: UTF8.self), to: "\(folder)/\(name)")
      }
      if let template { try writeAtomically(template, to: folder + "/chat_template.jinja") }
      try body(sft, folder)
    }
  }

  private let source = """
    {% for m in messages %}{{ m.role + ':' + m.content + '<|endoftext|>' }}{% endfor %}
    {% if add_generation_prompt %}assistant:{% endif %}{{ x }}
    """

  @Test func aConversationBecomesTextAndIds() throws {
    try withModel(source) { sft, folder in
      try sft.write(#"{"messages":[{"role":"user","content":"<|endoftext|>"}]}"# + "\n", to: "chats.jsonl")
      let plain = try sft.run("render", "chats.jsonl", "--model", folder).jsonLines()
      #expect(plain.map { $0["text"]?.string } == ["user:<|endoftext|><|endoftext|>"])
      let ids = (plain.first?["ids"]?.array ?? []).compactMap(\.int)
      // The template's own is the special token, a message's is text.
      #expect(ids.filter { $0 == ids.last }.count == 1)
      let more = try sft.run(
        "render", "chats.jsonl", "--model", folder, "--add-generation-prompt", "--variables", #"{"x":"!"}"#, "--pieces"
      ).jsonLines()
      #expect(more.first?["text"]?.string == "user:<|endoftext|><|endoftext|>assistant:!")
      #expect(
        more.first?["pieces"]?.serialized == """
          [{"text":"user:","origin":"template"},{"text":"<|endoftext|>","origin":"data","message":0},\
          {"text":"<|endoftext|>assistant:","origin":"template"},{"text":"!","origin":"data"}]
          """)
    }
  }

  @Test func theLastMessageMayBeLeftOpen() throws {
    try withModel(source) { sft, folder in
      let silent = #"{"messages":[{"role":"user","content":null}]}"#
      try sft.write(
        #"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b "}]}"# + "\n" + silent,
        to: "c.jsonl")
      let outcome = try sft.run("render", "c.jsonl", "--model", folder, "--continue-final-message")
      #expect(try outcome.jsonLines().map { $0["text"]?.string } == ["user:a<|endoftext|>assistant:b "])
      #expect(outcome.code == 65 && outcome.errors.contains("c.jsonl:2: the last message has no text to go on with."))
      let both = try sft.run(
        "render", "c.jsonl", "--model", folder, "--continue-final-message", "--add-generation-prompt")
      #expect(both.code == 64)
    }
  }

  @Test func aRefusalNamesTheRecordAndTheTemplatesLine() throws {
    try withModel("\n{{ raise_exception('no ' ~ messages[0].role) }}") { sft, folder in
      try sft.write("\n" + #"{"messages":[{"role":"user","content":"a"}]}"#, to: "chats.jsonl")
      let outcome = try sft.run("render", "chats.jsonl", "--model", folder)
      #expect(outcome.code == 65)
      #expect(
        outcome.errors.contains(
          "chats.jsonl:2: the chat template \(folder)/chat_template.jinja, line 2, refuses the conversation: no user."))
    }
  }

  @Test func aModelWithoutATemplateAsksForOne() throws {
    try withModel(nil) { sft, folder in
      try sft.write(#"{"messages":[{"role":"user","content":"a"}],"tools":"[]"}"#, to: "chats.jsonl")
      let outcome = try sft.run("render", "chats.jsonl", "--model", folder)
      #expect(outcome.code == 65 && outcome.errors.contains("the model has no chat template"))
      let chosen = try sft.run("render", "chats.jsonl", "--model", folder, "--template", "chatml").jsonLines()
      #expect(chosen.first?["text"]?.string == "<|im_start|>user\na<|im_end|>\n")
      #expect(try sft.run("render", "chats.jsonl", "--model", folder, "--template", "nosuch.jinja").code == 66)
      #expect(try sft.run("render", "chats.jsonl", "--model", folder, "--template", "alpaca").code == 64)
    }
  }

  @Test func theDateCanBePinned() throws {
    try withModel("{{ strftime_now('%d %b %Y') }}") { sft, folder in
      try sft.write(#"{"messages":[{"role":"user","content":"a"}]}"#, to: "chats.jsonl")
      let pinned = try sft.run("render", "chats.jsonl", "--model", folder, "--date", "2024-07-26")
      #expect(try pinned.jsonLines().first?["text"]?.string == "26 Jul 2024")
      #expect(!pinned.errors.contains("writes the date"))
      #expect(try sft.run("render", "chats.jsonl", "--model", folder).errors.contains("The template writes the date"))
      #expect(try sft.run("render", "chats.jsonl", "--model", folder, "--date", "today").code == 64)
    }
  }

  @Test func whatIsNoConversationIsNamedWithItsLine() throws {
    try withModel(source) { sft, folder in
      for (line, words) in [
        ("{}", "has no list 'messages'"), (#"{"messages":[]}"#, "a conversation has no messages"),
        (#"{"messages":[1]}"#, "a message is a number"),
        (#"{"messages":[{"role":"user","content":"a"}],"tools":{}}"#, "'tools' is not a list of objects"),
      ] {
        try sft.write(line, to: "chats.jsonl")
        let outcome = try sft.run("render", "chats.jsonl", "--model", folder)
        #expect(outcome.code == 65 && outcome.errors.contains("chats.jsonl:1: \(words)"), "\(outcome.errors)")
      }
    }
  }
}
