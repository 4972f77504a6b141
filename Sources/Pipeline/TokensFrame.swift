import Artifacts
import Core
import SampleEncoding

/// What the index holds for each record, in file order.
struct TokenEntry: BitwiseCopyable, Sendable, Equatable {
  var tokenCount: UInt32
  /// Tokens before the first that is trained.
  var promptCount: UInt32
  /// Tokens on which loss is taken.
  var supervisedCount: UInt32
  var rangeCount: UInt32
  var file: UInt32
  var line: UInt32
  /// 128 bits over the tokens and the ranges: equal for equal samples, and for others only by a chance of 2⁻¹²⁸.
  var hash: UInt64
  var otherHash: UInt64

  init(_ sample: Sample, _ record: Record) {
    tokenCount = UInt32(sample.tokens.count)
    promptCount = UInt32(sample.promptCount)
    supervisedCount = UInt32(sample.supervisedCount)
    rangeCount = UInt32(sample.supervised.count)
    file = UInt32(record.file)
    line = UInt32(record.line)
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
  var entries: [TokenEntry]
  var ranges: [RangeEntry]

  init(_ records: [Record], _ encoder: SampleEncoder, tokenBytes: Int) throws {
    let samples = encoder.samples(records)
    tokenCount = samples.reduce(0) { $0 + $1.tokens.count }
    if tokenBytes == 2 {
      var narrow: [UInt16] = []
      narrow.reserveCapacity(tokenCount)
      for sample in samples { for token in sample.tokens { narrow.append(UInt16(truncatingIfNeeded: token)) } }
      tokens = try narrow.withUnsafeBytes { try Zstd.compress($0) }
    } else {
      tokens = try samples.flatMap(\.tokens).withUnsafeBytes { try Zstd.compress($0) }
    }
    entries = zip(samples, records).map(TokenEntry.init)
    ranges = samples.flatMap { $0.supervised.map(RangeEntry.init) }
  }
}
