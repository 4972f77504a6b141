import Core

/// A line being typed: bytes in, text and cursor out. It knows no terminal; what one shows of it is `drawing`.
package struct LineEditor {
  package enum Event: Equatable {
    /// The text or the cursor may be others now.
    case edited
    case accepted(String)
    /// Ctrl-C. The line is empty afterwards; whether it was before.
    case interrupted(wasEmpty: Bool)
    /// Ctrl-D on an empty line.
    case ended
    case suspended
    /// The screen is to be cleared.
    case cleared
  }

  /// Bytes of the longest message; what is typed beyond is left out.
  package static let limit = 1 << 20

  /// The text before the cursor, and from there on. A cursor stands between characters as people see them.
  package private(set) var before = ""
  package private(set) var after = ""
  private var keys = KeyDecoder()
  private var history = LineHistory()

  package init() {}

  package var text: String { before + after }

  package mutating func take(_ byte: UInt8) -> Event {
    guard let key = keys.take(byte) else { return .edited }
    switch key {
    case .enter:
      let line = text
      history.add(line)
      set("")
      return .accepted(line)
    case .interrupt:
      let wasEmpty = text.isEmpty
      history.leave()
      set("")
      return .interrupted(wasEmpty: wasEmpty)
    case .endOrDelete where text.isEmpty: return .ended
    case .suspend: return .suspended
    case .clear: return .cleared
    default:
      edit(key)
      return .edited
    }
  }

  private mutating func edit(_ key: Key) {
    switch key {
    case .text(let scalar): insert(scalar)
    case .lineFeed: insert("\n")
    case .left: left()
    case .right: right()
    case .home: (before, after) = ("", text)
    case .end: set(text)
    case .wordLeft:
      while before.last == " " { left() }
      while let last = before.last, last != " " { left() }
    case .wordRight:
      while after.first == " " { right() }
      while let first = after.first, first != " " { right() }
    case .backspace: _ = before.popLast()
    case .delete, .endOrDelete: if !after.isEmpty { after.removeFirst() }
    case .deleteWord:
      while before.last?.isWhitespace == true { before.removeLast() }
      while let last = before.last, !last.isWhitespace { before.removeLast() }
    case .deleteToStart: before = ""
    case .deleteToEnd: after = ""
    case .up: if let line = history.older(than: text) { set(line) }
    case .down: if let line = history.newer() { set(line) }
    case .enter, .interrupt, .suspend, .clear: break
    }
  }

  private mutating func set(_ line: String) { (before, after) = (line, "") }

  private mutating func insert(_ scalar: Unicode.Scalar) {
    if before.utf8.count + after.utf8.count < Self.limit { before.unicodeScalars.append(scalar) }
  }

  private mutating func left() { if let last = before.popLast() { after = String(last) + after } }

  private mutating func right() { if !after.isEmpty { before.append(after.removeFirst()) } }
}

/// Lines that were entered, and the one that was being typed when they were looked through.
struct LineHistory {
  private static let limit = 1000
  private var lines: [String] = []
  private var draft = ""
  /// Index of the line that is shown; nil for the draft.
  private var place: Int?

  /// Adds a line, unless it is empty or the same as the last.
  mutating func add(_ line: String) {
    leave()
    guard !line.isEmpty, line != lines.last else { return }
    lines.append(line)
    if lines.count > Self.limit { lines.removeFirst() }
  }

  mutating func leave() { (place, draft) = (nil, "") }

  mutating func older(than current: String) -> String? {
    let next = (place ?? lines.count) - 1
    guard next >= 0 else { return nil }
    if place == nil { draft = current }
    place = next
    return lines[next]
  }

  mutating func newer() -> String? {
    guard let shown = place else { return nil }
    place = shown + 1 < lines.count ? shown + 1 : nil
    return place.map { lines[$0] } ?? draft
  }
}
