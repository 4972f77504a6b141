import Core
import Files
import TensorBoard
import TestSupport
import Testing

/// Event files byte by byte, and what is read back of them.
@Suite struct EventFileTests {
  /// RFC 3720, appendix B.4.
  @Test func checksumsAreTheStandards() {
    #expect(CRC32C.checksum([UInt8](repeating: 0, count: 32)) == 0x8a91_36aa)
    #expect(CRC32C.checksum([UInt8](repeating: 0xff, count: 32)) == 0x62a8_ab43)
    #expect(CRC32C.checksum(UInt8(0)...31) == 0x46dd_794e)
    #expect(CRC32C.checksum(Array("123456789".utf8)) == 0xe306_9283)
  }

  /// Made with `tensorboard.compat.proto` and `tensorboard.summary.writer.record_writer`, by `make_event.py`.
  @Test func bytesAreTensorBoards() {
    let event = Event.scalars([("train/loss", 2.5), ("train/lr", 2e-4)], step: 300, wallTime: 1_700_000_000.25)
    #expect(
      EventFile.record(event.bytes).map { hex($0) }.joined()
        == "3200000000000000241956ec0900001040fc54d94110ac022a240a110a0a747261696e2f6c6f737315000020400a0f0a0874"
        + "7261696e2f6c721517b75139f90736d8")
    let text = Event.text("sample", "grüße\n    日本", step: 7, wallTime: 1)
    #expect(
      text.bytes.map { hex($0) }.joined()
        == "09000000000000f03f10072a340a320a0673616d706c65421c080712041202080142126772c3bcc39f650a20202020e697a5"
        + "e69cac4a0a0a060a04746578742002")
  }

  private func hex(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16) }

  private func losses(_ steps: [Int], to file: EventFile) throws {
    for step in steps { try file.write(.scalars([("train/loss", 1)], step: step, wallTime: 5)) }
  }

  @Test func laterFilesTakeBackWhatEarlierOnesSay() throws {
    try withTemporaryFolder { folder in
      #expect(try EventHistory(folder + "/none").steps.isEmpty)
      let first = try EventFile(in: folder, firstStep: 0, wallTime: 1000)
      try first.write(.text("configuration", "x", step: 0, wallTime: 1))
      try losses(Array(1...9), to: first)
      let second = try EventFile(in: folder, firstStep: 6, wallTime: 1000)
      try losses([6, 7], to: second)
      // A clock that was put back does not change the order.
      let third = try EventFile(in: folder, firstStep: 8, wallTime: 10)
      try losses([8], to: third)
      #expect([first, second, third].map(\.path).sorted() == [first, second, third].map(\.path))
      #expect(try EventHistory(folder).steps == ["configuration": [0], "train/loss": Set(1...8)])
    }
  }

  @Test func summariesAreTakenBackForReadersThatDoNotMind() throws {
    try withTemporaryFolder { folder in
      let first = try EventFile(in: folder, firstStep: 0, wallTime: 1000)
      let empty = try readFile(first.path).count
      try losses([1, 2], to: first)
      let whole = try readFile(first.path).count
      try losses([3, 4], to: first)
      let second = try EventFile(in: folder, firstStep: 4, wallTime: 1000)
      try losses([4, 5], to: second)
      try EventHistory.removeSummaries(from: 3, in: folder)
      #expect(try readFile(first.path).count == whole)
      #expect(try readFile(second.path).count == empty)
      #expect(try EventHistory(folder).steps["train/loss"] == [1, 2])
    }
  }

  @Test(arguments: [1, 5, 30])
  func aTornOrDamagedRecordEndsItsFileOnly(_ lost: Int) throws {
    try withTemporaryFolder { folder in
      let first = try EventFile(in: folder, firstStep: 0, wallTime: 1000)
      try losses([1, 2, 3], to: first)
      let second = try EventFile(in: folder, firstStep: 3, wallTime: 1000)
      try losses([4], to: second)
      let whole = try readFile(first.path)
      try writeAtomically(Array(whole.dropLast(lost)), to: first.path)
      #expect(try EventHistory(folder).steps["train/loss"] == [1, 2, 4])
      var changed = whole
      changed[whole.count - lost] ^= 0x10
      try writeAtomically(changed, to: first.path)
      #expect(try EventHistory(folder).steps["train/loss"] == [1, 2, 4])
    }
  }
}
