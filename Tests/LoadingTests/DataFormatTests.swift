import Core
import Loading
import Testing

/// Records of every shape → conversations.
@Suite struct DataFormatTests {
  private func turns(_ record: String, _ options: LoadingOptions = LoadingOptions()) throws -> [[String]] {
    let loaded = try load(record, options)
    try #require(loaded.failure == nil, "\(loaded.failure ?? "")")
    return loaded.conversations.flatMap { $0.turns.map { [$0.role, $0.text] } }
  }

  static let shapes: [(record: String, format: DataFormat, form: Conversation.Form, turns: [[String]])] = [
    (
      #"{"prompt": "x", "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}"#,
      .messages, .messages, [["user", "a"], ["assistant", "b"]]
    ),
    (
      #"{"system": "s", "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}"#,
      .sharegpt, .messages, [["system", "s"], ["user", "a"], ["assistant", "b"]]
    ),
    (
      #"{"prompt": "a", "completion": "b", "text": "c"}"#, .completion, .completion,
      [["user", "a"], ["assistant", "b"]]
    ),
    (
      #"{"prompt": [{"role": "user", "content": "a"}], "completion": [{"role": "assistant", "content": "b"}]}"#,
      .completion, .messages, [["user", "a"], ["assistant", "b"]]
    ),
    (
      #"{"instruction": "a", "input": "i", "output": "b", "system": "s", "history": [["q", "r"]], "text": "c"}"#,
      .alpaca, .instruction,
      [["system", "s"], ["user", "q"], ["assistant", "r"], ["user", "a\ni"], ["assistant", "b"]]
    ),
    (
      #"{"instruction": "a", "context": "c", "response": "b"}"#, .qa, .instruction,
      [["user", "a\nc"], ["assistant", "b"]]
    ),
    (#"{"question": "a", "answer": "b"}"#, .qa, .instruction, [["user", "a"], ["assistant", "b"]]),
    (#"{"질문": "배는?", "답변": "pear"}"#, .qa, .instruction, [["user", "배는?"], ["assistant", "pear"]]),
    (#"{"text": "all of it"}"#, .text, .text, [["assistant", "all of it"]]),
  ]

  @Test(arguments: shapes) func recordsAreToldApartByTheirMembers(
    _ record: String, _ format: DataFormat, _ form: Conversation.Form, _ expected: [[String]]
  ) throws {
    for text in [record, "[\(record)]", record + "\n" + record] {
      let loaded = try load(text)
      #expect(loaded.failure == nil && loaded.report?.formats == [format])
      for conversation in loaded.conversations {
        #expect(conversation.form == form && conversation.turns.map { [$0.role, $0.text] } == expected)
      }
    }
  }

  @Test func theFormatCanBeForced() throws {
    let record = #"{"instruction": "a", "output": "b", "text": "c"}"#
    #expect(try turns(record, LoadingOptions(format: .text)) == [["assistant", "c"]])
    #expect(try load(record, LoadingOptions(format: .messages)).failure == "F:1: the record has no \"messages\".")
  }

  /// A column that is null in every record says nothing.
  @Test func nullMembersAreNotCounted() throws {
    #expect(try load(#"{"messages": null, "question": "a", "answer": "b"}"#).report?.formats == [.qa])
  }

  @Test func messagesKeepWhatElseTheyHold() throws {
    let loaded = try load(
      #"""
      {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "name": "Kim"},
      {"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "f", "arguments": {"x": 1}}}]},
      {"role": "tool", "content": "3", "tool_call_id": "1", "x": null}, {"role": "assistant", "content": ""},
      {"from": "gpt", "value": "c"}],
      "tools": "[{\"type\": \"function\"}]"}
      """#.split(separator: "\n").joined())
    let conversation = try #require(loaded.conversations.first, "\(loaded.failure ?? "")")
    #expect(conversation.turns.map(\.content) == ["ab", nil, "3", "", "c"])
    #expect(conversation.turns[0].members == #"{"name":"Kim"}"#)
    #expect(conversation.turns[1].members == #"{"tool_calls":[{"function":{"name":"f","arguments":{"x":1}}}]}"#)
    #expect(conversation.turns[2].members == #"{"tool_call_id":"1"}"#)
    #expect(conversation.turns.map(\.role) == ["user", "assistant", "tool", "assistant", "assistant"])
    #expect(conversation.tools == #"[{"type":"function"}]"#)
  }

  @Test func shareGPTsRolesAreMapped() throws {
    let record = #"""
      {"conversations": [{"from": "Human", "value": "a"}, {"from": "function_call", "value": "{\"name\": \"f\"}"},
      {"from": "observation", "value": "3"}, {"from": "function_call", "value": "not JSON"},
      {"from": "chatgpt", "value": "b"}, {"from": "narrator", "value": "c"}]}
      """#.split(separator: "\n").joined()
    let conversation = try #require(try load(record).conversations.first)
    #expect(
      conversation.turns.map(\.role) == ["user", "assistant", "tool", "assistant", "assistant", "narrator"])
    #expect(conversation.turns[1].members == #"{"tool_calls":[{"type":"function","function":{"name":"f"}}]}"#)
    #expect(conversation.turns[1].content == nil && conversation.turns[3].content == "not JSON")
  }

  @Test func messagesMayBeLeftOutOfTraining() throws {
    let record = #"""
      {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0},
      {"role": "user", "content": "c", "train": true}, {"role": "assistant", "content": "d", "train": false},
      {"role": "assistant", "content": "e", "weight": 1}]}
      """#.split(separator: "\n").joined()
    #expect(try load(record).conversations.first?.turns.map(\.isExcluded) == [false, true, false, true, false])
    // A prompt is never trained, whoever speaks in it.
    let prompt = #"""
      {"prompt": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
      "completion": [{"role": "assistant", "content": "c"}]}
      """#.split(separator: "\n").joined()
    #expect(try load(prompt).conversations.first?.turns.map(\.isExcluded) == [true, true, false])
  }

  static let bad: [(record: String, message: String)] = [
    (#"{"messages": "hello"}"#, "\"messages\" must be a list of messages, but is a string."),
    (#"{"messages": []}"#, "the record has no message of the assistant, so there is nothing to learn from it."),
    (
      #"{"messages": [{"role": "user", "content": "a"}]}"#,
      "the record has no message of the assistant, so there is nothing to learn from it."
    ),
    (
      #"{"messages": ["a"]}"#, "message 1 of \"messages\" must be an object with role and content, but is a string."
    ),
    (#"{"messages": [{"content": "a"}]}"#, "message 1 of \"messages\" has no \"role\"."),
    (
      #"{"messages": [{"role": 1, "content": "a"}]}"#,
      "the role of message 1 of \"messages\" must be a string with something in it, but is a number."
    ),
    (
      #"{"messages": [{"role": "user", "content": null}]}"#,
      "message 1 of \"messages\" has neither content nor tool calls."
    ),
    (
      #"{"messages": [{"role": "user", "content": 3}]}"#,
      "the content of message 1 of \"messages\" must be a string, but is a number."
    ),
    (
      #"{"messages": [{"role": "user", "content": [{"type": "image", "image": "x"}]}]}"#,
      "the content of message 1 of \"messages\" has a part that is no text, but \"image\"."
    ),
    (
      #"{"messages": [{"role": "user", "content": "a", "weight": 0.5}]}"#,
      "\"weight\" of message 1 of \"messages\" must be 0 or 1."
    ),
    (
      #"{"messages": [{"role": "user", "content": "a", "train": "no"}]}"#,
      "\"train\" of message 1 of \"messages\" must be true or false, but is a string."
    ),
    (
      #"{"messages": [{"role": "assistant", "content": "a"}], "tools": "[{"}"#,
      "\"tools\" is a string that is not JSON."
    ),
    (
      #"{"messages": [{"role": "assistant", "role": "user", "content": "a"}]}"#,
      "holds the name \"role\" twice in one object."
    ),
    (#"{"prompt": "a", "completion": " "}"#, "\"completion\" is empty, so there is nothing to learn from this record."),
    (#"{"text": ""}"#, "\"text\" is empty, so there is nothing to learn from this record."),
    (
      #"{"instruction": "a", "output": "b", "history": [["q"]]}"#,
      "element 1 of \"history\" must be a question and an answer, two strings."
    ),
  ]

  @Test(arguments: bad) func aBadRecordIsOneErrorOrSkipped(_ record: String, _ message: String) throws {
    #expect(try load("\n" + record).failure == "F:2: " + message)
    let names = ["messages", "prompt", "text", "instruction"]
    let good = [
      #"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}"#,
      #"{"prompt": "a", "completion": "b"}"#, #"{"text": "a"}"#, #"{"instruction": "a", "output": "b"}"#,
    ]
    let index = try #require(names.firstIndex { record.hasPrefix("{\"\($0)\"") })
    let loaded = try load([good[index], record, good[index]].joined(separator: "\n"), LoadingOptions(skipBad: true))
    #expect(loaded.lines == [1, 3] && loaded.skipped == ["F:2: " + message])
  }
}
