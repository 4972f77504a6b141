extension Text {
  /// The byte at which each scalar starts, and the text's end as the last.
  func boundaries() -> [Int] {
    var starts: [Int] = []
    starts.reserveCapacity(bytes.count + 1)
    for (offset, byte) in bytes.enumerated() where byte & 0xc0 != 0x80 { starts.append(offset) }
    starts.append(bytes.count)
    return starts
  }

  /// How many bytes the scalar that starts with `byte` has.
  static func width(_ byte: UInt8) -> Int { byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4 }

  /// The scalar that starts at a byte.
  func scalar(at offset: Int) -> Unicode.Scalar {
    let lead = bytes[offset]
    if lead < 0x80 { return Unicode.Scalar(lead) }
    let width = Self.width(lead)
    var value = UInt32(lead) & (0x7f >> UInt32(width))
    for place in 1..<width where offset + place < bytes.count {
      value = value << 6 | UInt32(bytes[offset + place] & 0x3f)
    }
    return Unicode.Scalar(value) ?? "\u{fffd}"
  }

  /// The start of the scalar before a byte.
  func start(before offset: Int) -> Int {
    var start = offset - 1
    while start > 0, bytes[start] & 0xc0 == 0x80 { start -= 1 }
    return start
  }

  /// Each scalar with its byte and origin.
  func forEachScalar(_ body: (Unicode.Scalar, Int) throws -> Void) rethrows {
    var offset = 0
    while offset < bytes.count {
      try body(scalar(at: offset), offset)
      offset += Self.width(bytes[offset])
    }
  }

  func allScalars(_ condition: (Unicode.Scalar) -> Bool) -> Bool {
    var offset = 0
    while offset < bytes.count {
      if !condition(scalar(at: offset)) { return false }
      offset += Self.width(bytes[offset])
    }
    return true
  }

  /// Every scalar as a text of its own: what Python's loops over a string see.
  func characters() -> [Text] {
    let starts = boundaries()
    return (0..<starts.count - 1).map { self[starts[$0]..<starts[$0 + 1]] }
  }

  /// Each scalar replaced by a string, which keeps its origin.
  func mapScalars(_ transform: (Unicode.Scalar, Int) -> String) -> Text {
    var builder = TextBuilder()
    builder.reserve(bytes.count)
    forEachScalar { scalar, offset in builder.append(transform(scalar, offset), origin(at: offset)) }
    var text = builder.text
    text.isMarkup = isMarkup
    return text
  }
}

extension Text {
  /// Each byte replaced where all are ASCII, else nil.
  func mapASCII(_ transform: (UInt8) -> UInt8) -> Text? {
    guard isASCII else { return nil }
    var text = runs.isEmpty ? Text(bytes.map(transform), origin) : Text(bytes: bytes.map(transform), runs: runs)
    text.isMarkup = isMarkup
    return text
  }
}

/// Python's `str.isspace` of one character, which `strip` and `split` follow: bidirectional type WS, B or S, or category Zs.
package func isPythonSpace(_ scalar: Unicode.Scalar) -> Bool {
  switch scalar.value {
  case 0x09...0x0d, 0x1c...0x20, 0x85, 0xa0, 0x1680, 0x2000...0x200a, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000: true
  default: false
  }
}
