import Core
import JSON

/// What is wrong with a record, one sentence without its place.
struct RecordFault: Error {
  var message: String

  init(_ message: String) { self.message = message }
}

/// Lists of messages → turns, whichever of the two usual pairs of names their members have.
struct MessageReader {
  /// ShareGPT has names of its own for tools' turns.
  let isShareGPT: Bool

  func turns(_ value: JSONValue, name: String) throws(RecordFault) -> [Conversation.Turn] {
    guard let messages = value.array else {
      throw RecordFault("\"\(name)\" must be a list of messages, but is \(value.kind)")
    }
    var turns: [Conversation.Turn] = []
    turns.reserveCapacity(messages.count)
    for (index, message) in messages.enumerated() {
      turns.append(try turn(message, "message \(index + 1) of \"\(name)\""))
    }
    return turns
  }

  private func turn(_ message: JSONValue, _ place: String) throws(RecordFault) -> Conversation.Turn {
    guard let object = message.object else {
      throw RecordFault("\(place) must be an object with role and content, but is \(message.kind)")
    }
    guard let said = object["role"] ?? object["from"], !said.isNull else {
      throw RecordFault("\(place) has no \"role\"")
    }
    guard let name = said.string, !name.isEmpty else {
      throw RecordFault("the role of \(place) must be a string with something in it, but is \(said.kind)")
    }
    var others = object.members.filter { !Self.ownMembers.contains($0.key) && !$0.value.isNull }
    var content = try content(object["content"] ?? object["value"] ?? .null, place)
    if isShareGPT, name == "function_call", let text = content, let calls = Self.toolCalls(text) {
      others.append((key: "tool_calls", value: calls))
      content = nil
    }
    let role = role(name)
    guard content != nil || object["tool_calls"]?.array?.isEmpty == false || !others.isEmpty else {
      throw RecordFault("\(place) has neither content nor tool calls")
    }
    return Conversation.Turn(
      role: role, content: content, members: others.isEmpty ? "" : JSONValue.object(JSONObject(others)).serialized,
      isExcluded: try isExcluded(object, place))
  }

  /// Members that a turn holds by itself.
  private static let ownMembers: Set = ["role", "from", "content", "value", "weight", "train"]

  private static let synonyms = [
    "user": Role.user, "human": Role.user, "prompter": Role.user, "assistant": Role.assistant, "gpt": Role.assistant,
    "bot": Role.assistant, "model": Role.assistant, "chatgpt": Role.assistant, "ai": Role.assistant,
    "system": Role.system,
  ]

  private func role(_ name: String) -> String {
    let lower = name.lowercased()
    if isShareGPT {
      if ["tool", "observation", "function", "ipython"].contains(lower) { return Role.tool }
      if lower == "function_call" { return Role.assistant }
    }
    return Self.synonyms[lower] ?? name
  }

  /// Texts of parts are joined; nil where there is none.
  private func content(_ value: JSONValue, _ place: String) throws(RecordFault) -> String? {
    switch value {
    case .null: return nil
    case .string(let text): return text
    case .array(let parts):
      var text = ""
      for part in parts {
        guard let piece = part.string ?? part["text"]?.string, part["type"]?.string ?? "text" == "text" else {
          throw RecordFault(
            "the content of \(place) has a part that is no text"
              + (part["type"]?.string.map { ", but \"\($0.prefix(40))\"" } ?? ""))
        }
        text += piece
      }
      return text
    default: throw RecordFault("the content of \(place) must be a string, but is \(value.kind)")
    }
  }

  /// OpenAI's weight of 0, and axolotl's `train`.
  private func isExcluded(_ message: JSONObject, _ place: String) throws(RecordFault) -> Bool {
    switch message["train"] {
    case nil, .null, .bool(true): break
    case .bool(false): return true
    case let other?: throw RecordFault("\"train\" of \(place) must be true or false, but is \(other.kind)")
    }
    guard let weight = message["weight"], !weight.isNull else { return false }
    guard let number = weight.double, number == 0 || number == 1 else {
      throw RecordFault("\"weight\" of \(place) must be 0 or 1")
    }
    return number == 0
  }

  /// ShareGPT's call or list of calls, written as JSON, as messages have them; nil for anything else.
  private static func toolCalls(_ text: String) -> JSONValue? {
    let value = Array(text.utf8).withUnsafeBytes { try? parseJSON($0, file: "") }
    guard let calls = value?.array ?? value.map({ [$0] }), !calls.isEmpty,
      calls.allSatisfy({ $0["name"]?.string != nil })
    else { return nil }
    return .array(
      calls.map { .object(JSONObject([("type", .string("function")), ("function", $0)])) })
  }
}
