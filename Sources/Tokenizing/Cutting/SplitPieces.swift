extension Split {
  private struct Stretch {
    var start: Int
    var end: Int
    var isMatch: Bool
  }

  /// Calls `body` with the start and end of each piece of `text[start..<end]`, in order, as `tokenizers` cuts it.
  func forEachPiece(
    _ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ splitter: WordSplitter?, _ body: (Int, Int) -> Void
  ) {
    let found = stretches(text, start, end, splitter)
    for piece in pieces(found) { body(piece.start, piece.end) }
  }

  private func pieces(_ stretches: [Stretch]) -> [Stretch] {
    var result: [Stretch] = []
    var wasMatch = false
    switch behavior {
    case .isolated: return stretches
    case .removed: return stretches.filter { !$0.isMatch }
    case .contiguous:
      for stretch in stretches {
        if !result.isEmpty, stretch.isMatch == wasMatch {
          result[result.count - 1].end = stretch.end
        } else {
          result.append(stretch)
        }
        wasMatch = stretch.isMatch
      }
    case .mergedWithPrevious:
      for stretch in stretches {
        if !result.isEmpty, stretch.isMatch, !wasMatch {
          result[result.count - 1].end = stretch.end
        } else {
          result.append(stretch)
        }
        wasMatch = stretch.isMatch
      }
    case .mergedWithNext:
      for stretch in stretches.reversed() {
        if !result.isEmpty, stretch.isMatch, !wasMatch {
          result[result.count - 1].start = stretch.start
        } else {
          result.append(stretch)
        }
        wasMatch = stretch.isMatch
      }
      result.reverse()
    }
    return result
  }

  /// Matches and what lies between them.
  private func stretches(
    _ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ splitter: WordSplitter?
  ) -> [Stretch] {
    var result: [Stretch] = []
    var done = start
    var at = start
    while at < end {
      guard let matchEnd = matchEnd(text, at, end, splitter) else {
        at += text[at] < 0x80 ? 1 : decodeScalar(text + at).length
        continue
      }
      if done < at { result.append(Stretch(start: done, end: at, isMatch: inverted)) }
      result.append(Stretch(start: at, end: matchEnd, isMatch: !inverted))
      (at, done) = (matchEnd, matchEnd)
    }
    if done < end { result.append(Stretch(start: done, end: end, isMatch: inverted)) }
    return result
  }

  private func matchEnd(_ text: UnsafePointer<UInt8>, _ at: Int, _ end: Int, _ splitter: WordSplitter?) -> Int? {
    switch pattern {
    case .regex: return splitter?.matchEnd(text, from: at, to: end)
    case .text(let wanted):
      guard !wanted.isEmpty, end - at >= wanted.count else { return nil }
      for (offset, byte) in wanted.enumerated() where text[at + offset] != byte { return nil }
      return at + wanted.count
    }
  }
}
