import Core
import Files
import JSON
import Testing

/// What must be refused, and in which words.
@Suite struct RefusalTests {
  static let cases: [(text: String, line: Int, message: String)] = [
    ("", 1, "at byte 1 of the line: a value is expected, but the text ends"),
    ("{\"a\":1,}", 1, "at byte 8 of the line: a name in quotes is expected, but '}' follows"),
    ("[1,\n2,\n]", 3, "at byte 1 of the line: a value is expected, but ']' follows"),
    ("[1 2]", 1, "at byte 4 of the line: a comma or ] is expected, but '2' follows"),
    ("{\"a\" 1}", 1, "at byte 6 of the line: a colon is expected after a name, but '1' follows"),
    ("{\"a\":1 \"b\":2}", 1, "at byte 8 of the line: a comma or } is expected, but '\"' follows"),
    ("{'a':1}", 1, "at byte 2 of the line: a name in quotes is expected, but ''' follows"),
    ("1 2", 1, "at byte 3 of the line: there is text after the end of the value"),
    ("{}\n\n/* no */", 3, "at byte 1 of the line: there is text after the end of the value"),
    ("// no\n1", 1, "at byte 1 of the line: a value is expected, but '/' follows"),
    ("[NaN]", 1, "at byte 2 of the line: a value is expected, but 'N' follows"),
    ("[Infinity]", 1, "at byte 2 of the line: a value is expected, but 'I' follows"),
    ("[-Infinity]", 1, "at byte 3 of the line: a digit is expected, but 'I' follows"),
    ("nul", 1, "at byte 4 of the line: null is expected, but the end follows"),
    ("True", 1, "at byte 1 of the line: a value is expected, but 'T' follows"),
    ("012", 1, "at byte 1 of the line: a number starts with a superfluous 0"),
    ("[1.]", 1, "at byte 4 of the line: a digit is expected, but ']' follows"),
    ("[.5]", 1, "at byte 2 of the line: a value is expected, but '.' follows"),
    ("[+1]", 1, "at byte 2 of the line: a value is expected, but '+' follows"),
    ("1e", 1, "at byte 3 of the line: a digit is expected, but the end follows"),
    ("[1e999]", 1, "at byte 2 of the line: a number is too large"),
    ("\"abc", 1, "at byte 1 of the line: a string is not closed"),
    ("\"a\nb\"", 1, "at byte 3 of the line: a string holds the end of the line, which must be written as an escape"),
    ("\"a\tb\"", 1, "at byte 3 of the line: a string holds byte 0x09, which must be written as an escape"),
    (#""\x41""#, 1, "at byte 2 of the line: a backslash is followed by no known escape"),
    (#""\u12g4""#, 1, #"at byte 2 of the line: \u must be followed by four hexadecimal digits"#),
    (#""\ud83d""#, 1, #"at byte 2 of the line: the high surrogate \ud83d has no low surrogate after it"#),
    (#""\ud83d\u0041""#, 1, #"at byte 2 of the line: the high surrogate \ud83d has no low surrogate after it"#),
    (#""\ude00""#, 1, #"at byte 2 of the line: the low surrogate \ude00 has no high surrogate before it"#),
    (#"{"a\u0000b": 1}"#, 1, #"at byte 2 of the line: a name holds \u0000"#),
  ]

  @Test(arguments: cases) func refusesByLine(_ text: String, _ line: Int, _ message: String) {
    #expect(refusal(Array(text.utf8)) == "x.json:\(line): is not valid JSON \(message).")
  }

  /// Overlong forms, surrogates, beyond U+10FFFF, stray and missing continuation bytes.
  @Test(
    arguments: [
      [0xc0, 0xaf], [0xc1, 0xbf], [0xe0, 0x80, 0xaf], [0xe0, 0x9f, 0xbf], [0xf0, 0x80, 0x80, 0xaf], [0xed, 0xa0, 0x80],
      [0xed, 0xbf, 0xbf], [0xf4, 0x90, 0x80, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xff], [0x80], [0xbf], [0xc3],
      [0xc3, 0x28], [0xe2, 0x82], [0xe2, 0x28, 0xa1], [0xf0, 0x9f, 0x98], [0xf0, 0x9f, 0x28, 0x80],
    ] as [[UInt8]]) func refusesInvalidUTF8(_ bytes: [UInt8])
  {
    // At every place relative to the eight bytes that are looked at together.
    for padding in 0..<17 {
      let text = Array("\n\"".utf8) + [UInt8](repeating: 0x61, count: padding) + bytes + Array("bbbbbbbbb\"".utf8)
      let digits = String(bytes[0], radix: 16, uppercase: true)
      #expect(
        refusal(text)
          == "x.json:2: is not valid JSON at byte \(padding + 2) of the line: "
          + "a string is not valid UTF-8 (byte 0x\(digits))."
      )
    }
  }

  @Test func acceptsEveryLengthOfUTF8() throws {
    for text in [
      "\u{7f}", "\u{80}", "\u{7ff}", "\u{800}", "\u{d7ff}", "\u{e000}", "\u{ffff}", "\u{10000}", "\u{10ffff}",
    ] {
      for padding in 0..<17 {
        let whole = String(repeating: "a", count: padding) + text + "bc"
        #expect(try parse("\"\(whole)\"") == .string(whole))
      }
    }
  }

  @Test func refusesEveryRawControlCharacter() {
    for byte in UInt8(0)..<0x20 {
      for padding in 0..<9 {
        let text = [0x22] + [UInt8](repeating: 0x61, count: padding) + [byte] + Array("aaaaaaaaaa\"".utf8)
        #expect(refusal(text).contains("at byte \(padding + 2) of the line: a string holds"))
      }
    }
  }

  @Test func namesADuplicateKey() {
    let text = """
      {"a": [{"x": 1}, {"x": 2}], "x": "a: {",
       "b": {"\\u0079": 1,
             "y": {"b": 2}}}
      """
    #expect(refusal(Array(text.utf8)) == "x.json:3: holds the name \"y\" twice in one object.")
    #expect(refusal(Array(#"{"a":{"b":{}},"a":1}"#.utf8)) == "x.json:1: holds the name \"a\" twice in one object.")
  }

  @Test func countsLinesFromTheFirst() {
    do {
      _ = try parse(Array("\n[1,]".utf8), firstLine: 10)
      Issue.record("accepted")
    } catch {
      #expect((error as? SFTError)?.line == 11)
      #expect((error as? SFTError)?.kind == .badData)
    }
  }

  @Test func readsFiles() throws {
    let path = "/tmp/sft-json-\(UInt64.random(in: 0 ... .max)).json"
    defer { try? removeTree(path) }
    try writeAtomically([0xef, 0xbb, 0xbf] + Array("{\"a\": 1}\n".utf8), to: path)
    #expect(try parseJSONFile(path)["a"]?.int == 1)
    #expect(throws: SFTError(.badData, "is 12 bytes long, and at most 11 bytes are read as JSON", file: path)) {
      try parseJSONFile(path, limit: 11)
    }
    #expect(throws: SFTError.self) { try parseJSONFile(path + ".missing") }
  }
}
