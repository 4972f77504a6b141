import Artifacts
import Core
import SampleEncoding

/// What the index holds for each sample, in the order of the records.
struct TokenEntry: BitwiseCopyable, Sendable, Equatable {
  var tokenCount: UInt32
  /// Tokens before the first that is trained.
  var promptCount: UInt32
  /// Tokens on which loss is taken.
  var supervisedCount: UInt32
  var rangeCount: UInt32
  var file: UInt32
  var line: UInt32
  /// Number of its record in the records artifact.
  var record: UInt32
  /// Turns left out from the start of its record.
  var removedTurns: UInt32
  /// 128 bits over the tokens and the ranges: equal for equal samples, and for others only by a chance of 2⁻¹²⁸.
  var hash: UInt64
  var otherHash: UInt64

  init(_ sample: Sample, of number: Int, _ record: Conversation, removedTurns: Int) {
    tokenCount = UInt32(sample.tokens.count)
    promptCount = UInt32(sample.promptCount)
    supervisedCount = UInt32(sample.supervisedCount)
    rangeCount = UInt32(sample.supervised.count)
    file = UInt32(record.file)
    line = UInt32(record.line)
    self.record = UInt32(number)
    self.removedTurns = UInt32(removedTurns)
    var (a, b) = (UInt64(sample.promptCount) &+ 1, UInt64(sample.tokens.count) ^ 0x9e37_79b9_7f4a_7c15)
    func add(_ word: UInt64) {
      a = SeededGenerator.mix(a ^ word)
      b = (b ^ word) &* 0x100_0000_01b3
      b = b << 29 | b >> 35
    }
    for token in sample.tokens { add(UInt64(UInt32(bitPattern: token))) }
    for range in sample.supervised { add(UInt64(range.lowerBound) << 32 | UInt64(range.upperBound)) }
    (hash, otherHash) = (a, SeededGenerator.mix(b))
  }
}

/// A supervised range of a sample, counted from its first token.
struct RangeEntry: BitwiseCopyable, Sendable, Equatable {
  var start: UInt32
  var end: UInt32

  init(_ range: Range<Int>) { (start, end) = (UInt32(range.lowerBound), UInt32(range.upperBound)) }
}

/// The samples of some records as the stage's files hold them.
struct TokensFrame: Sendable {
  /// Compressed.
  var tokens: [UInt8]
  var tokenCount: Int
  var entries: [TokenEntry] = []
  var ranges: [RangeEntry] = []
  /// Records that gave a sample.
  var records = 0
  var recordsCut = 0
  var skipped: [RecordsStage.Skipped] = []
  var remarks = TemplateRemarks()
  var lostBytes: LostBytes?

  /// `first` is the first record's number. With `files` a record that the template does not take is thrown, named by them;
  /// without, it is among the skipped.
  init(
    _ records: [Conversation], from first: Int, _ encoder: SampleEncoder, tokenBytes: Int, files: [String]?
  ) throws {
    var all: [Sample] = []
    for (index, record) in records.enumerated() {
      let encoded: EncodedRecord
      do {
        encoded = try encoder.encode(record)
      } catch let fault as EncodingFault {
        if let files { throw fault.error(record, files: files) }
        skipped.append(RecordsStage.Skipped(file: record.file, line: record.line, message: fault.message))
        continue
      }
      all += encoded.samples
      entries += encoded.samples.map {
        TokenEntry($0, of: first + index, record, removedTurns: encoded.removedTurns)
      }
      self.records += 1
      recordsCut += encoded.removedTurns > 0 ? 1 : 0
      remarks += encoded.remarks
      if encoded.lostBytes > 0 { lostBytes += LostBytes(encoded.lostBytes, of: record) }
    }
    tokenCount = all.reduce(0) { $0 + $1.tokens.count }
    ranges = all.flatMap { $0.supervised.map(RangeEntry.init) }
    if tokenBytes == 2 {
      var narrow: [UInt16] = []
      narrow.reserveCapacity(tokenCount)
      for sample in all { for token in sample.tokens { narrow.append(UInt16(truncatingIfNeeded: token)) } }
      tokens = try narrow.withUnsafeBytes { try Zstd.compress($0) }
    } else {
      tokens = try all.flatMap(\.tokens).withUnsafeBytes { try Zstd.compress($0) }
    }
  }
}

extension EncodingFault {
  func error(_ record: Conversation, files: [String]) -> SFTError {
    SFTError(
      .badData, message, file: record.file < files.count ? files[record.file] : nil, line: record.line, advice: advice)
  }
}
