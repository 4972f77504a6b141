import Core
import Files
import Loading
import Testing

@Suite struct FormatTests {
  static let lines = [
    #"{"instruction": "Add 1 and 2.", "input": "", "output": "3"}"#,
    #"{"output": "b\u00e9\ud83d\ude00", "id": 17, "instruction": "Ä", "tags": [{"a": "}"}, null], "input": "x"}"#,
    #"{"instruction": "No input", "output": "\"quoted\" \\ \n\u0000"}"#,
    #"{"instruction": "", "input": "only input", "output": " x "}"#,
    #"{"instruction": "null input", "input": null, "output": "y"}"#,
  ]
  static let texts = [
    ["Add 1 and 2.", "", "3"], ["Ä", "x", "bé😀"], ["No input", "", "\"quoted\" \\ \n\u{0}"],
    ["", "only input", " x "], ["null input", "", "y"],
  ]

  @Test func readsJSONLines() throws {
    let loaded = try load(Self.lines.joined(separator: "\n") + "\n")
    #expect(loaded.failure == nil)
    #expect(loaded.texts == Self.texts)
    #expect(loaded.lines == [1, 2, 3, 4, 5])
    #expect(loaded.report?.records == 5)
  }

  @Test func readsArraysInAnyLayout() throws {
    let compact = try load("[" + Self.lines.joined(separator: ",") + "]")
    #expect(compact.texts == Self.texts)
    #expect(compact.lines == [1, 1, 1, 1, 1])
    let spread = Self.lines.map { $0.replacing(", \"", with: ",\n    \"") }.joined(separator: "\n ,\n")
    let pretty = try load("\n [\n" + spread + "\n]\n")
    #expect(pretty.texts == Self.texts)
    #expect(pretty.lines == [3, 7, 13, 16, 20])
  }

  @Test func toleratesByteOrderMarksBlankLinesAndWindowsLineBreaks() throws {
    for text in [
      "\u{feff}" + Self.lines.joined(separator: "\r\n"),
      "\r\n \t\r\n" + Self.lines.joined(separator: "\r\n\r\n") + "\r\n\r\n",
      "\u{feff}\r\n[\r\n" + Self.lines.joined(separator: ",\r\n") + "\r\n]\r\n",
      Self.lines.joined(separator: "\n"),
    ] {
      let loaded = try load(text)
      #expect(loaded.failure == nil)
      #expect(loaded.texts == Self.texts)
    }
    #expect(try load("\r\n \r\n" + Self.lines.joined(separator: "\r\n\r\n")).lines == [3, 5, 7, 9, 11])
  }

  /// The name of a file says nothing about its format, and records carry the index of their file.
  @Test func readsSeveralFilesInOrder() throws {
    let base = "/tmp/sft-records-\(UInt64.random(in: 0 ... .max))"
    let files = [base + ".json", base + ".jsonl"]
    defer { for file in files { try? removeTree(file) } }
    try writeAtomically(Self.lines[0] + "\n" + Self.lines[1], to: files[0])
    try writeAtomically("[\n" + Self.lines[2] + "]", to: files[1])
    var records: [Record] = []
    let report = try loadRecords(from: try files.map { try MappedFile($0) }) { records += $0.map(\.lastExchange) }
    #expect(report.records == 3)
    #expect(records.map(\.file) == [0, 0, 1])
    #expect(records.map(\.line) == [1, 2, 2])
    #expect(records.map(\.output) == Self.texts[..<3].map { $0[2] })
  }

  @Test func readsAVeryLongLine() throws {
    let long = String(repeating: "0123456789 äöü ", count: 1_200_000)
    let line = "{\"instruction\": \"a\", \"output\": \"\(long)\"}"
    #expect(line.utf8.count > 20_000_000)
    for text in [Self.lines[0] + "\n" + line + "\n" + Self.lines[4], "[\(Self.lines[0]),\n\(line),\n\(Self.lines[4])]"]
    {
      let loaded = try load(text, LoadingOptions(threads: 2))
      #expect(loaded.lines == [1, 2, 3])
      #expect(loaded.records[1].output.utf8.elementsEqual(long.utf8))
    }
  }

  @Test func keepsOnlyRecordsWithoutInput() throws {
    let loaded = try load(Self.lines.joined(separator: "\n"), LoadingOptions(onlyEmptyInput: true))
    #expect(loaded.texts == [Self.texts[0], Self.texts[2], Self.texts[4]])
    #expect(loaded.report?.droppedWithInput == 2)
    #expect(loaded.report?.records == 3)
  }

  /// Whatever the size of the chunks and the number of threads, the records and their lines are the same.
  @Test func chunksDoNotShow() throws {
    var random = SeededGenerator(seed: 3)
    let spaces = ["", " ", "\n", "\r\n\n"]
    var jsonl = ""
    var array = "["
    for index in 0..<300 {
      let text = String(repeating: "a\\\"{[é", count: random.below(12))
      let line = "{\"instruction\": \"\(index)\", \"input\": \"\(text)\", \"output\": \"]}\(text)\"}"
      jsonl += line + "\n" + spaces[random.below(4)].filter { $0 != " " }
      array += (index == 0 ? "" : ",") + spaces[random.below(4)] + line + spaces[random.below(4)]
    }
    for text in [jsonl, array + "]"] {
      let whole = try load(text)
      #expect(whole.records.map(\.instruction) == (0..<300).map { "\($0)" })
      for chunkBytes in [1, 2, 7, 64, 500, 10_000] {
        for threads in 1...2 {
          let loaded = try load(text, options(chunkBytes: chunkBytes, threads: threads))
          #expect(loaded.records == whole.records)
          #expect(loaded.report == whole.report)
        }
      }
    }
    #expect(try load(jsonl).texts == load(array + "]").texts)
  }

  /// A consumer's error stops everything, and it has seen the records in order until then.
  @Test func stopsWhereTheConsumerThrows() throws {
    let path = "/tmp/sft-records-\(UInt64.random(in: 0 ... .max))"
    defer { try? removeTree(path) }
    let text = (0..<100).map { "{\"instruction\": \"\($0)\", \"output\": \"x\"}\n" }.joined()
    try writeAtomically(text + "broken", to: path)
    var seen: [String] = []
    let stop = SFTError(.interrupted, "enough")
    #expect(throws: stop) {
      _ = try loadRecords(from: [MappedFile(path)], options: options(chunkBytes: 1, threads: 2)) { records in
        seen += records.map(\.lastExchange.instruction)
        if seen.count >= 50 { throw stop }
      }
    }
    #expect(seen == (0..<50).map { "\($0)" })
  }
}
