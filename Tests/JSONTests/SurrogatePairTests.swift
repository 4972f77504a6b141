import JSON
import Testing

/// Every code point beyond the BMP, escaped and raw.
@Suite struct SurrogatePairTests {
  /// U+10000 to U+10FFFF, 1,024 at a time.
  static let blocks = (0x10000...0x10ffff).split(every: 1024)

  @Test(arguments: [false, true]) func everyPairIsItsCodePointInValuesAndNames(_ upperCase: Bool) throws {
    for block in Self.blocks {
      let escaped = [0x22] + escapes(block, upperCase: upperCase) + [0x22]
      let object = try parse([0x7b] + escaped + [0x3a] + escaped + [0x7d])
      let text = text(block)
      guard object == .object(JSONObject([(text, .string(text))])) else {
        Issue.record("from U+\(String(block.lowerBound, radix: 16))")
        return
      }
    }
  }

  @Test func everyCodePointIsReadAsItIsWritten() throws {
    for block in Self.blocks {
      let text = text(block)
      let value = JSONValue.object(JSONObject([(text, .string(text))]))
      let isSame = try parse(value.serialized) == value
      #expect(isSame, "from U+\(String(block.lowerBound, radix: 16))")
    }
  }

  @Test func fieldsOfRecordsHoldEveryPair() throws {
    let reader = try FieldReader(["output"])
    for block in Self.blocks {
      let record = Array("{\"output\": \"".utf8) + escapes(block, upperCase: false) + Array("\", \"x\": 1}".utf8)
      let fields = try record.withUnsafeBytes { try reader.read($0, memberCount: 2) }
      let isSame = fields == [.text(text(block))]
      #expect(isSame, "from U+\(String(block.lowerBound, radix: 16))")
    }
  }

  @Test func pairsStandBesideOtherEscapes() throws {
    let text = #"["\\\ud837\udf2b\\ud837", "\u0041\uD837\uDF2B\n", "\ud837\udf2b\ud837\udf2c", "\"\ud837\udf2b"]"#
    let expected = ["\\\u{1df2b}\\ud837", "A\u{1df2b}\n", "\u{1df2b}\u{1df2c}", "\"\u{1df2b}"]
    #expect(try parse(text) == .array(expected.map { .string($0) }))
  }

  @Test func anEscapedNameEqualsTheSameNameRaw() {
    let message = refusal(Array("{\"\u{1df2b}\": 1,\n \"\\ud837\\udf2b\": 2}".utf8))
    #expect(message == "x.json:2: holds the name \"\u{1df2b}\" twice in one object.")
  }
}

private func text(_ block: ClosedRange<Int>) -> String {
  var bytes: [UInt8] = []
  bytes.reserveCapacity(4 * block.count)
  for point in block {
    bytes.append(0xf0 | UInt8(point >> 18))
    for shift in [12, 6, 0] { bytes.append(0x80 | UInt8(point >> shift & 0x3f)) }
  }
  return String(decoding: bytes, as: UTF8.self)
}

private func escapes(_ block: ClosedRange<Int>, upperCase: Bool) -> [UInt8] {
  let digits = Array((upperCase ? "0123456789ABCDEF" : "0123456789abcdef").utf8)
  var bytes: [UInt8] = []
  bytes.reserveCapacity(12 * block.count)
  for point in block {
    for unit in [0xd800 + (point - 0x10000) >> 10, 0xdc00 + (point - 0x10000) & 0x3ff] {
      bytes.append(0x5c)
      bytes.append(0x75)
      for shift in [12, 8, 4, 0] { bytes.append(digits[unit >> shift & 0xf]) }
    }
  }
  return bytes
}

extension ClosedRange<Int> {
  fileprivate func split(every length: Int) -> [ClosedRange<Int>] {
    stride(from: lowerBound, through: upperBound, by: length).map { $0...Swift.min($0 + length - 1, upperBound) }
  }
}
