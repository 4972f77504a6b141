import Core

/// Text or a tag of a template, and the 1-based line on which it starts.
struct TemplateToken: Equatable {
  enum Kind: Equatable {
    case text(String)
    /// `sigil` is `#`, `^` or `/`, or a space for a field.
    case tag(sigil: Unicode.Scalar, name: String)
  }
  var kind: Kind
  var line: Int
}

/// Divides a template into text and tags; comments and the lines that tags have to themselves disappear.
struct TemplateLexer {
  private let bytes: [UInt8]
  private let file: String
  private var position = 0
  private var line = 1

  init(source: String, file: String) {
    var bytes = Array(source.utf8)
    if bytes.starts(with: [0xef, 0xbb, 0xbf]) { bytes.removeFirst(3) }
    bytes = Self.withPlainLineFeeds(bytes)
    if bytes.last == 0x0a { bytes.removeLast() }
    self.bytes = bytes
    self.file = file
  }

  private static func withPlainLineFeeds(_ bytes: [UInt8]) -> [UInt8] {
    guard bytes.contains(0x0d) else { return bytes }
    return bytes.indices.filter { bytes[$0] != 0x0d || $0 + 1 == bytes.count || bytes[$0 + 1] != 0x0a }.map {
      bytes[$0]
    }
  }

  mutating func tokens() throws -> [TemplateToken] {
    var tokens: [TemplateToken] = []
    while position < bytes.count {
      let open = find("{{", from: position) ?? bytes.count
      var text = position..<open
      let textLine = line
      line += lineFeeds(text)
      var tag: TemplateToken?
      position = open
      if open < bytes.count {
        let tagLine = line
        let (sigil, name, end) = try readTag(open)
        let isAlone = sigil != " " && isAloneOnLine(open..<end)
        if isAlone { text = text.lowerBound..<startOfLine(open) }
        if sigil != "!" { tag = TemplateToken(kind: .tag(sigil: sigil, name: name), line: tagLine) }
        position = isAlone ? min(endOfLine(end) + 1, bytes.count) : end
        line += lineFeeds(open..<position)
      }
      if !text.isEmpty {
        tokens.append(TemplateToken(kind: .text(String(decoding: bytes[text], as: UTF8.self)), line: textLine))
      }
      if let tag { tokens.append(tag) }
    }
    return tokens
  }

  /// The tag that opens at `open`, and the offset after it.
  private func readTag(_ open: Int) throws -> (sigil: Unicode.Scalar, name: String, end: Int) {
    guard let close = find("}}", from: open + 2) else {
      throw SFTError(.badData, "a tag that {{ opens is not closed by }}", file: file, line: line)
    }
    let inside = String(decoding: bytes[(open + 2)..<close], as: UTF8.self).unicodeScalars
    let isWord: (Unicode.Scalar) -> Bool = { !" \t\n".unicodeScalars.contains($0) }
    guard let first = inside.first(where: isWord) else {
      throw SFTError(.badData, "the tag {{}} names no field", file: file, line: line)
    }
    if first == "!" { return ("!", "", close + 2) }
    let words = inside.split(whereSeparator: { !isWord($0) || $0 == "#" || $0 == "^" || $0 == "/" })
    let hasSigil = first == "#" || first == "^" || first == "/"
    let sigils = inside.count { $0 == "#" || $0 == "^" || $0 == "/" }
    guard words.count == 1, let name = words.first, sigils == (hasSigil ? 1 : 0) else {
      throw SFTError(.badData, "the tag {{\(String(inside))}} is not understood", file: file, line: line)
    }
    return (hasSigil ? first : " ", String(name), close + 2)
  }

  private func find(_ pair: StaticString, from start: Int) -> Int? {
    let byte = pair.utf8Start[0]
    var at = start
    while at + 1 < bytes.count {
      if bytes[at] == byte, bytes[at + 1] == byte { return at }
      at += 1
    }
    return nil
  }

  private func isAloneOnLine(_ tag: Range<Int>) -> Bool {
    let around = [startOfLine(tag.lowerBound)..<tag.lowerBound, tag.upperBound..<endOfLine(tag.upperBound)]
    return around.allSatisfy { $0.allSatisfy { bytes[$0] == 0x20 || bytes[$0] == 0x09 } }
  }

  private func startOfLine(_ offset: Int) -> Int { bytes[..<offset].lastIndex(of: 0x0a).map { $0 + 1 } ?? 0 }

  /// Offset of the line feed that ends the line, or of the end.
  private func endOfLine(_ offset: Int) -> Int { bytes[offset...].firstIndex(of: 0x0a) ?? bytes.count }

  private func lineFeeds(_ range: Range<Int>) -> Int { bytes[range].count { $0 == 0x0a } }
}
