import Core
import JSON

extension Conversation.Turn {
  /// As chat templates take it. Members that it holds come after role and content.
  package var message: JSONValue {
    get throws {
      var members: [(key: String, value: JSONValue)] = [("role", .string(role))]
      if content != nil { members.append(("content", .string(text))) }
      if !self.members.isEmpty {
        members += try Array(self.members.utf8).withUnsafeBytes { try parseJSON($0, file: "") }.object?.members ?? []
      }
      return .object(JSONObject(members))
    }
  }

  var callsTools: Bool { !members.isEmpty && members.contains("\"tool_calls\"") }

  /// An answer with something to learn.
  var isAnswer: Bool { role == Role.assistant && !isExcluded && !isEmpty }

  /// Neither text nor anything else that a template may write.
  var isEmpty: Bool { members.isEmpty && text.unicodeScalars.allSatisfy(\.properties.isWhitespace) }
}

extension Conversation {
  package var toolsValue: JSONValue? {
    get throws { tools.isEmpty ? nil : try Array(tools.utf8).withUnsafeBytes { try parseJSON($0, file: "") } }
  }

  /// Without `count` turns from the start, those of the system in front kept.
  func droppingTurns(_ count: Int) -> Conversation {
    var shorter = self
    let system = turns.prefix { $0.role == Role.system }.count
    shorter.turns.removeSubrange(system..<system + count)
    return shorter
  }
}
