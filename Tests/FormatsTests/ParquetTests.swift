import Core
import Files
import Formats
import Foundation
import JSON
import TestSupport
import Testing

/// Files of several writers, whose rows are as pyarrow reads them (`Fixtures/make_formats.py`).
@Suite struct ParquetTests {
  static let folder = fixturesFolder + "/formats"
  static let names = [
    "alpaca",
    "duckdb-v2", "fastparquet-gzip", "int96", "polars-zstd", "pyarrow-deltas", "pyarrow-lengths", "pyarrow-snappy",
    "pyarrow-v2-gzip-plain", "types",
  ]

  @Test func everyFixtureIsTested() throws {
    let files = try directoryEntries(Self.folder).filter { $0.hasSuffix(".parquet") }
    #expect(files.sorted() == Self.names.map { $0 + ".parquet" })
  }

  static func lines(_ file: MappedFile) throws -> [JSONValue] {
    try file.bytes.split(separator: UInt8(ascii: "\n")).map {
      try parseJSON(UnsafeRawBufferPointer(rebasing: $0), file: file.path)
    }
  }

  /// Equal but for float32's digits.
  private static func isSame(_ a: JSONValue, _ b: JSONValue) -> Bool {
    if let a = a.array, let b = b.array { return a.count == b.count && zip(a, b).allSatisfy(isSame) }
    if let a = a.object, let b = b.object {
      return a.keys == b.keys && zip(a.members, b.members).allSatisfy { isSame($0.value, $1.value) }
    }
    if let a = a.double, let b = b.double { return abs(a - b) <= 1e-7 * max(abs(a), abs(b)) }
    return a == b
  }

  @Test(arguments: names) func rowsAreThoseThatPyarrowReads(_ name: String) throws {
    let table = try ParquetTable(MappedFile("\(Self.folder)/\(name).parquet"))
    let rows = try Self.lines(try table.jsonLines())
    let expected = try Self.lines(MappedFile("\(Self.folder)/\(name).jsonl"))
    try #require(rows.count == expected.count)
    for (row, other) in zip(rows, expected) { #expect(Self.isSame(row, other), "\(row) is not \(other)") }
    #expect(table.columns == expected[0].object?.keys)
  }

  @Test func largeIntegersKeepTheirDigits() throws {
    let text = try ParquetTable(MappedFile(Self.folder + "/types.parquet")).jsonLines()
    #expect(String(decoding: text.bytes, as: UTF8.self).contains("\"large\":18446744073709551615,"))
  }

  /// The pages of all columns together have a limit, of which one column's do not come near.
  @Test func pagesOfManyColumnsHaveALimit() throws {
    let table = try ParquetTable(MappedFile(Self.folder + "/pyarrow-snappy.parquet"))
    let whole = try table.jsonLines().count
    #expect(try table.jsonLines(mostPageBytes: 20_000).count == whole)
    let error = #expect(throws: SFTError.self) { try table.jsonLines(mostPageBytes: 1000) }
    #expect(error?.message.hasSuffix(" at the same time, which is not read") == true, "\(error?.message ?? "")")
  }

  private func message(_ bytes: [UInt8]) throws -> String {
    try withTemporaryFolder { folder in
      try writeAtomically(bytes, to: folder + "/t.parquet")
      do {
        _ = try ParquetTable(MappedFile(folder + "/t.parquet")).jsonLines()
        return ""
      } catch let error as SFTError {
        #expect(error.kind == .badData && error.file == folder + "/t.parquet")
        return error.message
      }
    }
  }

  @Test func whatIsWrongIsSaid() throws {
    let whole = try readFile(Self.folder + "/pyarrow-snappy.parquet")
    #expect(try message(whole) == "")
    #expect(try message(Array(whole.dropLast())) == "is a Parquet file that is damaged: it ends early")
    #expect(try message(Array("PAR1".utf8)) == "is a Parquet file that is damaged: it ends early")
    #expect(
      try message(Array("PARE12345678PARE".utf8)) == "is a Parquet file with encrypted columns, which is not read")
    var long = whole
    long[whole.count - 5] = 0x7f
    #expect(try message(long) == "is a Parquet file that is damaged: its footer is longer than the file")
  }

  /// Whatever is changed in a file, it is read or refused: nothing is read outside of it. `SFT_FUZZ_SECONDS` makes it longer.
  @Test(arguments: names) func damagedFilesAreReadOrRefused(_ name: String) throws {
    let whole = try readFile("\(Self.folder)/\(name).parquet")
    var random = SeededGenerator(seed: UInt64(name.utf8.reduce(0) { $0 &* 31 &+ Int($1) }.magnitude))
    let deadline = fuzzDeadline(shares: Self.names.count)
    var (refused, round) = (0, 0)
    while round < 150 || deadline.map({ ContinuousClock.now < $0 }) ?? false {
      round += 1
      var bytes = whole
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        switch Int.random(in: 0..<4, using: &random) {
        case 0: bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
        // Headers are where it hurts.
        case 1:
          let place = max(0, bytes.count - Int.random(in: 9..<1200, using: &random))
          bytes[place] = [0, 0x7f, 0xff, 0x80, 1].randomElement(using: &random) ?? 0
        case 2: bytes[Int.random(in: 0..<bytes.count, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        default:
          let start = Int.random(in: 4..<bytes.count - 12, using: &random)
          bytes.remove(at: start)
        }
      }
      if try message(bytes) != "" { refused += 1 }
    }
    #expect(refused > 0)
  }
}

/// When a test's share of a longer fuzzing ends; nil where none is asked for.
func fuzzDeadline(shares: Int) -> ContinuousClock.Instant? {
  ProcessInfo.processInfo.environment["SFT_FUZZ_SECONDS"].flatMap(Double.init).map {
    .now + .seconds($0 / Double(shares))
  }
}
