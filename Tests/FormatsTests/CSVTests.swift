import Core
import Files
import Formats
import TestSupport
import Testing

@Suite struct CSVTests {
  private struct Read: Equatable {
    var text: String
    var bad: [String] = []
  }

  private func read(_ text: String, name: String = "t.csv") throws -> Read? {
    try withTemporaryFolder { folder in
      try writeAtomically(Array(text.utf8), to: folder + "/" + name)
      let file = try MappedFile(folder + "/" + name)
      guard let table = CSVTable(file, isColumn: { $0 == "output" }) else { return nil }
      var bad: [String] = []
      let lines = try table.jsonLines { bad.append("\($0.line ?? 0): \($0.message)") }
      return Read(text: String(decoding: lines.bytes, as: UTF8.self), bad: bad)
    }
  }

  @Test func fieldsAreQuotedAsTheStandardSays() throws {
    let text = "a,b\r\n1,\"x, \"\"y\"\"\r\nz\"\r\n,\r\n\"\",\"한국어\"\n"
    #expect(
      try read(text)
        == Read(
          text: "\n{\"a\":\"1\",\"b\":\"x, \\\"y\\\"\\r\\nz\"}\n\n{\"a\":\"\",\"b\":\"\"}\n{\"a\":\"\",\"b\":\"한국어\"}\n"
        ))
  }

  @Test func linesKeepTheirNumbers() throws {
    let lines = try read("\u{feff}a,\"b\nc\"\n1,\"2\n3\n4\"\n\n5,6")?.text.split(
      separator: "\n", omittingEmptySubsequences: false)
    #expect(
      lines == ["", "", "{\"a\":\"1\",\"b\\nc\":\"2\\n3\\n4\"}", "", "", "", "{\"a\":\"5\",\"b\\nc\":\"6\"}", ""])
  }

  @Test func separatorsAreSeen() throws {
    #expect(try read("x\toutput\na, b\tc\n", name: "t")?.text == "\n{\"x\":\"a, b\",\"output\":\"c\"}\n")
    #expect(try read("x;output\na, b;c\n", name: "t")?.text == "\n{\"x\":\"a, b\",\"output\":\"c\"}\n")
    #expect(try read("one\na\n")?.text == "\n{\"one\":\"a\"}\n")
    // Without a name that says so, a line with commas is no header.
    #expect(try read("Once, upon a time\nthere was", name: "t") == nil)
    #expect(try read("output, and more: a sentence\nx", name: "t") == nil)
    #expect(try read("o\u{0}u,t\n", name: "t.csv") == nil)
    #expect(try read("one\na\n\n")?.text == "\n{\"one\":\"a\"}\n\n")
    #expect(try read("{\"output\": 1, \"x\": 2}", name: "t.csv") == nil)
  }

  @Test func rowsOfOtherLengthsAreBad() throws {
    let found = try read("a,b\n1\n\n1,2,3\n1,2\n4,")
    #expect(
      found?.bad == [
        "2: the row has 1 field where the header has 2 columns",
        "4: the row has 3 fields where the header has 2 columns",
      ])
    #expect(found?.text == "\n\n\n\n{\"a\":\"1\",\"b\":\"2\"}\n{\"a\":\"4\",\"b\":\"\"}\n")
  }

  @Test func anotherEncodingIsNamed() throws {
    try withTemporaryFolder { (folder: String) throws -> Void in
      // "한글" as Korean spreadsheets write it.
      try writeAtomically(
        Array("output,b\nx,y\nordinary text ".utf8) + [0xc7, 0xd1, 0xb1, 0xdb, 0x2c, 0x31], to: folder + "/t.csv")
      let table = try #require(CSVTable(try MappedFile(folder + "/t.csv"), isColumn: { _ in false }))
      do {
        _ = try table.jsonLines { throw $0 }
        Issue.record("it was read")
      } catch let error as SFTError {
        #expect(error.line == 3 && error.message == "is not UTF-8" && error.advice?.contains("CP949") == true)
      }
    }
  }

  @Test func whatCannotBeReadIsAnError() throws {
    func failure(_ text: String) -> String? {
      do {
        _ = try read(text)
        return nil
      } catch {
        return (error as? SFTError).map { "\($0.line ?? 0): \($0.message)" }
      }
    }
    #expect(failure("a,b\n1,\"2\n3\n") == "2: a quote is opened that is never closed")
    #expect(failure("a,b\n1,\"2\"3\n") == "2: text follows a quote that ends a field")
    #expect(failure("instruction,b\nlong enough,1\n한국어,2\n") == nil)
    #expect(failure("a,a\n1,2\n") == "1: has two columns named \"a\"")
  }
}
