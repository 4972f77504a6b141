import Core
import JSON

/// Records of every format but Alpaca's → conversations.
struct RecordReader {
  let format: DataFormat

  /// The record's turns, not yet checked for something to learn.
  func conversation(_ record: JSONObject) throws(RecordFault) -> Conversation {
    switch format {
    case .messages: try messages(record, member("messages", of: record), isShareGPT: false)
    case .sharegpt: try shareGPT(record)
    case .completion: try completion(record)
    case .text: try text(record)
    case .qa: try question(record)
    case .alpaca: try alpaca(record)
    }
  }

  private func messages(
    _ record: JSONObject, _ list: (name: String, value: JSONValue), isShareGPT: Bool
  ) throws(RecordFault) -> Conversation {
    var turns = try MessageReader(isShareGPT: isShareGPT).turns(unquoted(list.value), name: list.name)
    if let system = try optionalText("system", of: record), !isBlank(system), turns.first?.role != Role.system {
      turns.insert(Conversation.Turn(role: Role.system, content: system), at: 0)
    }
    return Conversation(form: .messages, turns: turns, tools: try tools(record))
  }

  private func shareGPT(_ record: JSONObject) throws(RecordFault) -> Conversation {
    let name = record["conversations"] == nil && record["conversation"] != nil ? "conversation" : "conversations"
    return try messages(record, member(name, of: record), isShareGPT: true)
  }

  private func completion(_ record: JSONObject) throws(RecordFault) -> Conversation {
    let (prompt, completion) = (try member("prompt", of: record).value, try member("completion", of: record).value)
    if prompt.array != nil || completion.array != nil {
      let reader = MessageReader(isShareGPT: false)
      var turns = try reader.turns(prompt, name: "prompt")
      for index in turns.indices { turns[index].isExcluded = true }
      return Conversation(
        form: .messages, turns: turns + (try reader.turns(completion, name: "completion")), tools: try tools(record))
    }
    return exchange(
      .completion, try optionalText("prompt", of: record) ?? "", "", try answer(of: record, "completion"))
  }

  private func text(_ record: JSONObject) throws(RecordFault) -> Conversation {
    Conversation(
      form: .text, turns: [Conversation.Turn(role: Role.assistant, content: try answer(of: record, "text"))])
  }

  private func question(_ record: JSONObject) throws(RecordFault) -> Conversation {
    guard let names = QuestionNames(in: Set(record.keys)) else {
      throw RecordFault("the record has no question with an answer")
    }
    let question = try requiredText(names.question, of: record)
    if isBlank(question) { throw RecordFault("\"\(names.question)\" is empty") }
    let context = try optionalText("context", of: record) ?? ""
    let answer = try answer(of: record, names.answer)
    return try withSystem(record, exchange(.instruction, question, context, answer))
  }

  /// With what stands before the question: `system`, and `history`, a list of pairs.
  private func alpaca(_ record: JSONObject) throws(RecordFault) -> Conversation {
    let instruction = try requiredText("instruction", of: record)
    let input = try optionalText("input", of: record) ?? ""
    let output = try answer(of: record, "output")
    if isBlank(instruction), isBlank(input) { throw RecordFault("\"instruction\" and \"input\" are both empty") }
    var conversation = exchange(.instruction, instruction, input, output)
    var earlier: [Conversation.Turn] = []
    for (question, answer) in try history(record) { earlier += exchange(.instruction, question, "", answer).turns }
    conversation.turns = earlier + conversation.turns
    return try withSystem(record, conversation)
  }

  private func history(_ record: JSONObject) throws(RecordFault) -> [(question: String, answer: String)] {
    guard let history = record["history"].map(unquoted), !history.isNull else { return [] }
    if let text = history.string, isBlank(text) { return [] }
    guard let pairs = history.array else {
      throw RecordFault("\"history\" must be a list of pairs, but is \(history.kind)")
    }
    var texts: [(String, String)] = []
    for (index, pair) in pairs.enumerated() {
      guard let pair = pair.array, pair.count == 2, let question = pair[0].string, let answer = pair[1].string else {
        throw RecordFault("element \(index + 1) of \"history\" must be a question and an answer, two strings")
      }
      texts.append((question, answer))
    }
    return texts
  }

  private func withSystem(
    _ record: JSONObject, _ conversation: Conversation
  ) throws(RecordFault) -> Conversation {
    let texts = [try optionalText("system", of: record), try optionalText("system_prompt", of: record)]
    guard let system = texts.compactMap(\.self).first, !isBlank(system) else { return conversation }
    var conversation = conversation
    conversation.turns.insert(Conversation.Turn(role: Role.system, content: system), at: 0)
    return conversation
  }

  private func exchange(
    _ form: Conversation.Form, _ question: String, _ input: String, _ answer: String
  ) -> Conversation {
    Conversation(
      form: form,
      turns: [
        Conversation.Turn(role: Role.user, content: question, input: input),
        Conversation.Turn(role: Role.assistant, content: answer),
      ])
  }

  // MARK: - Members

  private func member(_ name: String, of record: JSONObject) throws(RecordFault) -> (name: String, value: JSONValue) {
    guard let value = record[name] else { throw RecordFault("the record has no \"\(name)\"") }
    return (name, value)
  }

  private func requiredText(_ name: String, of record: JSONObject) throws(RecordFault) -> String {
    let value = try member(name, of: record).value
    guard let text = value.string else { throw RecordFault("\"\(name)\" must be a string, but is \(value.kind)") }
    return text
  }

  private func answer(of record: JSONObject, _ name: String) throws(RecordFault) -> String {
    let text = try requiredText(name, of: record)
    if isBlank(text) { throw RecordFault("\"\(name)\" is empty, so there is nothing to learn from this record") }
    return text
  }

  private func optionalText(_ name: String, of record: JSONObject) throws(RecordFault) -> String? {
    guard let value = record[name], !value.isNull else { return nil }
    guard let text = value.string else { throw RecordFault("\"\(name)\" must be a string, but is \(value.kind)") }
    return text
  }

  /// A list, or JSON that is one.
  private func tools(_ record: JSONObject) throws(RecordFault) -> String {
    guard let value = record["tools"], !value.isNull else { return "" }
    var tools = value
    if let text = value.string {
      if isBlank(text) { return "" }
      guard let parsed = Array(text.utf8).withUnsafeBytes({ try? parseJSON($0, file: "") }) else {
        throw RecordFault("\"tools\" is a string that is not JSON")
      }
      tools = parsed
    }
    guard let list = tools.array else { throw RecordFault("\"tools\" must be a list, but is \(tools.kind)") }
    return list.isEmpty ? "" : tools.serialized
  }
}

/// The list that a text holds as JSON, as in a column of a table, where nothing but texts can stand; anything else as it is.
private func unquoted(_ value: JSONValue) -> JSONValue {
  guard let text = value.string, text.first(where: { !$0.isWhitespace }) == "[",
    let parsed = Array(text.utf8).withUnsafeBytes({ try? parseJSON($0, file: "") })
  else { return value }
  return parsed
}

/// Nothing but white space; nearly always decided by the first byte.
func isBlank(_ text: String) -> Bool {
  text.unicodeScalars.allSatisfy { scalar in
    scalar.isASCII ? scalar == " " || (0x09...0x0d).contains(scalar.value) : scalar.properties.isWhitespace
  }
}
