/// Tokens → statements. What jinja2 refuses is refused; what needs other templates (include, extends, import) too.
struct Parser {
  private let tokens: [Token]
  private var position = 0
  private var names: [String: Int] = [:]
  private(set) var marksGeneration = false

  /// The open macros and `call` bodies, with what of the special variables each one uses.
  private var macros: [Set<String>] = []
  /// Loops that `break` and `continue` may leave here.
  var loops = 0
  /// Tags and brackets within one another.
  private var depth = 0

  static let depthLimit = 100
  /// Operators in a row, each of which holds those before it.
  static let chainLimit = 500

  init(_ tokens: [Token]) { self.tokens = tokens }

  var nameCount: Int { names.count }

  /// The number that stands for a variable's name.
  mutating func id(_ name: String) -> Int {
    if let id = names[name] { return id }
    names[name] = names.count
    return names.count - 1
  }

  var allNames: [String: Int] { names }

  static let specialNames: Set = ["caller", "varargs", "kwargs"]

  /// A variable that is read.
  mutating func name(_ text: String) -> any Expression {
    if Self.specialNames.contains(text) {
      for place in macros.indices { macros[place].insert(text) }
    }
    return Name(text, id: id(text))
  }

  // MARK: Tokens

  var current: Token { tokens[min(position, tokens.count - 1)] }
  var following: Token { tokens[min(position + 1, tokens.count - 1)] }

  @discardableResult
  mutating func advance() -> Token {
    defer { position += 1 }
    return current
  }

  func isSymbol(_ symbol: String) -> Bool { current.kind == .symbol(symbol) }
  func isName(_ name: String) -> Bool { current.kind == .name(name) }

  mutating func skip(symbol: String) -> Bool {
    guard isSymbol(symbol) else { return false }
    advance()
    return true
  }

  mutating func skip(name: String) -> Bool {
    guard isName(name) else { return false }
    advance()
    return true
  }

  mutating func expect(symbol: String) throws {
    guard skip(symbol: symbol) else { throw unexpected("'\(symbol)'") }
  }

  mutating func expect(name: String) throws {
    guard skip(name: name) else { throw unexpected("'\(name)'") }
  }

  mutating func expectName() throws -> String {
    guard case .name(let name) = current.kind else { throw unexpected("a name") }
    advance()
    return name
  }

  mutating func expect(_ kind: Token.Kind) throws {
    guard current.kind == kind else { throw unexpected(Token(kind: kind, line: 0).description) }
    advance()
  }

  func unexpected(_ wanted: String) -> JinjaError {
    failure("\(wanted) is expected, but \(current.description) follows")
  }

  func failure(_ message: String) -> JinjaError { JinjaError(.syntax, message, line: current.line) }

  mutating func nested<Result>(_ body: (inout Parser) throws -> Result) throws -> Result {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.depthLimit else { throw failure("tags and brackets are nested deeper than \(Self.depthLimit)") }
    return try body(&self)
  }

  // MARK: Bodies

  mutating func parse() throws -> Body {
    let body = try self.body(until: [])
    guard current.kind == .end else { throw unexpected("the end of the template") }
    return body
  }

  /// Statements up to a tag of one of these names, which is read up to its name, or to the end.
  mutating func body(until ends: Set<String>) throws -> Body {
    var statements: [any Statement] = []
    var parts: [Output.Part] = []
    var line = current.line
    func flush() {
      if !parts.isEmpty { statements.append(Output(parts, line: line)) }
      parts = []
    }
    while true {
      if parts.isEmpty { line = current.line }
      switch current.kind {
      case .data(let text):
        parts.append(.text(Text(text)))
        advance()
      case .variableBegin:
        // Of several lines, each value keeps its own.
        flush()
        line = current.line
        advance()
        parts.append(.value(try tuple()))
        try expect(.variableEnd)
      case .blockBegin:
        flush()
        advance()
        if case .name(let name) = current.kind, ends.contains(name) { return Body(statements) }
        statements.append(try nested { try $0.statement() })
        try expect(.blockEnd)
      default:
        flush()
        guard ends.isEmpty else {
          throw failure("a tag is not closed: one of \(ends.sorted().joined(separator: ", ")) is expected")
        }
        return Body(statements)
      }
    }
  }

  /// The body of a tag that has been read up to its `%}`, and the name of the tag that ends it, which is read too.
  mutating func block(until ends: Set<String>) throws -> (Body, String) {
    _ = skip(symbol: ":")
    try expect(.blockEnd)
    let body = try self.body(until: ends)
    return (body, try expectName())
  }

  /// A body that is called later: loops around it cannot be left from it. Gives the special variables it uses too.
  mutating func function<Result>(_ body: (inout Parser) throws -> Result) throws -> (Result, Set<String>) {
    let outer = loops
    loops = 0
    macros.append([])
    let result = try body(&self)
    loops = outer
    return (result, macros.removeLast())
  }

  mutating func noteGeneration() { marksGeneration = true }
}
