extension Text {
  /// The byte at which `needle` first stands in the bytes of `range`; O(range + needle).
  func find(_ needle: [UInt8], in range: Range<Int>) -> Int? {
    guard let first = needle.first else { return range.lowerBound }
    guard needle.count <= range.count else { return nil }
    // Short needles are tried at every place; long ones are sought by their own repetitions (Knuth, Morris, Pratt).
    if needle.count > 32 { return findLong(needle, in: range) }
    return bytes.withUnsafeBufferPointer { bytes in
      var at = range.lowerBound
      let last = range.upperBound - needle.count
      search: while at <= last {
        if bytes[at] == first {
          var place = 1
          while place < needle.count, bytes[at + place] == needle[place] { place += 1 }
          if place == needle.count { return at }
        }
        at += 1
      }
      return nil
    }
  }

  private func findLong(_ needle: [UInt8], in range: Range<Int>) -> Int? {
    var borders = [Int](repeating: 0, count: needle.count)
    var length = 0
    for place in 1..<needle.count {
      while length > 0, needle[place] != needle[length] { length = borders[length - 1] }
      if needle[place] == needle[length] { length += 1 }
      borders[place] = length
    }
    var matched = 0
    for at in range {
      while matched > 0, bytes[at] != needle[matched] { matched = borders[matched - 1] }
      if bytes[at] == needle[matched] { matched += 1 }
      if matched == needle.count { return at - needle.count + 1 }
    }
    return nil
  }

  func contains(_ needle: Text) -> Bool { find(needle.bytes, in: 0..<bytes.count) != nil }

  func starts(with prefix: Text) -> Bool { bytes.starts(with: prefix.bytes) }

  func ends(with suffix: Text) -> Bool {
    bytes.count >= suffix.bytes.count && bytes.suffix(suffix.bytes.count) == suffix.bytes[...]
  }

  /// Every place at which `needle`, which is not empty, stands, from the left and not overlapping; at most `limit`.
  func occurrences(of needle: [UInt8], limit: Int = .max) -> [Int] {
    var found: [Int] = []
    var start = 0
    while found.count < limit, let at = find(needle, in: start..<bytes.count) {
      found.append(at)
      start = at + needle.count
    }
    return found
  }

  /// Every place at which `needle`, which is not empty, stands, found from the right and not overlapping, in
  /// ascending order; at most `limit`.
  func lastOccurrences(of needle: [UInt8], limit: Int = .max) -> [Int] {
    let reversed = Text(bytes.reversed(), .template)
    let places = reversed.occurrences(of: needle.reversed(), limit: limit)
    return places.map { bytes.count - $0 - needle.count }.reversed()
  }

  /// Without the scalars of `set` at its ends; white space where none is given.
  func stripped(_ set: Text?, left: Bool, right: Bool) -> Text {
    let scalars = set.map { Set($0.string.unicodeScalars) }
    func goes(_ scalar: Unicode.Scalar) -> Bool { scalars?.contains(scalar) ?? isPythonSpace(scalar) }
    var (start, end) = (0, bytes.count)
    if left {
      while start < end, goes(scalar(at: start)) { start += Self.width(bytes[start]) }
    }
    if right {
      while start < end {
        let before = self.start(before: end)
        guard goes(scalar(at: before)) else { break }
        end = before
      }
    }
    return self[start..<end]
  }

  func replacing(_ old: Text, with new: Text, limit: Int = .max) -> Text {
    // An empty text stands before every scalar and at the end.
    let places = old.isEmpty ? Array(boundaries().prefix(limit)) : occurrences(of: old.bytes, limit: limit)
    if places.isEmpty { return self }
    var builder = TextBuilder()
    var start = 0
    for place in places {
      builder.append(self, start..<place)
      builder.append(new)
      start = place + old.bytes.count
    }
    builder.append(self, start..<bytes.count)
    var text = builder.text
    text.isMarkup = isMarkup
    return text
  }
}
