import Core
import JSON

/// A parsed template, as transformers renders chat templates: jinja2 with `trim_blocks`, `lstrip_blocks`, loop controls,
/// `{% generation %}` and a `tojson` that escapes no HTML.
///
/// Immutable: many threads may render one.
package struct JinjaTemplate: Sendable {
  /// A variable that is given to a template, and where its texts come from.
  package enum Variable: Sendable {
    /// The template's own, as special tokens are.
    case literal(String)
    case flag(Bool)
    case none
    /// Data of no message.
    case data(JSONValue)
    /// A list of messages, each of which its texts come from; a member `role` of one of these words is the template's.
    case messages([JSONValue], knownRoles: Set<String>)
  }

  private let body: Body
  private let ids: [String: Int]
  private let nameCount: Int
  /// Whether it has `{% generation %}`.
  package let marksGeneration: Bool
  /// Whether it names a variable or function at all.
  package func mentions(_ name: String) -> Bool { ids[name] != nil }

  /// Throws a `JinjaError` of kind `syntax` with the line.
  package init(source: String) throws {
    var parser = Parser(try Lexer.tokens(source))
    body = try parser.parse()
    nameCount = parser.nameCount
    marksGeneration = parser.marksGeneration
    ids = parser.allNames
  }

  /// Throws a `JinjaError` with the template's line.
  package func render(
    _ variables: [(name: String, value: Variable)], date: PinnedDate, limits: JinjaLimits = JinjaLimits()
  ) throws -> [RenderedPiece] {
    let render = Render(nameCount: nameCount, limits: limits, date: date)
    for variable in variables {
      guard let id = ids[variable.name] else { continue }
      render.define(id, Value(variable.value))
    }
    do {
      _ = try body.execute(render)
    } catch {
      _ = render.finish()
      throw error
    }
    return render.finish().pieces
  }
}

extension Text {
  var pieces: [RenderedPiece] {
    var pieces: [RenderedPiece] = []
    forEachRun { range, origin in
      pieces.append(
        RenderedPiece(
          text: String(decoding: bytes[range], as: UTF8.self),
          origin: origin.isTemplate ? .template : .data(message: origin.message), inGeneration: origin.inGeneration))
    }
    return pieces
  }
}
