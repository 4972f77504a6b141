import Core
import JSON
import Templating
import Testing

@Suite struct BuiltInChatTemplateTests {
  private static let messages = #"""
    [{"role":"system","content":"Be brief."},{"role":"user","content":" 안녕? "},
    {"role":"assistant","content":" Hi. "},{"role":"user","content":"Bye"}]
    """#

  static func parse(_ text: String) throws -> JSONValue {
    try Array(text.utf8).withUnsafeBytes { try parseJSON($0, file: "test") }
  }

  private func render(
    _ name: String, _ messages: String = Self.messages, tools: JSONValue? = nil, addGenerationPrompt: Bool = true
  ) throws -> String {
    let template = try #require(
      try ChatTemplate.builtIn(name, specialTokens: ["bos_token": "<bos>", "eos_token": "</s>"]))
    let date = try #require(PinnedDate("2024-07-26"))
    return try template.render(
      messages: Self.parse(messages).array ?? [], tools: tools, addGenerationPrompt: addGenerationPrompt, date: date
    ).text
  }

  @Test(arguments: [
    (
      "chatml",
      """
      <|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n 안녕? <|im_end|>\n<|im_start|>assistant\n Hi. <|im_end|>
      <|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n
      """
    ),
    (
      "qwen",
      """
      <|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n 안녕? <|im_end|>\n<|im_start|>assistant\n Hi. <|im_end|>
      <|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n
      """
    ),
    (
      "llama2",
      """
      <bos>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\n 안녕? [/INST] Hi. </s><bos>[INST] Bye [/INST]
      """
    ),
    (
      "llama3",
      """
      <bos><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|><|start_header_id|>user<|end_header_id|>\n
      안녕?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nHi.<|eot_id|><|start_header_id|>user\
      <|end_header_id|>\n\nBye<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n
      """
    ),
    (
      "gemma",
      """
      <bos><start_of_turn>user\nBe brief.\n\n안녕?<end_of_turn>\n<start_of_turn>model\nHi.<end_of_turn>
      <start_of_turn>user\nBye<end_of_turn>\n<start_of_turn>model\n
      """
    ),
    ("mistral", "<bos>[INST] Be brief.\n\n 안녕?  [/INST] Hi.</s>[INST] Bye [/INST]"),
    (
      "phi",
      """
      <|system|>\nBe brief.<|end|>\n<|user|>\n 안녕? <|end|>\n<|assistant|>\n Hi. <|end|>\n<|user|>\nBye<|end|>
      <|assistant|>\n
      """
    ),
    (
      "zephyr",
      """
      <|system|>\nBe brief.</s>\n<|user|>\n 안녕? </s>\n<|assistant|>\n Hi. </s>\n<|user|>\nBye</s>\n<|assistant|>\n
      """
    ),
  ])
  func eachTemplateWritesItsFamilysTurns(name: String, expected: String) throws {
    #expect(try render(name) == expected)
  }

  @Test func everyNameHasATemplate() throws {
    #expect(
      ChatTemplate.builtInNames == ["chatml", "llama2", "llama3", "gemma", "mistral", "phi", "zephyr", "qwen"])
    for name in ChatTemplate.builtInNames { #expect(try ChatTemplate.builtIn(name, specialTokens: [:]) != nil) }
    #expect(try ChatTemplate.builtIn("none of them", specialTokens: [:]) == nil)
  }

  @Test func withoutAGenerationPromptTheLastTurnEndsTheText() throws {
    let messages = #"[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]"#
    #expect(try render("llama3", messages, addGenerationPrompt: false).hasSuffix("\n\nb<|eot_id|>"))
    #expect(try render("gemma", messages, addGenerationPrompt: false).hasSuffix("model\nb<end_of_turn>\n"))
    #expect(try render("mistral", messages, addGenerationPrompt: false) == "<bos>[INST] a [/INST] b</s>")
  }

  @Test func partsOfTextAreWrittenOneAfterAnother() throws {
    let messages = #"[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]"#
    #expect(try render("chatml", messages, addGenerationPrompt: false) == "<|im_start|>user\nab<|im_end|>\n")
  }

  @Test func qwenDescribesToolsAndWritesCalls() throws {
    let messages = #"""
      [{"role":"user","content":"Weather?"},
      {"role":"assistant","content":null,"tool_calls":[{"function":{"name":"w","arguments":{"city":"서울"}}}]},
      {"role":"tool","content":"맑음"},{"role":"assistant","content":"Sunny."}]
      """#
    let text = try render("qwen", messages, tools: Self.parse(#"[{"name":"w"}]"#), addGenerationPrompt: false)
    #expect(text.hasPrefix("<|im_start|>system\nYou are a helpful assistant.\n\n# Tools\n\n"))
    #expect(text.contains("<tools>\n{\"name\": \"w\"}\n</tools>"))
    #expect(
      text.hasSuffix(
        """
        <|im_start|>user\nWeather?<|im_end|>\n<|im_start|>assistant\n<tool_call>\n{"name": "w", "arguments": \
        {"city": "서울"}}\n</tool_call><|im_end|>\n<|im_start|>user\n<tool_response>\n맑음\n</tool_response><|im_end|>
        <|im_start|>assistant\nSunny.<|im_end|>\n
        """))
  }

  @Test(arguments: ["llama2", "mistral", "gemma"])
  func turnsOutOfOrderAreRefusedWithTheirNumber(name: String) throws {
    let messages = #"[{"role":"system","content":"s"},{"role":"assistant","content":"a"}]"#
    let failure = try #require(throws: ChatTemplateFailure.self) { try render(name, messages) }
    #expect(failure.reason == .refused)
    #expect(failure.message.hasSuffix("but message 2 is from assistant"))
    let error = failure.error(file: "chats.jsonl", line: 7)
    #expect(error.description.hasPrefix("chats.jsonl:7: the chat template \(name), line "))
  }
}
