/// A text as it is normalised, and where its literals, in which special tokens count, are then.
struct NormalizedParts {
  private(set) var text: [UInt8] = []
  private(set) var literals: [Range<Int>] = []

  /// `literals` are ranges of a longer text in which `section` starts at `offset`. Characters that a literal's own combine
  /// with do not belong to it any more, nor do its own that combine with others'.
  init(_ section: [UInt8], offset: Int, isStart: Bool, literals: [Range<Int>], _ normalizer: Normalizer) {
    var done = 0
    func take(upTo end: Int) {
      guard end > done else { return }
      var part = Array(section[done..<end])
      normalizer.apply(to: &part, isStart: isStart && done == 0)
      text += part
      done = end
    }
    for literal in literals where literal.upperBound > offset && literal.lowerBound < offset + section.count {
      var start = max(literal.lowerBound - offset, 0)
      var end = min(literal.upperBound - offset, section.count)
      while start < end, !normalizer.mayCut(section, at: start) { start = Self.next(section, start) }
      while end > start, !normalizer.mayCut(section, at: end) { end = Self.previous(section, end) }
      guard start < end else { continue }
      take(upTo: start)
      let first = start == 0 ? 0 : text.count
      take(upTo: end)
      self.literals.append(first..<text.count)
    }
    take(upTo: section.count)
  }

  private static func next(_ text: [UInt8], _ at: Int) -> Int {
    var at = at + 1
    while at < text.count, text[at] & 0xc0 == 0x80 { at += 1 }
    return at
  }

  private static func previous(_ text: [UInt8], _ at: Int) -> Int {
    var at = at - 1
    while at > 0, text[at] & 0xc0 == 0x80 { at -= 1 }
    return at
  }
}
