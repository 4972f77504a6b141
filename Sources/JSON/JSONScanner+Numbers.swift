extension JSONScanner {
  /// `-? (0 | [1-9][0-9]*) (\.[0-9]+)? ([eE][+-]?[0-9]+)?`
  mutating func scanNumber() throws(JSONSyntaxError) {
    let start = position
    _ = skip(UInt8(ascii: "-"))
    let hasLeadingZero = peek == UInt8(ascii: "0")
    let digits = skipDigits()
    guard digits > 0 else { throw failure("a digit is expected, but \(found) follows") }
    guard digits == 1 || !hasLeadingZero else {
      throw JSONSyntaxError(offset: start, message: "a number starts with a superfluous 0")
    }
    var isInteger = true
    var exponentDigits = 0
    if skip(UInt8(ascii: ".")) {
      isInteger = false
      guard skipDigits() > 0 else { throw failure("a digit is expected, but \(found) follows") }
    }
    if peek == UInt8(ascii: "e") || peek == UInt8(ascii: "E") {
      isInteger = false
      position += 1
      if peek == UInt8(ascii: "+") || peek == UInt8(ascii: "-") { position += 1 }
      exponentDigits = skipDigits()
      guard exponentDigits > 0 else { throw failure("a digit is expected, but \(found) follows") }
    }
    // A double reaches 1.8e308: only many digits or a long exponent can exceed it.
    if digits > 300 || exponentDigits > 2, !isFinite(start..<position) {
      throw JSONSyntaxError(offset: start, message: "a number is too large")
    }
    if isInteger, digits >= 19 { longIntegers.append(start..<position) }
  }

  private mutating func skipDigits() -> Int {
    let start = position
    while let byte = peek, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") { position += 1 }
    return position - start
  }

  private func isFinite(_ range: Range<Int>) -> Bool { Double(text(range))?.isFinite ?? false }

  /// The bytes of a range as text; for what has been scanned already.
  func text(_ range: Range<Int>) -> String {
    String(decoding: UnsafeBufferPointer(start: base, count: count)[range], as: UTF8.self)
  }
}
