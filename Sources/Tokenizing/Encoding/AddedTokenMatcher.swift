/// A stretch of text: an added token, or ordinary text where `id` is nil.
struct TextSection {
  var id: Int32?
  var start: Int
  var end: Int
}

/// Finds added tokens in UTF-8 text, the leftmost first and of those the longest, as Hugging Face's Aho–Corasick does.
final class AddedTokenMatcher: Sendable {
  private let tokens: [AddedToken]
  /// The trie of the tokens' bytes: the token that ends at a node (or -1), its byte, first child and next sibling.
  private let tokenAt: [Int32]
  private let byteAt: [UInt8]
  private let childOf: [Int32]
  private let siblingOf: [Int32]
  /// The node of every possible first byte, or -1.
  private let rootOf: [Int32]

  /// Every token is special: where none may be recognised there is nothing to look for.
  let allSpecial: Bool
  var isEmpty: Bool { tokens.isEmpty }

  /// Some token holds a line end, or takes white space along.
  let touchesLines: Bool

  /// The tokens are looked for as `normalizer` writes them.
  init(_ tokens: [AddedToken], _ normalizer: Normalizer = Normalizer()) {
    self.tokens = tokens
    allSpecial = tokens.allSatisfy(\.special)
    touchesLines = tokens.contains { $0.lstrip || $0.rstrip || $0.content.utf8.contains(0x0a) }
    var trie = TrieBuilder()
    for (index, token) in tokens.enumerated() {
      var content = Array(token.content.utf8)
      normalizer.apply(to: &content)
      trie.insert(content, Int32(index))
    }
    tokenAt = trie.tokenAt
    byteAt = trie.byteAt
    childOf = trie.childOf
    siblingOf = trie.siblingOf
    rootOf = trie.rootOf
  }

  /// Cuts `text[start..<end]` into sections in order. `literals` are the ranges that recognise special tokens.
  func sections(
    _ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, literals: [Range<Int>], into sections: inout [TextSection]
  ) {
    var done = start
    var at = start
    while at < end {
      guard let match = firstMatch(text, at, end, literals) else { break }
      at = match.end
      guard match.recognised else { continue }
      var section = TextSection(id: tokens[match.token].id, start: match.start, end: match.end)
      if tokens[match.token].lstrip {
        section.start = max(done, leadingSpaceStart(text, start, match.start))
      }
      if tokens[match.token].rstrip { section.end = spacesEnd(text, match.end, end) }
      if done < section.start { sections.append(TextSection(id: nil, start: done, end: section.start)) }
      sections.append(section)
      done = section.end
    }
    if done < end { sections.append(TextSection(id: nil, start: done, end: end)) }
  }

  /// Bytes of the longest token, none of which are special, that `text[start..<end]` begins with; 0 where there is none.
  func matchLength(_ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> Int {
    guard rootOf[Int(text[start])] >= 0 else { return 0 }
    return longestMatch(text, start, end, []).map { $0.end - start } ?? 0
  }

  private struct Match {
    var token: Int
    var start: Int
    var end: Int
    /// False of a special token in text that recognises none. It is passed over whole, as Hugging Face does, so that
    /// no other token is found inside it.
    var recognised: Bool
  }

  private func firstMatch(_ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ literals: [Range<Int>]) -> Match? {
    rootOf.withUnsafeBufferPointer { roots in
      for at in start..<end where roots[Int(text[at])] >= 0 {
        if let match = longestMatch(text, at, end, literals) { return match }
      }
      return nil
    }
  }

  private func longestMatch(_ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ literals: [Range<Int>]) -> Match?
  {
    var best: Match?
    var node = rootOf[Int(text[start])]
    var at = start + 1
    while node >= 0 {
      let token = Int(tokenAt[Int(node)])
      if token >= 0, let recognised = recognises(token, start, at, literals) {
        best = Match(token: token, start: start, end: at, recognised: recognised)
      }
      guard at < end else { break }
      node = childOf[Int(node)]
      while node >= 0, byteAt[Int(node)] != text[at] { node = siblingOf[Int(node)] }
      at += 1
    }
    return best
  }

  /// nil of a special token that lies partly in a literal, which is none at all.
  private func recognises(_ token: Int, _ start: Int, _ end: Int, _ literals: [Range<Int>]) -> Bool? {
    guard tokens[token].special else { return true }
    // The first literal that ends after `start`.
    var low = 0
    var high = literals.count
    while low < high {
      let middle = (low + high) / 2
      if literals[middle].upperBound > start { high = middle } else { low = middle + 1 }
    }
    guard low < literals.count, literals[low].lowerBound < end else { return false }
    return literals[low].lowerBound <= start && end <= literals[low].upperBound ? true : nil
  }

  private func leadingSpaceStart(_ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> Int {
    var at = end
    while at > start {
      var last = at - 1
      while last > start, text[last] & 0xc0 == 0x80 { last -= 1 }
      guard isSpace(text + last) else { break }
      at = last
    }
    return at
  }
}

/// Where the white space ends that `text[start..<end]` begins with.
func spacesEnd(_ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> Int {
  var at = start
  while at < end, isSpace(text + at) {
    at += text[at] < 0x80 ? 1 : decodeScalar(text + at).length
  }
  return at
}

private func isSpace(_ text: UnsafePointer<UInt8>) -> Bool {
  let point = text[0] < 0x80 ? Int(text[0]) : decodeScalar(text).point
  let table = CharacterClassTable.shared
  return point < table.count && table.classes[point] == CharacterClass.space.rawValue
}

private struct TrieBuilder {
  var tokenAt: [Int32] = []
  var byteAt: [UInt8] = []
  var childOf: [Int32] = []
  var siblingOf: [Int32] = []
  var rootOf = [Int32](repeating: -1, count: 256)

  mutating func insert(_ bytes: [UInt8], _ token: Int32) {
    guard let first = bytes.first else { return }
    if rootOf[Int(first)] < 0 { rootOf[Int(first)] = addNode(first, sibling: -1) }
    var node = Int(rootOf[Int(first)])
    for byte in bytes.dropFirst() {
      var child = childOf[node]
      while child >= 0, byteAt[Int(child)] != byte { child = siblingOf[Int(child)] }
      if child < 0 {
        child = addNode(byte, sibling: childOf[node])
        childOf[node] = child
      }
      node = Int(child)
    }
    tokenAt[node] = token
  }

  private mutating func addNode(_ byte: UInt8, sibling: Int32) -> Int32 {
    tokenAt.append(-1)
    byteAt.append(byte)
    childOf.append(-1)
    siblingOf.append(sibling)
    return Int32(byteAt.count - 1)
  }
}
