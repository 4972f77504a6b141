/// A string that knows where each of its bytes came from. Immutable in spirit: every operation makes a new one.
///
/// Strings are Python's: sequences of Unicode scalars, never normalised. `bytes` is always valid UTF-8.
struct Text: Sendable {
  /// A stretch of one origin, up to byte `end`.
  struct Run: Equatable, Sendable {
    var end: Int
    var origin: Origin
  }

  private(set) var bytes: [UInt8]
  /// The origin of all bytes where there are no runs.
  private(set) var origin: Origin
  /// At least two, the last of which ends with the text; empty where all is of one origin.
  private(set) var runs: [Run]
  /// Python's `Markup`: what is added to it is escaped as HTML.
  var isMarkup = false

  init(_ bytes: [UInt8], _ origin: Origin) {
    self.bytes = bytes
    self.origin = origin
    runs = []
  }

  init(_ text: String, _ origin: Origin = .template) { self.init(Array(text.utf8), origin) }

  /// `runs` may be one or none, then of `.template`.
  init(bytes: [UInt8], runs: [Run]) {
    self.bytes = bytes
    origin = runs.first?.origin ?? .template
    self.runs = runs.count > 1 ? runs : []
  }

  static let empty = Text([], .template)

  var isEmpty: Bool { bytes.isEmpty }
  var string: String { String(decoding: bytes, as: UTF8.self) }

  var isASCII: Bool { bytes.allSatisfy { $0 < 0x80 } }

  /// Python's `len`.
  var scalarCount: Int { bytes.reduce(0) { $0 + ($1 & 0xc0 == 0x80 ? 0 : 1) } }

  /// Every stretch of one origin, in order.
  func forEachRun(_ body: (Range<Int>, Origin) throws -> Void) rethrows {
    if runs.isEmpty {
      if !bytes.isEmpty { try body(0..<bytes.count, origin) }
      return
    }
    var start = 0
    for run in runs {
      try body(start..<run.end, run.origin)
      start = run.end
    }
  }

  func origin(at offset: Int) -> Origin {
    if runs.isEmpty { return origin }
    // The first run that ends behind the byte.
    var (low, high) = (0, runs.count - 1)
    while low < high {
      let middle = (low + high) / 2
      if runs[middle].end > offset { high = middle } else { low = middle + 1 }
    }
    return runs[low].origin
  }

  /// The bytes of a range, with their origins; it must not cut a character.
  subscript(range: Range<Int>) -> Text {
    if range.count == bytes.count { return self }
    var result: Text
    if runs.isEmpty {
      result = Text(Array(bytes[range]), origin)
    } else {
      var builder = TextBuilder()
      builder.append(self, range)
      result = builder.text
    }
    result.isMarkup = isMarkup
    return result
  }

  func plain() -> Text {
    var text = self
    text.isMarkup = false
    return text
  }

  func markup() -> Text {
    var text = self
    text.isMarkup = true
    return text
  }

  func insideGeneration() -> Text {
    var text = self
    text.origin = origin.insideGeneration
    for index in runs.indices { text.runs[index].origin = runs[index].origin.insideGeneration }
    return text
  }

  static func + (left: Text, right: Text) -> Text {
    if right.isEmpty { return left }
    if left.isEmpty { return right }
    var builder = TextBuilder()
    builder.reserve(left.bytes.count + right.bytes.count)
    builder.append(left)
    builder.append(right)
    return builder.text
  }
}

extension Text: Equatable {
  static func == (left: Text, right: Text) -> Bool { left.bytes == right.bytes }
}

/// Puts texts one after another.
struct TextBuilder {
  private(set) var bytes: [UInt8] = []
  private(set) var runs: [Text.Run] = []

  mutating func reserve(_ count: Int) { bytes.reserveCapacity(count) }

  var text: Text { Text(bytes: bytes, runs: runs) }

  mutating func append(_ text: Text) {
    if text.runs.isEmpty {
      append(text.bytes[...], text.origin)
    } else {
      append(text, 0..<text.bytes.count)
    }
  }

  mutating func append(_ text: Text, _ range: Range<Int>) {
    text.forEachRun { run, origin in
      let part = run.clamped(to: range)
      if !part.isEmpty { append(text.bytes[part], origin) }
    }
  }

  mutating func append(_ text: String, _ origin: Origin = .template) {
    guard !text.isEmpty else { return }
    bytes.append(contentsOf: text.utf8)
    extend(origin)
  }

  mutating func append(_ part: ArraySlice<UInt8>, _ origin: Origin) {
    guard !part.isEmpty else { return }
    bytes.append(contentsOf: part)
    extend(origin)
  }

  private mutating func extend(_ origin: Origin) {
    if let last = runs.last, last.origin == origin {
      runs[runs.count - 1].end = bytes.count
    } else {
      runs.append(Text.Run(end: bytes.count, origin: origin))
    }
  }
}
