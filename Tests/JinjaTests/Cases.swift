import Core
import Files
import JSON
import Jinja

/// A rendering as Python's jinja2 made it, or its failure.
struct JinjaCase {
  var source: String
  var variables: JSONObject
  /// nil where jinja2 raises.
  var text: String?
  /// Ranges of scalars inside `{% generation %}`.
  var generation: [Range<Int>]

  init?(_ value: JSONValue) {
    guard let source = value["source"]?.string else { return nil }
    self.source = source
    variables = value["variables"]?.object ?? JSONObject()
    text = value["text"]?.string
    generation = (value["generation"]?.array ?? []).compactMap { span in
      guard let start = span.array?.first?.int, let end = span.array?.last?.int else { return nil }
      return start..<end
    }
  }

  static func read(_ path: String) throws -> [JinjaCase] {
    let file = try MappedFile(path)
    var cases: [JinjaCase] = []
    for line in file.bytes.split(separator: UInt8(ascii: "\n")) {
      if let made = JinjaCase(try parseJSON(UnsafeRawBufferPointer(rebasing: line), file: path)) { cases.append(made) }
    }
    return cases
  }

  func render(limits: JinjaLimits = JinjaLimits()) throws -> [RenderedPiece] {
    let template = try JinjaTemplate(source: source)
    let given = variables.members.map { member -> (name: String, value: JinjaTemplate.Variable) in
      if member.key == "messages", let messages = member.value.array {
        return (member.key, .messages(messages, knownRoles: []))
      }
      return (member.key, .data(member.value))
    }
    return try template.render(given, date: midsummer, limits: limits)
  }

  /// In words, what differs from jinja2; nil where nothing does.
  var difference: String? {
    do {
      let pieces = try render()
      guard let text else { return "renders \(pieces.text.debugDescription), and jinja2 fails" }
      guard pieces.text.utf8.elementsEqual(text.utf8) else {
        return "renders \(pieces.text.debugDescription) instead of \(text.debugDescription)"
      }
      let spans = Self.generation(pieces)
      return generation.filter { !$0.isEmpty } == spans ? nil : "marks \(spans) instead of \(generation)"
    } catch {
      return text == nil ? nil : "fails: \(error)"
    }
  }

  /// Neighbouring pieces joined.
  private static func generation(_ pieces: [RenderedPiece]) -> [Range<Int>] {
    var spans: [Range<Int>] = []
    var start = 0
    for piece in pieces {
      let end = start + piece.text.unicodeScalars.count
      if piece.inGeneration {
        if let last = spans.last, last.upperBound == start {
          spans[spans.count - 1] = last.lowerBound..<end
        } else {
          spans.append(start..<end)
        }
      }
      start = end
    }
    return spans
  }
}

let midsummer = PinnedDate("2024-07-26 14:05:09") ?? .now()

func fixturePath(_ name: String) -> String {
  var parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
  parts.removeLast()
  return parts.joined(separator: "/") + "/Fixtures/" + name
}
