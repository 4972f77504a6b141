/// `for … in …`, with `if`, `else` and `recursive`.
final class For: Statement {
  let target: Target
  let items: any Expression
  let filter: (any Expression)?
  let isRecursive: Bool
  let body: Body
  let otherwise: Body?
  /// The number of the name `loop`.
  let loop: Int
  let line: Int

  init(
    _ target: Target, _ items: any Expression, filter: (any Expression)?, isRecursive: Bool, _ body: Body,
    otherwise: Body?, loop: Int, line: Int
  ) {
    (self.target, self.items, self.filter, self.isRecursive) = (target, items, filter, isRecursive)
    (self.body, self.otherwise, self.loop, self.line) = (body, otherwise, loop, line)
  }

  func execute(_ render: Render) throws -> Flow {
    try run(try render.evaluate(items), level: 0, render)
    return .on
  }

  private func run(_ source: Value, level: Int, _ render: Render) throws {
    let outer = render.scope
    let state = LoopState(
      try iterate(source, render), depth: source.depth, level: level,
      filter: filter.map { filter in { [self] item in try passes(item, filter, outer, render) } },
      recurse: isRecursive
        ? { [self] inner, level in .text(try render.collecting { try run(inner, level: level, render) }) } : nil)
    try render.check(nesting: state.depth)
    var scope = Scope(parent: outer)
    while let item = try state.next() {
      try render.step()
      if scope.isCaptured { scope = Scope(parent: outer) }
      scope.removeAll()
      scope.set(loop, .loop(state))
      let flow = try render.within(scope) {
        try target.assign(item, render)
        return try body.execute(render)
      }
      if flow == .breaks { return }
    }
    if state.index0 < 0, let otherwise { try render.withinNewScope { try otherwise.executeFully(render) } }
  }

  /// The condition sees the item and what is outside of the loop, from wherever in the loop it is asked.
  private func passes(_ item: Value, _ filter: any Expression, _ outer: Scope?, _ render: Render) throws -> Bool {
    try render.step()
    return try render.within(Scope(parent: outer)) {
      try target.assign(item, render)
      return try render.evaluate(filter).isTrue
    }
  }
}
