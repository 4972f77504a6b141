import Core
import Files
import Formats
import Foundation
import TestSupport
import Testing

@Suite struct CompressionTests {
  /// More than the pieces that it is read in.
  private static let text = (0..<60_000).map { "line \($0 % 977) of \($0)\n" }.joined()

  private func compressed(_ tool: String, _ text: String, _ folder: String) throws -> [UInt8] {
    try writeAtomically(Array(text.utf8), to: folder + "/plain")
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [tool, "-c", folder + "/plain"]
    try writeAtomically([UInt8](), to: folder + "/out")
    process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: folder + "/out"))
    try process.run()
    process.waitUntilExit()
    try #require(process.terminationStatus == 0)
    return try readFile(folder + "/out")
  }

  private func content(_ bytes: [UInt8], _ folder: String) throws -> String {
    try writeAtomically(bytes, to: folder + "/in")
    let file = try unpacked(try MappedFile(folder + "/in"), isColumn: { _ in false }, bad: { throw $0 })
    #expect(file.path == folder + "/in")
    return String(decoding: file.bytes, as: UTF8.self)
  }

  private func failure(_ bytes: [UInt8], _ folder: String) -> String? {
    do {
      _ = try content(bytes, folder)
      return nil
    } catch {
      return (error as? SFTError).map { "\($0.kind): \($0.message)" }
    }
  }

  @Test func gzipIsReadMemberByMember() throws {
    try withTemporaryFolder { folder in
      let (whole, empty) = (try compressed("gzip", Self.text, folder), try compressed("gzip", "", folder))
      #expect(try content(whole, folder) == Self.text)
      #expect(try content(whole + empty + whole, folder) == Self.text + Self.text)
      #expect(try content(empty, folder) == "")
      #expect(try content(whole + [0, 0, 0], folder) == Self.text)
      let cut = "badData: is compressed with gzip, and ends early"
      for length in [2, 9, 12, whole.count / 2, whole.count - 1] {
        #expect(failure(Array(whole.prefix(length)), folder) == cut, "\(length)")
      }
      #expect(failure(whole + [1, 2, 3], folder) == "badData: is compressed with gzip, and is damaged")
      var changed = whole
      changed[whole.count - 6] ^= 1
      #expect(failure(changed, folder) == "badData: is compressed with gzip, and is damaged")
    }
  }

  /// A frame that holds its content as it is: there is no tool for this that every machine has.
  private func frame(_ text: [UInt8]) -> [UInt8] {
    // Magic, a descriptor (single segment, size of one byte), the size, and one raw block that is the last.
    let header = UInt32(text.count) << 3 | 1
    return [0x28, 0xb5, 0x2f, 0xfd, 0x20, UInt8(text.count)]
      + (0..<3).map { UInt8(truncatingIfNeeded: header >> (8 * $0)) }
      + text
  }

  @Test func zstdIsReadFrameByFrame() throws {
    try withTemporaryFolder { (folder: String) throws -> Void in
      let one = frame(Array("hello\n".utf8))
      #expect(try content(one, folder) == "hello\n")
      #expect(try content(one + one, folder) == "hello\nhello\n")
      for length in [4, 7, one.count - 1] {
        #expect(
          failure(Array(one.prefix(length)), folder) == "badData: is compressed with zstd, and ends early", "\(length)")
      }
      #expect(try content([0x52, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 9] + one, folder) == "hello\n")
      // Exactly as much as is read at a time: a block of one byte that is repeated.
      let size = 128 << 10
      let repeated = (0..<3).map { UInt8(truncatingIfNeeded: (UInt32(size) << 3 | 2) >> (8 * $0)) } + [0x61]
      let last = (0..<3).map { UInt8(truncatingIfNeeded: (UInt32(size) << 3 | 3) >> (8 * $0)) } + [0x61]
      let header: [UInt8] =
        [0x28, 0xb5, 0x2f, 0xfd, 0xa0] + (0..<4).map { UInt8(truncatingIfNeeded: (2 * size) >> (8 * $0)) }
      #expect(try content(header + repeated + last, folder) == String(repeating: "a", count: 2 * size))
      #expect(failure(one + Array("more".utf8), folder) == "badData: is compressed with zstd, and is damaged")
    }
  }

  @Test func tablesAreReadThroughIt() throws {
    try withTemporaryFolder { folder in
      let table = try compressed("gzip", "output,x\n1,2\n", folder)
      try writeAtomically(table, to: folder + "/t.csv.gz")
      let file = try unpacked(try MappedFile(folder + "/t.csv.gz"), isColumn: { _ in false }, bad: { throw $0 })
      #expect(String(decoding: file.bytes, as: UTF8.self) == "\n{\"output\":\"1\",\"x\":\"2\"}\n")
    }
  }
}
