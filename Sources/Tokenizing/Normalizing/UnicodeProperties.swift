/// What the normal forms need to know of each code point, and their three steps: decompose, order, compose.
final class UnicodeProperties: Sendable {
  static let shared = UnicodeProperties()

  private struct Hangul {
    static let syllables: Range<UInt32> = 0xac00..<0xd7a4
    static let leads: Range<UInt32> = 0x1100..<0x1113
    static let vowels: Range<UInt32> = 0x1161..<0x1176
    /// The first of them is none: a syllable without a final consonant.
    static let finals: Range<UInt32> = 0x11a8..<0x11c3
    static let perLead: UInt32 = 588
    static let perVowel: UInt32 = 28
  }

  /// One more than the greatest code point of the tables.
  private let count: Int
  private let canonical: [UInt32: [UInt32]]
  private let compatible: [UInt32: [UInt32]]
  /// By first × 2³² + second.
  private let compositions: [UInt64: UInt32]
  private let classes: [UInt32: UInt8]

  private init() {
    func entries(_ text: StaticString) -> [[UInt32]] {
      var entries: [[UInt32]] = []
      var entry: [UInt32] = []
      for number in hexadecimalNumbers(text) {
        entry.append(UInt32(number.value))
        if !number.endsEntry { continue }
        entries.append(entry)
        entry = []
      }
      return entries
    }
    func byFirst(_ text: StaticString) -> [UInt32: [UInt32]] {
      Dictionary(entries(text).map { ($0[0], Array($0[1...])) }) { first, _ in first }
    }
    let pairs = byFirst(Tokenizing.compositions)
    var canonical = byFirst(canonicalDecompositions)
    for point in pairs.keys {
      var (parts, first) = ([UInt32](), point)
      while let pair = pairs[first] { (first, parts) = (pair[0], [pair[1]] + parts) }
      canonical[point] = (canonical[first] ?? [first]) + parts
    }
    self.canonical = canonical
    compatible = byFirst(compatibleDecompositions)
    classes = byFirst(combiningClasses).mapValues { UInt8($0[0]) }
    compositions = Dictionary(pairs.map { (Self.pair($0.value[0], $0.value[1]), $0.key) }) { first, _ in first }
    let greatest = [canonical.keys.max(), compatible.keys.max(), classes.keys.max()].compactMap(\.self).max() ?? 0
    count = max(Int(greatest), Int(Hangul.syllables.upperBound)) + 1
  }

  private static func pair(_ first: UInt32, _ second: UInt32) -> UInt64 { UInt64(first) << 32 | UInt64(second) }

  /// A bit a code point: 1 where it is changed, is moved, or may combine with what stands before it.
  func unsettled(_ form: UnicodeForm) -> [UInt64] {
    var bits = [UInt64](repeating: 0, count: (count + 63) / 64)
    func set(_ point: UInt32) { bits[Int(point >> 6)] |= 1 << UInt64(point & 63) }
    func isSet(_ point: UInt32) -> Bool { bits[Int(point >> 6)] >> UInt64(point & 63) & 1 == 1 }
    for point in classes.keys { set(point) }
    if form.isCompatible { for point in compatible.keys { set(point) } }
    if form.isComposed {
      for key in compositions.keys { set(UInt32(truncatingIfNeeded: key)) }
      for point in Hangul.vowels { set(point) }
      for point in Hangul.finals { set(point) }
    } else {
      for point in Hangul.syllables { set(point) }
    }
    for (point, parts) in canonical {
      // What composes again to itself stays, unless its first part combines with what stands before it.
      var composed = parts
      compose(&composed)
      if !form.isComposed || composed != [point] || isSet(parts[0]) { set(point) }
    }
    return bits
  }

  /// Appends the whole decomposition of `point`.
  func decompose(_ point: UInt32, compatible isCompatible: Bool, into points: inout [UInt32]) {
    if Hangul.syllables.contains(point) {
      let index = point - Hangul.syllables.lowerBound
      points.append(Hangul.leads.lowerBound + index / Hangul.perLead)
      points.append(Hangul.vowels.lowerBound + index % Hangul.perLead / Hangul.perVowel)
      let final = index % Hangul.perVowel
      if final > 0 { points.append(Hangul.finals.lowerBound - 1 + final) }
    } else if isCompatible, let parts = compatible[point] {
      points += parts
    } else if let parts = canonical[point] {
      points += parts
    } else {
      points.append(point)
    }
  }

  /// Sorts each run of combining marks by class, equal ones as they come.
  func order(_ points: inout [UInt32]) {
    var start = 0
    while start < points.count {
      guard classes[points[start]] != nil else {
        start += 1
        continue
      }
      var end = start + 1
      while end < points.count, classes[points[end]] != nil { end += 1 }
      if end - start > 1 {
        let marks = points[start..<end].enumerated().map {
          (kind: classes[$0.element] ?? 0, place: $0.offset, point: $0.element)
        }
        let sorted = marks.sorted { ($0.kind, $0.place) < ($1.kind, $1.place) }
        for (offset, mark) in sorted.enumerated() { points[start + offset] = mark.point }
      }
      start = end
    }
  }

  /// Joins each mark with the last starter before it, where both have a composition and nothing stands between that
  /// blocks it.
  func compose(_ points: inout [UInt32]) {
    var starter: Int?
    var lastClass: UInt8 = 0
    var kept = 0
    for point in points {
      let kind = classes[point] ?? 0
      if let starter {
        // Blocked by something between of a class that is not lower.
        let isAdjacent = starter == kept - 1
        if isAdjacent || lastClass < kind, let both = composition(points[starter], point) {
          points[starter] = both
          continue
        }
      }
      if kind == 0 { starter = kept }
      lastClass = kind
      points[kept] = point
      kept += 1
    }
    points.removeSubrange(kept...)
  }

  private func composition(_ first: UInt32, _ second: UInt32) -> UInt32? {
    if Hangul.leads.contains(first), Hangul.vowels.contains(second) {
      return Hangul.syllables.lowerBound + (first - Hangul.leads.lowerBound) * Hangul.perLead
        + (second - Hangul.vowels.lowerBound) * Hangul.perVowel
    }
    if Hangul.finals.contains(second), Hangul.syllables.contains(first),
      (first - Hangul.syllables.lowerBound) % Hangul.perVowel == 0
    {
      return first + (second - Hangul.finals.lowerBound) + 1
    }
    return compositions[Self.pair(first, second)]
  }
}
