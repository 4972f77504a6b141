/// Items and slices, as Python counts them.
enum Slicing {
  /// Python's `value[index]`; nil where Python raises a `TypeError`, an `IndexError` or a `KeyError`.
  static func item(of value: Value, _ index: Value, _ render: Render) throws -> Value? {
    switch value {
    case .mapping(let mapping): return try? mapping.find(index)
    case .list(let items), .tuple(let items):
      guard let place = place(index, items.items.count) else { return nil }
      return items.items[place]
    case .range(let range): return place(index, range.count).map { .integer(range[$0]) }
    case .text(let text):
      guard index.integer != nil else { return nil }
      return try character(of: text, index, render)
    default: return nil
    }
  }

  private static func place(_ index: Value, _ count: Int) -> Int? {
    guard let integer = index.integer else { return nil }
    let place = integer < 0 ? integer + count : integer
    return (0..<count).contains(place) ? place : nil
  }

  private static func character(of text: Text, _ index: Value, _ render: Render) throws -> Value? {
    try render.step(text.bytes.count >> 6)
    if text.isASCII {
      guard let place = place(index, text.bytes.count) else { return nil }
      return .text(text[place..<place + 1])
    }
    let starts = text.boundaries()
    guard let place = place(index, starts.count - 1) else { return nil }
    return .text(text[starts[place]..<starts[place + 1]])
  }

  /// nil where there is nothing to slice.
  static func slice(_ value: Value, _ start: Int?, _ stop: Int?, _ step: Int, _ render: Render) throws -> Value? {
    switch value {
    case .text(let text): return .text(try slice(text, start, stop, step, render))
    case .list(let items):
      return try render.list(places(items.items.count, start, stop, step).map { items.items[$0] }, origin: items.origin)
    case .tuple(let items):
      return try render.tuple(places(items.items.count, start, stop, step).map { items.items[$0] })
    case .range(let range):
      return .range(try slice(range, start, stop, step))
    default: return nil
    }
  }

  private static func slice(_ range: PythonRange, _ start: Int?, _ stop: Int?, _ step: Int) throws -> PythonRange {
    let (first, end) = bounds(range.count, start, stop, step)
    func number(_ index: Int) throws -> Int {
      let (distance, isLong) = index.multipliedReportingOverflow(by: range.step)
      let (number, isFar) = range.start.addingReportingOverflow(distance)
      if isLong || isFar { throw JinjaError(.limit, "an integer does not fit 64 bits") }
      return number
    }
    let (product, isLong) = range.step.multipliedReportingOverflow(by: step)
    if isLong { throw JinjaError(.limit, "an integer does not fit 64 bits") }
    return try PythonRange(start: try number(first), stop: try number(end), step: product)
  }

  private static func slice(
    _ text: Text, _ start: Int?, _ stop: Int?, _ step: Int, _ render: Render
  ) throws -> Text {
    try render.charge(text.bytes.count)
    try render.step(text.bytes.count >> 6)
    let starts = text.isASCII ? nil : text.boundaries()
    let count = starts.map { $0.count - 1 } ?? text.bytes.count
    func offset(_ place: Int) -> Int { starts?[place] ?? place }
    if step == 1 {
      let (first, end) = bounds(count, start, stop, step)
      return first < end ? text[offset(first)..<offset(end)] : text[0..<0]
    }
    try render.step(count)
    var builder = TextBuilder()
    for place in places(count, start, stop, step) { builder.append(text, offset(place)..<offset(place + 1)) }
    return text.isMarkup ? builder.text.markup() : builder.text
  }

  /// Python's `slice.indices`.
  static func bounds(_ count: Int, _ start: Int?, _ stop: Int?, _ step: Int) -> (start: Int, stop: Int) {
    let low = step < 0 ? -1 : 0
    let high = step < 0 ? count - 1 : count
    func clamped(_ bound: Int) -> Int { min(max(bound < 0 ? bound + count : bound, low), high) }
    return (start.map(clamped) ?? (step < 0 ? high : low), stop.map(clamped) ?? (step < 0 ? low : high))
  }

  private static func places(_ count: Int, _ start: Int?, _ stop: Int?, _ step: Int) -> [Int] {
    let (first, end) = bounds(count, start, stop, step)
    // A step beyond the text takes one item, and must not overflow.
    let step = step < 0 ? max(step, -count - 1) : min(step, count + 1)
    return Array(stride(from: first, to: end, by: step == 0 ? 1 : step))
  }
}

/// Python's `iter`: everything that a loop over `value` sees.
func iterate(_ value: Value, _ render: Render) throws -> [Value] {
  switch value {
  case .list(let items), .tuple(let items): return items.items
  case .mapping(let mapping): return mapping.members.map(\.key)
  case .view(let view): return view.items.items
  case .range(let range):
    try render.charge(Render.itemCost, times: range.count)
    return range.items
  case .text(let text):
    try render.charge(2 * Render.itemCost, times: text.bytes.count)
    try render.work(on: text)
    return text.plain().characters().map { .text($0) }
  case .generator(let generator): return try generator.take()
  case .undefined: return []
  case .loop, .none, .bool, .integer, .float, .namespace, .macro, .function, .object:
    throw JinjaError(.runtime, "'\(value.type.rawValue)' object is not iterable")
  }
}
