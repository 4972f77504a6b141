extension Parser {
  /// The statement whose `{%` has been read, up to but without its last `%}`.
  mutating func statement() throws -> any Statement {
    let line = current.line
    let name = try expectName()
    switch name {
    case "for": return try loop(line)
    case "if": return try branch(line)
    case "set": return try assignment(line)
    case "macro": return try macro(line)
    case "call": return try callBlock(line)
    case "filter": return try filterBlock(line)
    case "with": return try with(line)
    case "block": return try namedBlock(line)
    case "generation": return try generation(line)
    case "print": return try printing(line)
    case "break", "continue":
      guard loops > 0 else { throw JinjaError(.syntax, "\(name) stands outside of a loop", line: line) }
      return Leave(name == "break" ? .breaks : .continues, line: line)
    case "include", "extends", "import", "from":
      throw JinjaError(.syntax, "{% \(name) %} needs another template, which is not supported", line: line)
    default: throw JinjaError(.syntax, "the tag '\(name)' is not known, or not expected here", line: line)
    }
  }

  private mutating func loop(_ line: Int) throws -> any Statement {
    let target = try self.target(endsAt: ["in"], allowsAttribute: false)
    try expect(name: "in")
    let items = try tuple(withCondition: false, endsAt: ["recursive"])
    let filter = skip(name: "if") ? try expression() : nil
    let isRecursive = skip(name: "recursive")
    loops += 1
    var (body, end) = try block(until: ["endfor", "else"])
    loops -= 1
    var otherwise: Body?
    if end == "else" { (otherwise, end) = try block(until: ["endfor"]) }
    return For(
      target, items, filter: filter, isRecursive: isRecursive, body, otherwise: otherwise, loop: id("loop"), line: line)
  }

  private mutating func branch(_ line: Int) throws -> any Statement {
    var branches: [If.Branch] = []
    while true {
      let condition = try tuple(withCondition: false)
      let (body, end) = try block(until: ["elif", "else", "endif"])
      branches.append(If.Branch(condition: condition, body: body))
      if end == "endif" { return If(branches, otherwise: nil, line: line) }
      if end == "else" { return If(branches, otherwise: try block(until: ["endif"]).0, line: line) }
    }
  }

  private mutating func assignment(_ line: Int) throws -> any Statement {
    let target = try self.target(endsAt: [], allowsAttribute: true)
    if skip(symbol: "=") { return Assign(target, try tuple(), line: line) }
    let filtered = try filters(Collected())
    let (body, _) = try block(until: ["endset"])
    return AssignBlock(target, body, filtered: filtered, line: line)
  }

  /// What is assigned to: a name, several, or an attribute of a namespace.
  private mutating func target(endsAt ends: Set<String>, allowsAttribute: Bool) throws -> Target {
    var targets: [Target] = []
    var isTuple = false
    while true {
      if !targets.isEmpty { try expect(symbol: ",") }
      if current.kind == .blockEnd || isSymbol(")") || isSymbol("=") { break }
      if case .name(let name) = current.kind, ends.contains(name) { break }
      targets.append(try nested { try $0.singleTarget(allowsAttribute: allowsAttribute) })
      guard isSymbol(",") else { break }
      isTuple = true
    }
    if !isTuple, let only = targets.first { return only }
    guard isTuple else { throw unexpected("a name") }
    return .several(targets)
  }

  private mutating func singleTarget(allowsAttribute: Bool) throws -> Target {
    if skip(symbol: "(") {
      let inner = try target(endsAt: [], allowsAttribute: allowsAttribute)
      try expect(symbol: ")")
      return inner
    }
    let name = try expectName()
    if allowsAttribute, skip(symbol: ".") {
      return .attribute(of: Name(name, id: id(name)), try expectName())
    }
    guard !["true", "false", "none", "True", "False", "None", "loop"].contains(name) else {
      throw failure("'\(name)' cannot be assigned to")
    }
    return .name(id(name))
  }

  // MARK: Macros

  private mutating func signature() throws -> [MacroDefinition.Parameter] {
    try expect(symbol: "(")
    var parameters: [MacroDefinition.Parameter] = []
    while !isSymbol(")") {
      if !parameters.isEmpty { try expect(symbol: ",") }
      let name = try expectName()
      let value = skip(symbol: "=") ? try expression() : nil
      guard value != nil || parameters.last?.value == nil else {
        throw failure("a parameter without a default follows one with")
      }
      parameters.append(MacroDefinition.Parameter(name: name, id: id(name), value: value))
    }
    try expect(symbol: ")")
    return parameters
  }

  private mutating func definition(
    _ name: String, _ parameters: [MacroDefinition.Parameter], endsAt end: String
  ) throws -> MacroDefinition {
    let (body, used) = try function { try $0.block(until: [end]).0 }
    let named = Set(parameters.map(\.name))
    return MacroDefinition(
      name: name, parameters: parameters, body: body, uses: used.subtracting(named), callerID: id("caller"),
      varargsID: id("varargs"), kwargsID: id("kwargs"))
  }

  private mutating func macro(_ line: Int) throws -> any Statement {
    let name = try expectName()
    let id = self.id(name)
    return MacroStatement(try definition(name, try signature(), endsAt: "endmacro"), id: id, line: line)
  }

  private mutating func callBlock(_ line: Int) throws -> any Statement {
    let parameters = isSymbol("(") ? try signature() : []
    guard let call = try expression() as? Call else { throw failure("{% call %} wants a call") }
    return CallBlock(call, try definition("caller", parameters, endsAt: "endcall"), line: line)
  }

  // MARK: Other blocks

  private mutating func filterBlock(_ line: Int) throws -> any Statement {
    let filtered = try filters(try namedFilter(Collected()))
    let (body, _) = try block(until: ["endfilter"])
    return FilterBlock(body, filtered: filtered, line: line)
  }

  private mutating func with(_ line: Int) throws -> any Statement {
    var bindings: [(Target, any Expression)] = []
    while current.kind != .blockEnd {
      if !bindings.isEmpty { try expect(symbol: ",") }
      let target = try singleTarget(allowsAttribute: false)
      try expect(symbol: "=")
      bindings.append((target, try expression()))
    }
    return With(bindings, try block(until: ["endwith"]).0, line: line)
  }

  /// Without inheritance a block is what stands in it.
  private mutating func namedBlock(_ line: Int) throws -> any Statement {
    let name = try expectName()
    _ = skip(name: "scoped") || skip(name: "required")
    let body = try function { try $0.block(until: ["endblock"]).0 }.0
    _ = skip(name: name)
    return With([], body, line: line)
  }

  private mutating func generation(_ line: Int) throws -> any Statement {
    noteGeneration()
    return Generation(try function { try $0.block(until: ["endgeneration"]).0 }.0, line: line)
  }

  private mutating func printing(_ line: Int) throws -> any Statement {
    var parts: [Output.Part] = []
    while current.kind != .blockEnd {
      if !parts.isEmpty { try expect(symbol: ",") }
      parts.append(.value(try expression()))
    }
    return Output(parts, line: line)
  }
}
