/// SentencePiece's way with spaces: each becomes a visible character, and a text may begin with one more.
struct Metaspace: Sendable, Equatable {
  enum Prefix: String, Sendable {
    case always
    /// Only where the whole text begins.
    case first
    case never
  }

  var replacement: Unicode.Scalar = "▁"
  var prefix = Prefix.always
  /// Every `replacement` begins a word.
  var splits = true
}

extension Metaspace {
  /// Writes `text` with visible spaces.
  func write(_ text: UnsafeBufferPointer<UInt8>, _ begins: TextStart, to bytes: inout [UInt8]) {
    let sign = Array(String(Character(replacement)).utf8)
    let prefixes =
      switch prefix {
      case .always: begins != .nothing
      case .first: begins == .text
      case .never: false
      }
    if prefixes, text.first != 0x20, !text.starts(with: sign) { bytes += sign }
    bytes.reserveCapacity(text.count + text.count / 2)
    for byte in text {
      if byte == 0x20 { bytes += sign } else { bytes.append(byte) }
    }
  }

  /// Calls `body` with the start and end of each word: every sign begins one, or the text is one.
  func forEachWord(_ text: UnsafePointer<UInt8>, _ count: Int, _ body: (Int, Int) -> Void) {
    let sign = Array(String(Character(replacement)).utf8)
    var start = 0
    var at = 1
    while splits, at < count {
      if text[at] == sign[0], count - at >= sign.count, sign.indices.allSatisfy({ text[at + $0] == sign[$0] }) {
        body(start, at)
        start = at
      }
      at += 1
    }
    if start < count { body(start, count) }
  }
}
