/// Divides a template into text and the tokens of its tags, as jinja2 does with `trim_blocks` and `lstrip_blocks`: a line
/// feed that follows a block or comment goes with it, and so does the white space before one that begins its line.
struct Lexer {
  private var scanner: TagScanner
  private var tokens: [Token] = []
  /// The last thing that was read ended with a line feed, or nothing was read yet.
  private var startsLine = true

  private var bytes: [UInt8] { scanner.bytes }

  init(_ source: TemplateSource) { scanner = TagScanner(source.bytes) }

  private enum Opening {
    case block, variable, comment
    /// `{% raw %}`, which ends at this byte.
    case raw(end: Int)
  }

  static func tokens(_ source: String) throws -> [Token] {
    var lexer = Lexer(TemplateSource(source))
    return try lexer.run()
  }

  private mutating func run() throws -> [Token] {
    while scanner.offset < bytes.count {
      guard let (place, opening) = nextOpening() else {
        append(data: scanner.offset..<bytes.count)
        scanner.advance(to: bytes.count)
        break
      }
      try readTag(place, opening)
    }
    tokens.append(Token(kind: .end, line: scanner.line))
    return tokens
  }

  private func nextOpening() -> (Int, Opening)? {
    var at = scanner.offset
    while at + 1 < bytes.count {
      if bytes[at] == 0x7b {
        switch bytes[at + 1] {
        case 0x25: return (at, rawTag(at, "raw").map { Opening.raw(end: $0) } ?? .block)
        case 0x7b: return (at, .variable)
        case 0x23: return (at, .comment)
        default: break
        }
      }
      at += 1
    }
    return nil
  }

  private mutating func readTag(_ place: Int, _ opening: Opening) throws {
    let sign = place + 2 < bytes.count ? bytes[place + 2] : 0
    var isVariable = false
    if case .variable = opening { isVariable = true }
    append(data: scanner.offset..<endOfData(before: place, sign: sign, isVariable: isVariable))
    scanner.advance(to: place)
    let line = scanner.line
    let signWidth = sign == 0x2d || sign == 0x2b ? 1 : 0
    if case .raw(let end) = opening {
      try readRaw(from: end)
      return
    }
    scanner.advance(to: place + 2 + signWidth)
    switch opening {
    case .comment: try skipComment()
    case .variable:
      tokens.append(Token(kind: .variableBegin, line: line))
      try readTokens(isVariable: true)
    default:
      tokens.append(Token(kind: .blockBegin, line: line))
      try readTokens(isVariable: false)
    }
    startsLine = scanner.offset > 0 && bytes[scanner.offset - 1] == 0x0a
  }

  /// Where the text before a tag ends, by the tag's sign.
  private func endOfData(before place: Int, sign: UInt8, isVariable: Bool) -> Int {
    let text = Text(Array(bytes[scanner.offset..<place]), .template)
    if sign == 0x2d { return scanner.offset + text.stripped(nil, left: false, right: true).bytes.count }
    guard sign != 0x2b, !isVariable else { return place }
    let lineStart = (text.bytes.lastIndex(of: 0x0a) ?? -1) + 1
    guard lineStart > 0 || startsLine else { return place }
    let last = Text(Array(text.bytes[lineStart...]), .template)
    return last.allScalars(isPythonSpace) ? scanner.offset + lineStart : place
  }

  private mutating func append(data range: Range<Int>) {
    guard !range.isEmpty else { return }
    tokens.append(Token(kind: .data(String(decoding: bytes[range], as: UTF8.self)), line: scanner.line))
  }

  // MARK: Tags

  private mutating func readTokens(isVariable: Bool) throws {
    var open: [Token] = []
    while true {
      if open.isEmpty, let end = endOfTag(isVariable: isVariable) {
        tokens.append(Token(kind: isVariable ? .variableEnd : .blockEnd, line: scanner.line))
        scanner.advance(to: end)
        return
      }
      scanner.skipSpace()
      if open.isEmpty, endOfTag(isVariable: isVariable) != nil { continue }
      let token = try scanner.token()
      try balance(token, &open)
      tokens.append(token)
    }
  }

  private func balance(_ token: Token, _ open: inout [Token]) throws {
    guard case .symbol(let symbol) = token.kind else { return }
    switch symbol {
    case "(", "[", "{": open.append(token)
    case ")", "]", "}":
      let openers = [")": "(", "]": "[", "}": "{"]
      guard let last = open.popLast(), case .symbol(let opener) = last.kind, openers[symbol] == opener else {
        throw JinjaError(.syntax, "unexpected '\(symbol)'", line: token.line)
      }
    default: break
    }
  }

  /// The byte behind the end of the tag, and of what it takes with it, where it stands here.
  private func endOfTag(isVariable: Bool) -> Int? {
    let close: [UInt8] = isVariable ? [0x7d, 0x7d] : [0x25, 0x7d]
    return scanner.end(of: close, allowsPlus: !isVariable, takesLine: !isVariable)
  }

  private mutating func skipComment() throws {
    let line = scanner.line
    while scanner.offset < bytes.count {
      if let end = scanner.end(of: [0x23, 0x7d], allowsPlus: true, takesLine: true) {
        scanner.advance(to: end)
        return
      }
      scanner.advance(to: scanner.offset + 1)
    }
    throw JinjaError(.syntax, "a comment that {# opens is not closed by #}", line: line)
  }

  // MARK: Raw text

  /// Where `{% raw %}` ends, if it starts at `place`; `{%-` and `-%}` take white space as everywhere.
  private func rawTag(_ place: Int, _ word: String) -> Int? {
    var at = place + 2
    if at < bytes.count, bytes[at] == 0x2d || bytes[at] == 0x2b { at += 1 }
    at = scanner.endOfSpace(at)
    guard bytes[min(at, bytes.count)...].starts(with: word.utf8) else { return nil }
    at = scanner.endOfSpace(at + word.utf8.count)
    let rest = TagScanner(bytes, at: at)
    if word == "raw" { return rest.end(of: [0x25, 0x7d], allowsPlus: false, takesLine: false) }
    return rest.end(of: [0x25, 0x7d], allowsPlus: true, takesLine: true)
  }

  private mutating func readRaw(from start: Int) throws {
    let line = scanner.line
    scanner.advance(to: start)
    startsLine = bytes[start - 1] == 0x0a
    var at = start
    while at + 1 < bytes.count {
      if bytes[at] == 0x7b, bytes[at + 1] == 0x25, let end = rawTag(at, "endraw") {
        append(data: start..<endOfData(before: at, sign: bytes[at + 2], isVariable: false))
        scanner.advance(to: end)
        startsLine = bytes[end - 1] == 0x0a
        return
      }
      at += 1
    }
    throw JinjaError(.syntax, "a part that {% raw %} opens is not closed by {% endraw %}", line: line)
  }
}
