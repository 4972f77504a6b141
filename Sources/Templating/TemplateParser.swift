import Core

/// Tokens → nodes, and every rule of `PromptTemplate` checked.
struct TemplateParser {
  private let file: String
  private let lineCount: Int
  private var tokens: ArraySlice<TemplateToken>

  private static let knownFields =
    TemplateField.allCases.map { "{{\($0.rawValue)}}" }.joined(separator: ", ") + " and the section trained"

  init(source: String, file: String) throws {
    self.file = file
    var lexer = TemplateLexer(source: source, file: file)
    tokens = try lexer.tokens()[...]
    lineCount = max(1, source.utf8.count { $0 == 0x0a } + (source.utf8.last == 0x0a ? 0 : 1))
    guard !tokens.isEmpty else { throw error("is empty", line: 1) }
  }

  mutating func parse() throws -> (prompt: [TemplateNode], trained: [TemplateNode]) {
    let prompt = try nodes(inside: nil, isTrained: false)
    guard let opening = tokens.popFirst() else {
      throw error(
        "has no trained part", line: lineCount, advice: "Write {{#trained}}{{output}}{{/trained}} around the answer")
    }
    let trained = try nodes(inside: ("trained", opening.line), isTrained: true)
    guard trained.contains(.field(.output)) else {
      throw error("the trained part does not hold {{output}} outside of every section", line: opening.line)
    }
    if let extra = tokens.first {
      if case .tag("#", "trained") = extra.kind { throw error("has a second trained part", line: extra.line) }
      throw error("text follows the trained part, which must come last (a blank line is text)", line: extra.line)
    }
    guard prompt.contains(where: mentionsQuestion) else {
      throw error("holds neither {{instruction}} nor {{input}} before the trained part", line: opening.line)
    }
    return (prompt, trained)
  }

  /// Nodes up to the end of the section `inside`, or at the top level to where the trained part opens or all ends.
  private mutating func nodes(inside: (name: String, line: Int)?, isTrained: Bool) throws -> [TemplateNode] {
    var nodes: [TemplateNode] = []
    while let token = tokens.first {
      if case .tag("#", "trained") = token.kind, inside == nil { return nodes }
      tokens.removeFirst()
      switch token.kind {
      case .text(let text): nodes.append(.text(text))
      case .tag("/", let name):
        guard let inside else { throw error("{{/\(name)}} closes no section", line: token.line) }
        guard name == inside.name else {
          throw error(
            "{{/\(name)}} closes the section {{#\(inside.name)}} of line \(inside.line)", line: token.line)
        }
        return nodes
      case .tag(let sigil, let name):
        nodes.append(try node(sigil, name, line: token.line, isTrained: isTrained))
      }
    }
    guard let inside else { return nodes }
    throw error("the section {{#\(inside.name)}} is not closed", line: inside.line)
  }

  /// A field, or a section that has just been opened.
  private mutating func node(
    _ sigil: Unicode.Scalar, _ name: String, line: Int, isTrained: Bool
  ) throws -> TemplateNode {
    if name == "trained" {
      guard sigil == "#" else { throw error("trained is a section: {{#trained}}…{{/trained}}", line: line) }
      throw isTrained
        ? error("has a second trained part inside the first", line: line)
        : error("the trained part must not stand inside a section", line: line)
    }
    guard let field = TemplateField(rawValue: name) else {
      throw error("the field \"\(name)\" is unknown", line: line, advice: "The known ones are \(Self.knownFields)")
    }
    if field == .output, !isTrained {
      throw error("output must occur in the trained part only: the model would be shown the answer", line: line)
    }
    if sigil == " " { return .field(field) }
    let body = try nodes(inside: (name, line), isTrained: isTrained)
    return .section(field, whenEmpty: sigil == "^", body)
  }

  private func mentionsQuestion(_ node: TemplateNode) -> Bool {
    switch node {
    case .text: false
    case .field(let field): field != .output
    case .section(_, _, let body): body.contains(where: mentionsQuestion)
    }
  }

  private func error(_ message: String, line: Int, advice: String? = nil) -> SFTError {
    SFTError(.badData, message, file: file, line: line, advice: advice)
  }
}
