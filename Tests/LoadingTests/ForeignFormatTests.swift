import Core
import Files
import Loading
import Testing

/// What is said of files in formats that are not read.
@Suite struct ForeignFormatTests {
  static let compressed: [(bytes: [UInt8], message: String)] = [
    (Array("BZh9".utf8), "is compressed with bzip2. Decompress it first: bunzip2 FILE."),
    ([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0], "is compressed with xz. Decompress it first: unxz FILE."),
  ]

  @Test(arguments: compressed) func compressedFilesAreNamed(_ bytes: [UInt8], _ message: String) throws {
    #expect(try load(bytes).failure == "F: " + message)
    #expect(try load(bytes, LoadingOptions(skipBad: true)).failure == "F: " + message)
  }

  @Test func archivesAndBinaryTablesAreNamed() throws {
    #expect(try load("PK\u{3}\u{4}…").failure?.hasPrefix("F: is a zip archive, as spreadsheets are too. ") == true)
    #expect(try load("ARROW1…").failure?.contains("pandas.read_feather(") == true)
    #expect(
      try load([0xff, 0xff, 0xff, 0xff, 1]).failure?.hasPrefix("F: is an Arrow stream. Save the dataset") == true)
    let tar = [UInt8](repeating: 0x61, count: 257) + Array("ustar".utf8)
    #expect(try load(tar).failure == "F: is a tar archive. Unpack it and give the files in it.")
    #expect(try load([9, 0, 0, 0, 0x7b]).failure?.hasPrefix("F: is a binary file, not JSON. ") == true)
  }

  @Test func textIsNamed() throws {
    for text in ["Once upon a time\nthere was\n", "nonsense", "- a list\n- of items", "<xml/>"] {
      let message =
        "F: is text, not JSON. Write each record on a line of its own: {\"instruction\": \"…\", \"output\": \"…\"}."
      #expect(try load(text).failure == message)
      #expect(try load(text, LoadingOptions(skipBad: true)).failure == message)
    }
    // One line that could be a record makes it JSON Lines with bad ones.
    let good = #"{"instruction": "good", "output": "x"}"#
    #expect(try load("# a comment\n" + good, LoadingOptions(skipBad: true)).lines == [2])
    #expect(try load("instruction?\n" + good, LoadingOptions(skipBad: true)).lines == [2])
    #expect(try load("{\"a\": \"\0\"}\n" + good, LoadingOptions(skipBad: true)).lines == [2])
    #expect(try load("17").failure == "F:1: a record must be a JSON object, but here is a number.")
  }

  static let records: [(record: String, message: String)] = [
    (
      #"{"Instruction": "a", "Input": "", "Output": "b"}"#,
      "the record has no \"instruction\"; it has \"Instruction\", \"Input\" and \"Output\". Say which of them are the "
        + "record's: --columns instruction=Instruction,input=Input,output=Output."
    ),
    (
      #"{"id": 1, "dialog": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}"#,
      "the record has no \"instruction\"; it has \"id\" and \"dialog\". It is a conversation: --columns "
        + "messages=dialog."
    ),
    (
      #"{"a'b": 1, "note": "x"}"#,
      "the record has no \"instruction\"; it has \"a'b\" and \"note\". A record needs \"instruction\" and \"output\", and "
        + "perhaps \"input\"."
    ),
  ]

  @Test(arguments: records) func otherFieldsAreListedWithWhatToDo(_ record: String, _ message: String) throws {
    #expect(try load(record).failure == "F:1: " + message)
    #expect(try load("[\n\(record)]").failure == "F:2: " + message)
    let skipped = try load(record, LoadingOptions(skipBad: true)).failure
    #expect(skipped?.hasPrefix("F: no record is left: 1 were bad and 0 have an input. ") == true)
  }

  @Test func recordsWithinAnObjectAreRead() throws {
    let record = #"{"instruction": "a", "output": "b"}"#
    for text in [
      #"{"version": 1, "data": [\#(record)]}"#, "\u{FEFF}{\n \"data\": [\n  \(record)\n ],\n \"license\": \"x\"}\n",
    ] {
      let loaded = try load(text)
      #expect(loaded.failure == nil && loaded.texts == [["a", "", "b"]], "\(text)")
    }
    // Lines are the file's.
    #expect(
      try load("{\n \"data\": [\n  \(record),\n  {\"x\": 1}\n ]\n}\n").failure?.hasPrefix("F:4: the record has no")
        == true)
    // What is a record itself, or holds several arrays, holds no records.
    for other in [
      #"{"text": "Hello", "entities": [{"text": "H"}]}"#,
      #"{"messages": [], "tools": [{"instruction": "a", "output": "b"}]}"#,
      "{\"sources\": [\(record)], \"data\": [\(record)]}", "{\"train\": [\(record)], \"test\": [\(record)]}",
    ] {
      #expect(try load(other).texts != [["a", "", "b"]], "\(other)")
    }
    let named = LoadingOptions(columns: try ColumnNames("instruction=task,output=result"))
    #expect(try load(#"{"task": "a", "result": "b", "notes": [{"x": 1}]}"#, named).texts == [["a", "", "b"]])
    #expect(try load("{\"data\": [\(record)\n {}]}").failure?.contains("a comma or ] is expected") == true)
  }

  @Test func aRecordOverSeveralLinesIsNoContainer() throws {
    let text = "{\n \"instruction\": \"a\",\n \"output\": \"b\",\n \"sources\": [{\"x\": 1}]\n}\n"
    #expect(try load(text).failure?.hasSuffix("Write each record on one line, or all as a JSON array.") == true)
  }
}
