import Core

/// How a record becomes text: a small part of Mustache (prompts/README.md describes it for users).
///
/// `{{instruction}}`, `{{input}}` and `{{output}}` stand for the fields, verbatim; `{{#input}}…{{/input}}` is kept when
/// the field is not empty and `{{^input}}…{{/input}}` when it is, for any field, also nested; `{{! … }}` is a comment.
/// `{{#trained}}…{{/trained}}` is the part on which loss is taken: there is exactly one, in no section, at the end, and
/// `{{output}}` occurs in it and nowhere else. A section or comment tag alone on its line takes the line with it. One
/// final line feed is dropped, and CRLF is LF. The end-of-text token is no part of a template: it is appended after the
/// trained part when ids are made.
public struct PromptTemplate: Sendable {
  /// The shipped template's name, or the file's path.
  public let name: String
  /// The template as it was written, for digests.
  public let source: String

  private let prompt: [TemplateNode]
  private let trained: [TemplateNode]

  /// Parses a template. Throws `badData` with `name` and the line for everything that breaks the format's rules.
  public init(source: String, name: String) throws {
    var parser = try TemplateParser(source: source, file: name)
    (prompt, trained) = try parser.parse()
    self.source = source
    self.name = name
  }

  /// The prompt's segments, then the trained ones, none of them empty, adjacent ones differing in `trained` or
  /// `literal`. O(length of the text).
  public func render(_ record: Record) -> [TextSegment] {
    var segments: [TextSegment] = []
    segments.reserveCapacity(8)
    render(prompt, record, trained: false, into: &segments)
    render(trained, record, trained: true, into: &segments)
    return segments
  }

  /// All that precedes the trained part: what a model is given to complete.
  public func renderPrompt(instruction: String, input: String) -> [TextSegment] {
    var segments: [TextSegment] = []
    let record = Record(instruction: instruction, input: input, output: "")
    render(prompt, record, trained: false, into: &segments)
    return segments
  }

  private func render(
    _ nodes: [TemplateNode], _ record: Record, trained: Bool, into segments: inout [TextSegment]
  ) {
    for node in nodes {
      switch node {
      case .text(let text): append(text, trained: trained, literal: true, to: &segments)
      case .field(let field): append(field.value(in: record), trained: trained, literal: false, to: &segments)
      case .section(let field, let whenEmpty, let body):
        if field.value(in: record).isEmpty == whenEmpty {
          render(body, record, trained: trained, into: &segments)
        }
      }
    }
  }

  private func append(_ text: String, trained: Bool, literal: Bool, to segments: inout [TextSegment]) {
    if text.isEmpty { return }
    if let last = segments.last, last.trained == trained, last.literal == literal {
      segments[segments.count - 1].text += text
    } else {
      segments.append(TextSegment(text: text, trained: trained, literal: literal))
    }
  }
}

/// A field of a record by its name in templates.
enum TemplateField: String, CaseIterable, Sendable {
  case instruction, input, output

  func value(in record: Record) -> String {
    switch self {
    case .instruction: record.instruction
    case .input: record.input
    case .output: record.output
    }
  }
}

/// A piece of a parsed template.
indirect enum TemplateNode: Sendable, Equatable {
  case text(String)
  case field(TemplateField)
  /// Kept when the field's being empty is `whenEmpty`.
  case section(TemplateField, whenEmpty: Bool, [TemplateNode])
}
