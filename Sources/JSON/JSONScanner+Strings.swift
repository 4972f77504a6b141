// Strings are nearly all of training data, so their plain ASCII runs are skipped eight bytes at a time: a byte is of
// interest when it ends the run, and `SWAR` arithmetic (Mycroft; Hacker's Delight 6-1) finds the first such byte.

private let ones: UInt64 = 0x0101_0101_0101_0101
private let highBits: UInt64 = 0x8080_8080_8080_8080

/// The high bit of each byte that is a quote, a backslash or a control character. Bits above the lowest set one may be
/// wrong, the lowest never is; a byte of 0x80 or more sets none.
@inline(__always) private func stops(_ word: UInt64) -> UInt64 {
  let quote = word ^ (ones &* 0x22)
  let backslash = word ^ (ones &* 0x5c)
  let control = (word &- (ones &* 0x20)) & ~word
  return (control | ((quote &- ones) & ~quote) | ((backslash &- ones) & ~backslash)) & highBits
}

extension JSONScanner {
  /// Steps over a string, its opening quote being next. True when it holds U+0000 (as an escape).
  mutating func scanString() throws(JSONSyntaxError) -> Bool {
    guard let base else { return false }
    let start = position
    var holdsNull = false
    position += 1
    while true {
      position = endOfRun(base, position, ascii: true)
      guard position < count else { throw JSONSyntaxError(offset: start, message: "a string is not closed") }
      switch base[position] {
      case UInt8(ascii: "\""):
        position += 1
        return holdsNull
      case UInt8(ascii: "\\"):
        if try scanEscape(base) == 0 { holdsNull = true }
      case 0x80...: try scanMultibyte(base)
      default: throw failure("a string holds \(describe(base[position])), which must be written as an escape")
      }
    }
  }

  /// The first byte from `start` that is a quote, a backslash, a control character or, with `ascii`, beyond ASCII.
  @inline(__always)
  func endOfRun(_ base: UnsafePointer<UInt8>, _ start: Int, ascii: Bool) -> Int {
    var at = start
    let raw = UnsafeRawPointer(base)
    while at + 8 <= count {
      let word = UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: at, as: UInt64.self))
      let found = ascii ? stops(word) | (word & highBits) : stops(word)
      if found != 0 { return at + found.trailingZeroBitCount >> 3 }
      at += 8
    }
    while at < count {
      let byte = base[at]
      if byte < 0x20 || byte == 0x22 || byte == 0x5c || (ascii && byte >= 0x80) { return at }
      at += 1
    }
    return at
  }

  /// Steps over one escape; the code unit that it stands for (the first of a surrogate pair).
  private mutating func scanEscape(_ base: UnsafePointer<UInt8>) throws(JSONSyntaxError) -> UInt32 {
    guard position + 1 < count else { throw failure("a string is not closed") }
    let letter = base[position + 1]
    switch letter {
    case UInt8(ascii: "u"): break
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
      UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
      position += 2
      return UInt32(letter)
    default: throw failure("a backslash is followed by no known escape")
    }
    let unit = try fourDigits(base, at: position + 2)
    if unit & 0xfc00 == 0xdc00 { throw failure("the low surrogate \\u\(hex(unit)) has no high surrogate before it") }
    if unit & 0xfc00 == 0xd800 {
      let isPaired = position + 7 < count && base[position + 6] == UInt8(ascii: "\\")
      guard isPaired, base[position + 7] == UInt8(ascii: "u"),
        try fourDigits(base, at: position + 8) & 0xfc00 == 0xdc00
      else { throw failure("the high surrogate \\u\(hex(unit)) has no low surrogate after it") }
      position += 6
    }
    position += 6
    return unit
  }

  private func fourDigits(_ base: UnsafePointer<UInt8>, at offset: Int) throws(JSONSyntaxError) -> UInt32 {
    var value: UInt32 = 0
    for place in offset..<offset + 4 {
      guard place < count, let digit = hexDigit(base[place]) else {
        throw failure("\\u must be followed by four hexadecimal digits")
      }
      value = value << 4 | digit
    }
    return value
  }

  private func hexDigit(_ byte: UInt8) -> UInt32? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(byte - UInt8(ascii: "a") + 10)
    case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(byte - UInt8(ascii: "A") + 10)
    default: nil
    }
  }

  private func hex(_ unit: UInt32) -> String { String(unit, radix: 16) }

  /// Steps over characters beyond ASCII (Unicode's table 3-7 of well-formed UTF-8).
  private mutating func scanMultibyte(_ base: UnsafePointer<UInt8>) throws(JSONSyntaxError) {
    while position < count, base[position] >= 0x80 {
      let lead = base[position]
      var second: ClosedRange<UInt8> = 0x80...0xbf
      let length: Int
      switch lead {
      case 0xc2...0xdf: length = 2
      case 0xe0...0xef:
        length = 3
        if lead == 0xe0 { second = 0xa0...0xbf }
        if lead == 0xed { second = 0x80...0x9f }
      case 0xf0...0xf4:
        length = 4
        if lead == 0xf0 { second = 0x90...0xbf }
        if lead == 0xf4 { second = 0x80...0x8f }
      default: throw failure("a string is not valid UTF-8 (\(describe(lead)))")
      }
      guard position + length <= count, second.contains(base[position + 1]),
        length < 3 || base[position + 2] & 0xc0 == 0x80, length < 4 || base[position + 3] & 0xc0 == 0x80
      else { throw failure("a string is not valid UTF-8 (\(describe(lead)))") }
      position += length
    }
  }
}
