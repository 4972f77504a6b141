import Core
import Files
import Loading
import TestSupport
import Testing

/// Records from tables, and from columns of other names.
@Suite struct ColumnTests {
  @Test func tablesAreRecords() throws {
    let text = "id,instruction,output\n1,a,b\n2,\"c\nd\",e\n3,f,g\n"
    let loaded = try load(text)
    #expect(loaded.texts == [["a", "", "b"], ["c\nd", "", "e"], ["f", "", "g"]])
    #expect(loaded.lines == [2, 3, 5])
    #expect(loaded.report?.formats == [.alpaca])
    #expect(try load("질문\t답변\na\tb\n").texts == [["a", "", "b"]])
    #expect(try load("frage,antwort\na,b\n", name: ".csv").failure?.hasPrefix("F:2: the record has no") == true)
  }

  @Test func conversationsStandInColumnsAsJSON() throws {
    let chat = #""[{""role"": ""user"", ""content"": ""a, b""}, {""role"": ""assistant"", ""content"": ""c""}]""#
    let loaded = try load("id,messages\n1,\(chat)\n2,[oops\n", LoadingOptions(skipBad: true))
    #expect(loaded.conversations.map { $0.turns.map(\.content) } == [["a, b", "c"]])
    #expect(loaded.skipped.count == 1 && loaded.skipped[0].hasPrefix("F:3: \"messages\" must be a list"))
    let history = "instruction,output,history\nx,y,\"[[\"\"q\"\", \"\"a\"\"]]\"\nz,w,\n"
    #expect(try load(history).conversations.map { $0.turns.map(\.content) } == [["q", "a", "x", "y"], ["z", "w"]])
  }

  @Test func badRowsAreListed() throws {
    let text = "instruction,output\na,b\nc\nd,\ne,f\n"
    #expect(try load(text).failure?.hasPrefix("F:3: the row has 1 field where the header has 2 columns. ") == true)
    let loaded = try load(text, LoadingOptions(skipBad: true))
    #expect(loaded.texts == [["a", "", "b"], ["e", "", "f"]])
    #expect(loaded.report?.skippedBadCount == 2)
    #expect(loaded.report?.skippedBad.map(\.line) == [3, 4])
  }

  @Test func parquetIsRecords() throws {
    let path = fixturesFolder + "/formats/pyarrow-snappy.parquet"
    var records: [Conversation] = []
    let report = try loadRecords(from: [MappedFile(path)], options: LoadingOptions(skipBad: true, format: .alpaca)) {
      records += $0
    }
    #expect(report.records == records.count && report.records + report.skippedBadCount == 60 && records.count > 20)
    let asText = try readFile(fixturesFolder + "/formats/pyarrow-snappy.jsonl")
    #expect(try load(asText, LoadingOptions(skipBad: true, format: .alpaca)).conversations == records)
  }

  @Test func columnsAreNamed() throws {
    let options = LoadingOptions(columns: try ColumnNames("instruction=task,output=result"))
    let record = #"{"task": "a", "result": "b", "output": "not this", "input": "c"}"#
    #expect(try load(record, options).texts == [["a", "c", "b"]])
    // The same by the slower way.
    let withSystem = #"{"task": "a", "result": "b", "instruction": "not this", "system": "s"}"#
    let turns = try load(withSystem, options).conversations.first?.turns
    #expect(turns?.map(\.content) == ["s", "a", "b"])
    #expect(try load("task,result\na,b\n", options).texts == [["a", "", "b"]])
    let messages = LoadingOptions(columns: try ColumnNames("messages=chat"))
    let chat =
      #"{"instruction": "x", "output": "y", "chat": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}"#
    #expect(try load(chat, messages).conversations.first?.turns.map(\.content) == ["a", "b"])
  }

  @Test func aColumnHoldsOneField() throws {
    let options = LoadingOptions(columns: try ColumnNames("instruction=input"))
    #expect(try load(#"{"input": "q", "output": "a"}"#, options).texts == [["q", "", "a"]])
    #expect(try load(#"{"input": "q", "output": "a", "system": null}"#, options).texts == [["q", "", "a"]])
    let both = LoadingOptions(columns: try ColumnNames("instruction=input,input=input"))
    #expect(try load(#"{"input": "q", "output": "a"}"#, both).texts == [["q", "q", "a"]])
    // What a record may do without may come late.
    let late = LoadingOptions(columns: try ColumnNames("instruction=task,input=more"))
    #expect(try load(#"{"task": "q", "output": "a"}"#, late).texts == [["q", "", "a"]])
  }

  @Test func tablesOfBadRowsAloneAreCounted() throws {
    try withTemporaryFolder { (folder: String) throws -> Void in
      try writeAtomically(Array("instruction,output\na\n".utf8), to: folder + "/a.csv")
      try writeAtomically(Array("instruction,output\na,b\n".utf8), to: folder + "/b.csv")
      let files = try ["a", "b"].map { try MappedFile("\(folder)/\($0).csv") }
      let report = try loadRecords(from: files, options: LoadingOptions(skipBad: true)) { _ in }
      #expect(report.records == 1 && report.skippedBadCount == 1 && report.formats.count == 2)
    }
  }

  @Test func whatIsNotThereIsSaidWithWhatIs() throws {
    let options = LoadingOptions(columns: try ColumnNames("instruction=task"))
    #expect(
      try load(#"{"instruction": "a", "output": "b"}"#, options).failure
        == "F: there is no column \"task\"; there are \"instruction\" and \"output\".")
    for (text, message) in [
      ("instruction", "\"instruction\" is not field=column, as instruction=question"),
      ("instruction=", "\"instruction=\" is not field=column, as instruction=question"),
      ("a=b", "a record has no field \"a\""), ("text=a,text=b", "the field \"text\" is given twice"),
    ] {
      #expect(throws: SFTError.self) { try ColumnNames(text) }
      do { _ = try ColumnNames(text) } catch let error as SFTError { #expect(error.message == message) }
    }
  }
}
