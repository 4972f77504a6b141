import Core
import JSON

/// The reasoning that a message of the assistant holds, in its text or apart from it.
struct Thought {
  private enum Place {
    /// In the text, before a closing mark.
    case text(String)
    /// In a member of the message beside its text.
    case member(String)
  }

  private let place: Place

  /// nil where there is none.
  init?(_ message: JSONValue) {
    let content = message["content"]?.string ?? ""
    if Self.closes(content) {
      place = .text(content)
      return
    }
    let member = ["reasoning_content", "thinking", "reasoning"].lazy.compactMap { message[$0]?.string }.first
    guard let member, !OuterSpaces(member).text.isEmpty else { return nil }
    place = .member(member)
  }

  /// Whether what a template writes of the message is without it.
  func isMissing(in written: [RenderedPiece]) -> Bool {
    let text = written.text
    return switch place {
    case .text: !Self.closes(text)
    case .member(let thought): !text.utf8.contains(OuterSpaces(thought).text.utf8)
    }
  }

  private static func closes(_ text: String) -> Bool {
    text.utf8.contains(UInt8(ascii: "/")) && ["</think", "[/THINK]"].contains { text.utf8.contains($0.utf8) }
  }

  /// Reasoning, its closing mark and the answer as a template writes it, whose prompt has opened the reasoning; nil where
  /// the answer is not what follows the reasoning.
  func answer(_ written: [RenderedPiece], _ opening: ThoughtOpening) -> [RenderedPiece]? {
    // The answer is one run of the message's text.
    guard let place = written.firstIndex(where: { !$0.isLiteral }),
      written.lastIndex(where: { !$0.isLiteral }) == place, place == 0
    else { return nil }
    let said = written[place]
    func piece(_ text: String, isLiteral: Bool = false) -> RenderedPiece {
      RenderedPiece(text: text, origin: isLiteral ? .template : said.origin, inGeneration: said.inGeneration)
    }
    let pieces: [RenderedPiece]
    switch self.place {
    case .member(let thought):
      let line = opening.text.utf8.last == 0x0a ? "\n" : ""
      pieces = [
        piece(OuterSpaces(thought).text), piece(line + opening.closing + line + line, isLiteral: true),
        piece(String(said.text.drop(while: \.isNewline))),
      ]
    case .text(let content):
      guard let mark = content.utf8.ranges(of: opening.closing.utf8).last else { return nil }
      let rest = OuterSpaces(String(content[mark.upperBound...]))
      let answer = OuterSpaces(said.text)
      guard !answer.text.isEmpty, rest.text.utf8.elementsEqual(answer.text.utf8),
        let thought = Self.opened(String(content[..<mark.lowerBound]), opening)
      else { return nil }
      // The closing mark may be a special token, as it is where the template writes it.
      pieces = [
        piece(thought), piece(opening.closing, isLiteral: true), piece(rest.before + answer.text + answer.after),
      ]
    }
    return pieces.filter { !$0.text.isEmpty } + written[(place + 1)...]
  }

  /// A thought without its opening mark, which the prompt has; nil where it stands elsewhere than at the start.
  private static func opened(_ text: String, _ opening: ThoughtOpening) -> String? {
    let scalars = text.unicodeScalars.drop(while: \.properties.isWhitespace)
    let text = String(scalars)
    if text.utf8.starts(with: opening.text.utf8) {
      return String(scalars.dropFirst(opening.text.unicodeScalars.count))
    }
    guard text.utf8.contains(opening.mark.utf8) else { return text }
    guard text.utf8.starts(with: opening.mark.utf8) else { return nil }
    return String(scalars.dropFirst(opening.mark.unicodeScalars.count).drop(while: \.properties.isWhitespace))
  }
}
