import JSON

/// The messages of a chat request as templates take them.
enum Messages {
  /// Checks them and joins texts that come in parts. Members other than `role` and `content` stay as they are.
  static func read(_ value: JSONValue?) throws(APIError) -> JSONValue {
    guard let value else {
      throw .invalid("'messages' is missing.", "messages", code: "missing_required_parameter")
    }
    guard let messages = value.array else { throw RequestFields.wrongKind("messages", "an array", value) }
    guard !messages.isEmpty else { throw .invalid("'messages' must not be empty.", "messages") }
    var read: [JSONValue] = []
    read.reserveCapacity(messages.count)
    for (index, message) in messages.enumerated() { read.append(try one(message, "messages[\(index)]")) }
    return .array(read)
  }

  private static func one(_ message: JSONValue, _ place: String) throws(APIError) -> JSONValue {
    guard var object = message.object else { throw RequestFields.wrongKind(place, "an object", message) }
    let role = object["role"] ?? .null
    guard let name = role.string else { throw RequestFields.wrongKind(place + ".role", "a string", role) }
    guard !name.isEmpty else { throw .invalid("'\(place).role' must not be empty.", place + ".role") }
    guard let index = object.members.firstIndex(where: { $0.key == "content" }) else { return message }
    let content = object.members[index].value
    switch content {
    case .string, .null: return message
    case .array(let parts):
      object.members[index].value = .string(try text(parts, place + ".content"))
      return .object(object)
    default: throw RequestFields.wrongKind(place + ".content", "a string or an array of parts", content)
    }
  }

  private static func text(_ parts: [JSONValue], _ place: String) throws(APIError) -> String {
    var text = ""
    for (index, part) in parts.enumerated() {
      let place = "\(place)[\(index)]"
      guard let object = part.object else { throw RequestFields.wrongKind(place, "an object", part) }
      let type = object["type"] ?? .null
      guard type.string == "text" else {
        throw .invalid("'\(place)' is no text; this server's models take nothing else.", place + ".type")
      }
      let piece = object["text"] ?? .null
      guard let piece = piece.string else { throw RequestFields.wrongKind(place + ".text", "a string", piece) }
      text += piece
    }
    return text
  }
}
