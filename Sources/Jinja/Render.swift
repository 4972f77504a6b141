import Core

/// One rendering: variables, output, and what it has taken so far.
final class Render {
  let limits: JinjaLimits
  let date: PinnedDate
  private var stepsLeft: Int
  private var bytesLeft: Int
  private var depth = 0

  /// Variables of the whole template by the parser's number of their name.
  private var root: [Value?]
  /// The innermost scope; nil at the template's top.
  private(set) var scope: Scope?
  private var output = TextBuilder()
  private var generation = 0
  private(set) var collected = Text.empty

  /// Whatever could hold itself in a circle, to be taken apart at the end.
  private var namespaces: [Namespace] = []
  private var captured: [Scope] = []
  private var loops: [LoopState] = []

  /// About what an item of a list takes, in bytes.
  static let itemCost = 32

  init(nameCount: Int, limits: JinjaLimits, date: PinnedDate) {
    self.limits = limits
    self.date = date
    stepsLeft = limits.steps
    bytesLeft = limits.bytes
    root = Array(repeating: nil, count: nameCount)
  }

  func finish() -> Text {
    for namespace in namespaces { namespace.clear() }
    for scope in captured { scope.removeAll() }
    for loop in loops { loop.forget() }
    root = []
    return output.text
  }

  // MARK: Limits

  @inline(__always)
  func step(_ count: Int = 1) throws {
    stepsLeft -= count
    if stepsLeft < 0 { throw JinjaError(.limit, "it took more than \(limits.steps) steps") }
  }

  @inline(__always)
  func charge(_ bytes: Int) throws {
    bytesLeft -= bytes
    if bytesLeft < 0 { throw JinjaError(.limit, "it made more than \(limits.bytes >> 20) MiB of text and lists") }
  }

  /// What looking at every scalar of a text takes.
  func work(on text: Text) throws { try step(text.bytes.count >> 2) }

  func charge(_ bytes: Int, times: Int) throws {
    let (product, overflow) = bytes.multipliedReportingOverflow(by: times)
    try charge(overflow ? limits.bytes + 1 : product)
  }

  /// Goes one level down.
  @inline(__always)
  func nested<Result>(_ body: () throws -> Result) throws -> Result {
    depth += 1
    defer { depth -= 1 }
    if depth > limits.depth { throw JinjaError(.limit, "it goes more than \(limits.depth) levels deep") }
    return try body()
  }

  @inline(__always)
  func evaluate(_ expression: any Expression) throws -> Value {
    try step()
    return try nested { try expression.evaluate(self) }
  }

  /// As text.
  func text(_ expression: any Expression) throws -> Text { try Printing.text(evaluate(expression), self) }

  // MARK: What could hold itself

  func makeNamespace() throws -> Namespace {
    try charge(4 * Self.itemCost)
    let namespace = Namespace()
    namespaces.append(namespace)
    return namespace
  }

  /// A loop that holds values which may hold the loop.
  func keep(_ loop: LoopState) { loops.append(loop) }

  // MARK: Variables

  func value(of name: Int, orGlobal global: Global?, called text: String) -> Value {
    var scope = self.scope
    while let current = scope {
      if let value = current.own(name) { return value }
      scope = current.parent
    }
    return root[name] ?? global?.value ?? .undefined(.name(text))
  }

  /// Gives a variable that the template knows its value from outside.
  func define(_ name: Int, _ value: Value) { root[name] = value }

  func set(_ name: Int, _ value: Value) throws {
    guard let scope else {
      root[name] = value
      return
    }
    try charge(Self.itemCost)
    scope.set(name, value)
  }

  func capture() -> Scope? {
    if let scope, !scope.isCaptured {
      scope.isCaptured = true
      captured.append(scope)
    }
    return scope
  }

  /// Runs `body` with another innermost scope.
  func within<Result>(_ inner: Scope, _ body: () throws -> Result) rethrows -> Result {
    let outer = scope
    scope = inner
    defer { scope = outer }
    return try body()
  }

  func withinNewScope<Result>(_ body: () throws -> Result) rethrows -> Result {
    try within(Scope(parent: scope), body)
  }

  // MARK: Output

  func write(_ text: Text) throws {
    try charge(text.bytes.count)
    output.append(generation > 0 ? text.insideGeneration() : text)
  }

  /// What `body` writes, as a text instead.
  func collecting(_ body: () throws -> Void) throws -> Text {
    var outer = TextBuilder()
    swap(&outer, &output)
    defer { swap(&outer, &output) }
    try body()
    return output.text
  }

  /// What `Collected` stands for while `body` runs.
  func withCollected<Result>(_ text: Text, _ body: () throws -> Result) rethrows -> Result {
    let outer = collected
    collected = text
    defer { collected = outer }
    return try body()
  }

  func generating(_ body: () throws -> Void) rethrows {
    generation += 1
    defer { generation -= 1 }
    try body()
  }
}
