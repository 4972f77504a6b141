/// The four forms of Unicode Standard Annex 15.
enum UnicodeForm: String, Sendable {
  case nfc = "NFC"
  case nfd = "NFD"
  case nfkc = "NFKC"
  case nfkd = "NFKD"

  var isComposed: Bool { self == .nfc || self == .nfkc }
  var isCompatible: Bool { self == .nfkc || self == .nfkd }
}

/// Brings UTF-8 text into a normal form. Text that is in it already is only read.
struct UnicodeNormalizer: Sendable {
  private static let nfc = UnicodeNormalizer(.nfc)
  private static let nfd = UnicodeNormalizer(.nfd)
  private static let nfkc = UnicodeNormalizer(.nfkc)
  private static let nfkd = UnicodeNormalizer(.nfkd)

  static func of(_ form: UnicodeForm) -> UnicodeNormalizer {
    switch form {
    case .nfc: nfc
    case .nfd: nfd
    case .nfkc: nfkc
    case .nfkd: nfkd
    }
  }

  private let form: UnicodeForm
  private let properties = UnicodeProperties.shared
  /// A bit a code point: 1 unless it stays as it is whatever stands before it, so that what follows does not depend on
  /// what came before.
  private let unsettled: [UInt64]

  private init(_ form: UnicodeForm) {
    self.form = form
    unsettled = properties.unsettled(form)
  }

  @inline(__always)
  private func isSettled(_ point: Int) -> Bool {
    let word = point >> 6
    return word >= unsettled.count || unsettled[word] >> UInt64(point & 63) & 1 == 0
  }

  /// Whether the character at `at` is the same whatever stands before it.
  func startsAnew(_ text: [UInt8], _ at: Int) -> Bool {
    text.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return true }
      return isSettled(base[at] < 0x80 ? Int(base[at]) : decodeScalar(base + at).point)
    }
  }

  func normalize(_ text: inout [UInt8]) {
    let result: [UInt8]? = text.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress, let first = nextUnsettled(base, 0, buffer.count) else { return nil }
      return normalized(base, buffer.count, first)
    }
    if let result { text = result }
  }

  /// The start of the settled character before the first unsettled one, with which that may combine, and of the first
  /// unsettled one itself; nil where there is none.
  private func nextUnsettled(_ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> (before: Int, at: Int)? {
    var at = start
    var before = start
    while at < end {
      while at + 8 <= end,
        UnsafeRawPointer(text + at).loadUnaligned(as: UInt64.self) & 0x8080_8080_8080_8080 == 0
      {
        at += 8
        before = at - 1
      }
      guard at < end else { break }
      let (point, length) = text[at] < 0x80 ? (Int(text[at]), 1) : decodeScalar(text + at)
      if !isSettled(point) { return (before, at) }
      before = at
      at += length
    }
    return nil
  }

  private func normalized(_ text: UnsafePointer<UInt8>, _ end: Int, _ first: (before: Int, at: Int)) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(end + end / 8)
    var done = 0
    var points: [UInt32] = []
    var next: (before: Int, at: Int)? = first
    while let found = next {
      result.append(contentsOf: UnsafeBufferPointer(start: text + done, count: found.before - done))
      points.removeAll(keepingCapacity: true)
      var at = found.before
      repeat {
        let (point, length) = text[at] < 0x80 ? (Int(text[at]), 1) : decodeScalar(text + at)
        if at > found.at, isSettled(point) { break }
        properties.decompose(UInt32(point), compatible: form.isCompatible, into: &points)
        at += length
      } while at < end
      properties.order(&points)
      if form.isComposed { properties.compose(&points) }
      for point in points { appendUTF8(point, to: &result) }
      done = at
      next = nextUnsettled(text, done, end)
    }
    result.append(contentsOf: UnsafeBufferPointer(start: text + done, count: end - done))
    return result
  }
}

/// `point` must be a scalar value.
private func appendUTF8(_ point: UInt32, to bytes: inout [UInt8]) {
  guard point >= 0x80 else { return bytes.append(UInt8(point)) }
  let tail = { (shift: UInt32) in UInt8(0x80 | point >> shift & 0x3f) }
  if point < 0x800 {
    bytes.append(UInt8(0xc0 | point >> 6))
  } else if point < 0x10000 {
    bytes.append(UInt8(0xe0 | point >> 12))
    bytes.append(tail(6))
  } else {
    bytes.append(UInt8(0xf0 | point >> 18))
    bytes.append(tail(12))
    bytes.append(tail(6))
  }
  bytes.append(tail(0))
}
