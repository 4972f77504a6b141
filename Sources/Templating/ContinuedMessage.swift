import Core
import Jinja
import JSON

/// A conversation whose last message is begun and to be gone on with, as transformers' `continue_final_message` has it.
package struct ContinuedMessage {
  /// transformers' own: what a template does to text that ends in a space shows in what follows it.
  private static let mark = "CONTINUE_FINAL_MESSAGE_TAG"

  /// To be rendered without asking for an answer.
  package let messages: [JSONValue]
  private let said: String

  /// nil where the last message has no text: neither `content` that is a string nor a list with a part of text.
  package init?(_ messages: [JSONValue]) {
    guard let last = messages.last?.object, let content = last["content"] else { return nil }
    let marked: JSONValue
    switch content {
    case .string(let text): (said, marked) = (text, .string(text + Self.mark + " "))
    case .array(var parts):
      guard let place = parts.lastIndex(where: { $0["text"]?.string != nil }), var part = parts[place].object,
        let text = part["text"]?.string
      else { return nil }
      part.members = part.members.map {
        $0.key == "text" ? (key: $0.key, value: .string(text + Self.mark + " ")) : $0
      }
      parts[place] = .object(part)
      (said, marked) = (text, .array(parts))
    default: return nil
    }
    var message = last
    message.members = message.members.map { $0.key == "content" ? (key: $0.key, value: marked) : $0 }
    self.messages = messages.dropLast() + [.object(message)]
  }

  /// What was rendered up to the end of what the message says: white space after it is left out where the template takes
  /// it away.
  ///
  /// Throws `badData` where the template does not write the message as it is.
  package func cut(_ pieces: [RenderedPiece]) throws -> [RenderedPiece] {
    let text = pieces.text
    let scalars = said.unicodeScalars.drop(while: isPythonSpace)
    let stripped = scalars.lastIndex { !isPythonSpace($0) }.map { String(scalars[...$0]) } ?? ""
    guard let place = text.utf8.ranges(of: Self.mark.utf8).last, text.utf8.contains(stripped.utf8) || stripped.isEmpty
    else {
      throw SFTError(
        .badData, "the template does not write the last message as it is, so that it cannot be gone on with",
        advice: "Let the conversation end before it, or name another template with \(OptionName.template)")
    }
    var end = text.utf8.distance(from: text.startIndex, to: place.lowerBound)
    if text.utf8[place.upperBound...].first != 0x20 {
      let before = text.unicodeScalars[..<place.lowerBound]
      let last = before.lastIndex { !isPythonSpace($0) }.map { before.index(after: $0) } ?? before.startIndex
      end = text.utf8.distance(from: text.startIndex, to: last)
    }
    return pieces.bytes(0..<end)
  }
}
