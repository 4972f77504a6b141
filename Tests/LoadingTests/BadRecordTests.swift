import Core
import Loading
import Testing

private let good = #"{"instruction": "good", "output": "x"}"#

@Suite struct BadRecordTests {
  /// A record and what is said of it.
  static let bad: [(record: String, message: String)] = [
    (#"{"instruction": "a"}"#, "the record has no \"output\"."),
    (#"{"output": "a"}"#, "the record has no \"instruction\"."),
    (#"{"instruction": 1, "output": "a"}"#, "\"instruction\" must be a string, but is a number."),
    (#"{"instruction": null, "output": "a"}"#, "\"instruction\" must be a string, but is null."),
    (#"{"instruction": "a", "output": true}"#, "\"output\" must be a string, but is a truth value."),
    (#"{"instruction": "a", "output": ["a"]}"#, "\"output\" must be a string, but is an array."),
    (#"{"instruction": "a", "input": {}, "output": "a"}"#, "\"input\" must be a string, but is an object."),
    (
      #"{"instruction": "a", "output": ""}"#,
      "\"output\" is empty, so there is nothing to learn from this record."
    ),
    (
      #"{"instruction": "a", "output": " \n\t\u00a0"}"#,
      "\"output\" is empty, so there is nothing to learn from this record."
    ),
    (#"{"instruction": "", "input": "", "output": "a"}"#, "\"instruction\" and \"input\" are both empty."),
    (#"{"instruction": " ", "output": "a"}"#, "\"instruction\" and \"input\" are both empty."),
    (
      #"{"instruction": "a", "output": "b", "instruction": "c"}"#,
      "holds the name \"instruction\" twice in one object."
    ),
    (
      #"{"instruction": "a", "output": "b", "x": [{"y": 1, "y": 2}]}"#,
      "holds the name \"y\" twice in one object."
    ),
    (#""text""#, "a record must be a JSON object, but here is a string."),
    ("17", "a record must be a JSON object, but here is a number."),
    ("null", "a record must be a JSON object, but here is null."),
    ("[1]", "a record must be a JSON object, but here is an array."),
  ]

  @Test(arguments: bad) func namesTheLine(_ record: String, _ message: String) throws {
    #expect(try load(good + "\n\n" + record + "\n" + good).failure == "F:3: " + message)
    #expect(try load("[\n" + good + ",\n\n" + record + ",\n" + good + "]").failure == "F:4: " + message)
  }

  @Test(arguments: bad) func skipsItAlone(_ record: String, _ message: String) throws {
    for text in [
      [good, record, good].joined(separator: "\n"), "[" + [good, record, good].joined(separator: ",\n") + "]",
    ] {
      let loaded = try load(text, LoadingOptions(skipBad: true))
      #expect(loaded.failure == nil)
      #expect(loaded.lines == [1, 3])
      #expect(loaded.skipped == ["F:2: " + message])
      #expect(loaded.report?.skippedBadCount == 1)
    }
  }

  static let broken: [(line: String, message: String)] = [
    ("nonsense", "is not valid JSON at byte 2 of the line: null is expected, but 'o' follows."),
    (
      #"{"instruction": "a", "output": "b",}"#,
      "is not valid JSON at byte 36 of the line: a name in quotes is expected, but '}' follows."
    ),
    (
      #"{"instruction": "a", "output": "\ud83d"}"#,
      #"is not valid JSON at byte 33 of the line: the high surrogate \ud83d has no low surrogate after it."#
    ),
    (
      #"{"instruction": "a", "output": NaN}"#,
      "is not valid JSON at byte 32 of the line: a value is expected, but 'N' follows."
    ),
    (good + good, "is not valid JSON at byte 39 of the line: there is text after the end of the value."),
    (
      "{",
      "is not valid JSON at byte 2 of the line: a name in quotes is expected, but the end follows. "
        + "Write each record on one line, or all as a JSON array."
    ),
  ]

  @Test(arguments: broken) func brokenLinesAreNamedOrSkipped(_ line: String, _ message: String) throws {
    let text = [good, line, good].joined(separator: "\n")
    #expect(try load(text).failure == "F:2: " + message)
    #expect(try load(text).lines == [1])
    let loaded = try load(text, LoadingOptions(skipBad: true))
    #expect(loaded.lines == [1, 3])
    #expect(loaded.skipped == ["F:2: " + message])
  }

  @Test func invalidUTF8IsNamedOrSkipped() throws {
    for bytes in [[0xff], [0xc0, 0xaf], [0xed, 0xa0, 0x80]] as [[UInt8]] {
      let bad = Array(#"{"instruction": "a", "output": ""#.utf8) + bytes + Array(#""}"#.utf8)
      let text = Array(good.utf8) + [0x0a] + bad + [0x0a] + Array(good.utf8)
      #expect(
        try load(text).failure?.hasPrefix("F:2: is not valid JSON at byte 33 of the line: a string is not valid UTF-8")
          == true)
      #expect(try load(text, LoadingOptions(skipBad: true)).lines == [1, 3])
    }
  }

  /// Elements that are broken inside but whose end is plain are skipped alone.
  @Test func brokenElementsWithAnEndAreSkipped() throws {
    for element in [#"{"instruction": "a", "output": "b",}"#, "{\"instruction\": NaN}", "nonsense", #"{"a": "\x"}"#] {
      let text = "[\(good),\n\(element),\n\(good)]"
      #expect(try load(text).failure?.hasPrefix("F:2: is not valid JSON") == true)
      #expect(try load(text).lines == [1])
      let loaded = try load(text, LoadingOptions(skipBad: true))
      #expect(loaded.lines == [1, 3])
      #expect(loaded.report?.skippedBadCount == 1)
    }
  }

  static let endless: [(text: String, message: String)] = [
    (
      "[\(good),\n{\"instruction\": \"a},\n\(good)]",
      "F:2: is not valid JSON at byte 21 of the line: a string holds the end of the line, "
        + "which must be written as an escape."
    ),
    (
      "[\(good),\n{\"a\": [1},\n\(good)]",
      "F:2: is not valid JSON at byte 9 of the line: a comma or ] is expected, but '}' follows."
    ),
    (
      "[\(good),\n{\"a\": 1\n",
      "F:3: is not valid JSON at byte 1 of the line: a comma or } is expected, but the end follows."
    ),
    (
      "[\(good)\n\(good)]",
      "F:2: is not valid JSON at byte 1 of the line: a comma or ] is expected after an element of the array, "
        + "but something else follows."
    ),
    (
      "[\(good)\n",
      "F:2: is not valid JSON at byte 1 of the line: a comma or ] is expected after an element of the array, "
        + "but the file ends."
    ),
    ("[\(good),\n]", "F:2: is not valid JSON at byte 1 of the line: a value is expected, but ']' follows."),
    ("[\(good),,\(good)]", "F:1: is not valid JSON at byte 41 of the line: a value is expected, but ',' follows."),
    ("[\(good)]\n[]", "F:2: is not valid JSON at byte 1 of the line: there is text after the end of the array."),
    ("[\(good),\n", "F:2: is not valid JSON at byte 1 of the line: a value is expected, but the text ends."),
  ]

  /// Elsewhere nothing after the fault can be trusted, with or without `skipBad`; what is before it is still handed on.
  @Test(arguments: endless) func arraysThatAreBrokenEndThere(_ text: String, _ message: String) throws {
    for skipBad in [false, true] {
      for chunkBytes in [1, 1 << 20] {
        let loaded = try load(text, options(chunkBytes: chunkBytes, skipBad: skipBad))
        #expect(loaded.failure == message)
        #expect(loaded.lines == [1])
      }
    }
  }

  @Test func deepNestingIsRefused() throws {
    let deep = String(repeating: "[", count: 1_000_000)
    #expect(
      try load("{\"a\": " + deep).failure
        == "F:1: is not valid JSON at byte 134 of the line: values are nested deeper than 128 levels.")
    #expect(try load("[" + deep).failure?.hasSuffix("values are nested deeper than 128 levels.") == true)
  }

  @Test func filesWithoutRecordsAreRefused() throws {
    for text in ["", "\n \r\n", "\u{feff}", "[]", " [ \n ] "] {
      #expect(try load(text).failure == "F: holds no records.")
      #expect(try load(text, LoadingOptions(skipBad: true)).failure == "F: holds no records.")
    }
    #expect(try load([0xff, 0xfe, 0x7b, 0x00]).failure == "F: is in UTF-16. Convert it to UTF-8.")
    #expect(
      try load("{}\n{}", LoadingOptions(skipBad: true)).failure
        == "F: no record is left: 2 were bad and 0 have an input.")
    #expect(throws: SFTError.self) { try loadRecords(from: []) { _ in } }
  }

  /// All are counted, a hundred listed, whatever the chunks.
  @Test func listsAHundredBadRecords() throws {
    let text = (0..<1_000).map { $0 % 4 == 0 ? good : "{}" }.joined(separator: "\n")
    for options in [
      LoadingOptions(skipBad: true, threads: 2), options(chunkBytes: 100, threads: 2, skipBad: true),
    ] {
      let report = try #require(try load(text, options).report)
      #expect(report.skippedBadCount == 750)
      #expect(report.records == 250)
      #expect(report.skippedBad.compactMap(\.line) == (1...134).filter { $0 % 4 != 1 }.prefix(100).map { $0 })
      #expect(report.skippedBad.count == LoadingReport.listedLimit)
    }
  }

  /// The first in the file is reported, not the first that some thread meets.
  @Test func theFirstBadRecordIsReported() throws {
    var lines = [String](repeating: good, count: 2_000)
    lines[700] = String(repeating: " ", count: 100_000) + "{}"
    lines[701] = "{\"output\": 1}"
    for line in stride(from: 702, to: 2_000, by: 3) { lines[line] = "x" }
    for threads in 1...4 {
      let loaded = try load(lines.joined(separator: "\n"), options(chunkBytes: 300, threads: threads))
      #expect(loaded.failure == "F:701: the record has no \"instruction\".")
      #expect(loaded.lines == Array(1...700))
    }
  }
}
