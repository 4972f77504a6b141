extension Text {
  /// Python's `split(separator)` and `rsplit`: between the places of a separator that is not empty.
  func split(by separator: Text, limit: Int, fromRight: Bool) -> [Text] {
    let places =
      fromRight
      ? lastOccurrences(of: separator.bytes, limit: limit) : occurrences(of: separator.bytes, limit: limit)
    var parts: [Text] = []
    var start = 0
    for place in places {
      parts.append(self[start..<place])
      start = place + separator.bytes.count
    }
    parts.append(self[start..<bytes.count])
    return parts
  }

  /// Python's `split()`: the words between white space, the last of them with all that follows when `limit` is reached.
  func splitBySpace(limit: Int) -> [Text] {
    var parts: [Text] = []
    var offset = 0
    while true {
      while offset < bytes.count, isPythonSpace(scalar(at: offset)) { offset += Self.width(bytes[offset]) }
      if offset == bytes.count { return parts }
      if parts.count == limit {
        return parts + [self[offset..<bytes.count].stripped(nil, left: false, right: true)]
      }
      let start = offset
      while offset < bytes.count, !isPythonSpace(scalar(at: offset)) { offset += Self.width(bytes[offset]) }
      parts.append(self[start..<offset])
    }
  }

  /// Python's `rsplit()`.
  func splitBySpaceFromRight(limit: Int) -> [Text] {
    var parts: [Text] = []
    var end = bytes.count
    while true {
      while end > 0, isPythonSpace(scalar(at: start(before: end))) { end = start(before: end) }
      if end == 0 { break }
      if parts.count == limit {
        parts.append(self[0..<end].stripped(nil, left: true, right: false))
        break
      }
      let last = end
      while end > 0, !isPythonSpace(scalar(at: start(before: end))) { end = start(before: end) }
      parts.append(self[end..<last])
    }
    return parts.reversed()
  }

  /// Python's `splitlines`.
  func lines(keepingEnds: Bool) -> [Text] {
    var lines: [Text] = []
    var (start, offset) = (0, 0)
    while offset < bytes.count {
      let scalar = scalar(at: offset)
      var next = offset + Self.width(bytes[offset])
      if Self.endsLine(scalar) {
        if scalar == "\r", next < bytes.count, bytes[next] == 0x0a { next += 1 }
        lines.append(self[start..<(keepingEnds ? next : offset)])
        start = next
      }
      offset = next
    }
    if start < bytes.count { lines.append(self[start..<bytes.count]) }
    return lines
  }

  private static func endsLine(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x0a...0x0d, 0x1c...0x1e, 0x85, 0x2028, 0x2029: true
    default: false
    }
  }
}
