import Core
import JSON
import Testing

func parse(_ bytes: [UInt8], firstLine: Int = 1) throws -> JSONValue {
  try bytes.withUnsafeBytes { try parseJSON($0, file: "x.json", firstLine: firstLine) }
}

func parse(_ text: String) throws -> JSONValue { try parse(Array(text.utf8)) }

/// The message for a text that must be refused.
func refusal(_ bytes: [UInt8]) -> String {
  do {
    return "accepted as \(try parse(bytes))"
  } catch {
    return "\(error)"
  }
}

@Suite struct ParseTests {
  @Test func readsEveryKindOfValue() throws {
    let value = try parse(#" {"a": [1, -2, 0.5, 1e3, true, false, null, "x", {}, []], "b": {"c": "d"}} "#)
    let list = try #require(value["a"]?.array)
    #expect(
      list == [
        .integer(1), .integer(-2), .number(0.5), .number(1000), .bool(true), .bool(false), .null, .string("x"),
        .object(JSONObject()), .array([]),
      ])
    #expect(value["b"]?["c"]?.string == "d")
    #expect(value["missing"] == nil)
    #expect(value.object?.keys == ["a", "b"])
  }

  @Test func readsScalarsAtTheTop() throws {
    #expect(try parse("17") == .integer(17))
    #expect(try parse(" -1.5e-3\n") == .number(-0.0015))
    #expect(try parse("null") == .null)
    #expect(try parse("\t\"s\"\r\n") == .string("s"))
    #expect(try parse("0") == .integer(0))
  }

  @Test func accessorsDoNotConvert() throws {
    let value = try parse(#"{"i": 3, "d": 3.0, "s": "3", "b": true, "n": null}"#)
    #expect(value["i"]?.int == 3)
    #expect(value["i"]?.double == 3)
    #expect(value["i"]?.string == nil)
    #expect(value["d"]?.int == nil)
    #expect(value["d"]?.double == 3)
    #expect(value["s"]?.int == nil)
    #expect(value["b"]?.bool == true)
    #expect(value["b"]?.int == nil)
    #expect(value["n"]?.isNull == true)
    #expect(value["n"]?.array == nil)
  }

  @Test func keepsLargeNumbers() throws {
    let text = """
      [9223372036854775807, -9223372036854775808, 9223372036854775808, -9223372036854775809, 18446744073709551615, \
      100000000000000000000000000000, 999999999999999999, 1000000000000000000, 1234567890123456789]
      """
    #expect(
      try parse(text)
        == .array([
          .integer(.max), .integer(.min), .number(9_223_372_036_854_775_808), .number(-9_223_372_036_854_775_808),
          .number(18_446_744_073_709_551_616), .number(1e29), .integer(999_999_999_999_999_999),
          .integer(1_000_000_000_000_000_000), .integer(1_234_567_890_123_456_789),
        ]))
    #expect(try parse("1.7976931348623157e308") == .number(.greatestFiniteMagnitude))
  }

  @Test func resolvesEscapes() throws {
    let value = try parse(#""\"\\\/\b\f\n\r\t\u0041\u00e9\uD83D\ude00\u0000z""#)
    #expect(value == .string("\"\\/\u{8}\u{c}\n\r\tAé😀\u{0}z"))
    #expect(value.string?.utf8.count == 17)
  }

  @Test func keysAreComparedByBytes() throws {
    let value = try parse(#"{"\u00e9": 1, "e\u0301": 2}"#)
    #expect(value["\u{e9}"]?.int == 1)
    #expect(value["e\u{301}"]?.int == 2)
    #expect(JSONValue.string("\u{e9}") != .string("e\u{301}"))
  }

  @Test func findsMembersOfLargeObjects() throws {
    let count = 50_000
    let text = "{" + (0..<count).map { "\"token\($0)\":\($0)" }.joined(separator: ",") + "}"
    let object = try #require(try parse(text).object)
    #expect(object.count == count)
    #expect((0..<count).allSatisfy { object["token\($0)"]?.int == $0 })
    #expect(object["token50000"] == nil)
    var changed = object
    changed.members[7] = (key: "other", value: .null)
    #expect(changed["other"] == .null)
    #expect(changed["token7"] == nil)
    #expect(changed != object)
  }

  @Test func acceptsNestingUpToTheLimit() throws {
    let limit = JSONScanner.depthLimit
    _ = try parse(String(repeating: "[", count: limit) + String(repeating: "]", count: limit))
    let tooDeep = String(repeating: "[", count: 100_000)
    #expect(
      refusal(Array(tooDeep.utf8))
        == "x.json:1: is not valid JSON at byte 129 of the line: values are nested deeper than 128 levels.")
  }

  @Test func readsAVeryLongString() throws {
    let text = String(repeating: "long é text ", count: 2_000_000)
    #expect(try parse("\"\(text)\"").string?.utf8.count == text.utf8.count)
  }
}
