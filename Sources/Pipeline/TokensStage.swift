import Artifacts
import Core
import Files
import Masking
import Synchronization
import Templating
import Tokenizing

/// Stage 2: records → templated → tokenised, each record whole, however long.
enum TokensStage {
  static let name = "tokens"
  /// 2: from records of version 3.
  static let version = 2
  static let tokensFile = "tokens.zst"
  static let indexFile = "index.zst"

  struct Summary: Codable, Sendable, Equatable {
    var records: Int
    var tokens: Int
    /// Bytes of a token in the shard: 2 where the vocabulary allows, else 4.
    var tokenBytes: Int
  }

  static func run(
    _ store: ArtifactStore, records: Artifact<RecordsStage.Summary>, template: PromptTemplate, tokenizer: Tokenizer,
    endOfText: Int32, threads: Int
  ) throws -> Artifact<Summary> {
    let key = ArtifactKey(
      stage: name, version: version,
      settings: [
        Setting("template", template.source), Setting("tokenizer", tokenizer.digest), Setting("eos", endOfText),
      ], inputs: [records.digest])
    return try store.artifact(key) { writer in
      let path = try records.file(RecordsStage.dataFile)
      let reader = try ShardReader(path)
      let encoders = RecordEncoders(template: template, tokenizer: tokenizer, endOfText: endOfText)
      let tokenBytes = tokenizer.vocabularyCount <= 1 << 16 ? 2 : 4
      let tokens = ShardWriter(try writer.file(tokensFile))
      let index = ShardWriter(try writer.file(indexFile))
      var total = 0
      // A few frames for each thread at a time: bounded memory, and both cores busy.
      for first in stride(from: 0, to: reader.frames.count, by: 4 * threads) {
        let wave = Array(first..<min(first + 4 * threads, reader.frames.count))
        let frames = try parallelMap(wave, threads: threads) { frame in
          try encoders.encode(try RecordCodec.decode(try reader.decompress(frame), file: path), tokenBytes: tokenBytes)
        }
        for frame in frames {
          try tokens.appendCompressed(frame.tokens, rawSize: frame.tokenCount * tokenBytes, items: frame.tokenCount)
          try frame.entries.withUnsafeBytes { try index.append($0, items: frame.entries.count) }
          total += frame.tokenCount
        }
      }
      try tokens.finish()
      try index.finish()
      return Summary(records: reader.itemCount, tokens: total, tokenBytes: tokenBytes)
    }
  }
}

/// What the index holds for each record, in file order.
struct TokenEntry: BitwiseCopyable, Sendable, Equatable {
  var tokenCount: UInt32
  var promptCount: UInt32
  var file: UInt32
  var line: UInt32
  /// 128 bits over the tokens and the boundary: equal for equal samples, and for others only by a chance of 2⁻¹²⁸.
  var hash: UInt64
  var otherHash: UInt64

  init(_ sample: Sample, _ record: Record) {
    tokenCount = UInt32(sample.tokens.count)
    promptCount = UInt32(sample.promptCount)
    file = UInt32(record.file)
    line = UInt32(record.line)
    var (a, b) = (UInt64(sample.promptCount) &+ 1, UInt64(sample.tokens.count) ^ 0x9e37_79b9_7f4a_7c15)
    for token in sample.tokens {
      a = SeededGenerator.mix(a ^ UInt64(UInt32(bitPattern: token)))
      b = (b ^ UInt64(UInt32(bitPattern: token))) &* 0x100_0000_01b3
      b = b << 29 | b >> 35
    }
    (hash, otherHash) = (a, SeededGenerator.mix(b))
  }
}

/// Templates and tokenises records on several threads; each borrows an encoder with its cache.
final class RecordEncoders: Sendable {
  struct Frame: Sendable {
    var tokens: [UInt8]
    var tokenCount: Int
    var entries: [TokenEntry]
  }

  /// An encoder on its way between threads: one uses it at a time.
  private struct Idle: @unchecked Sendable { var encoder: TokenEncoder }

  private let template: PromptTemplate
  private let tokenizer: Tokenizer
  private let endOfText: Int32
  private let idle = Mutex<[Idle]>([])

  init(template: PromptTemplate, tokenizer: Tokenizer, endOfText: Int32) {
    self.template = template
    self.tokenizer = tokenizer
    self.endOfText = endOfText
  }

  /// The whole sample of each record, EOS appended.
  func samples(_ records: [Record]) -> [Sample] {
    let encoder = idle.withLock { $0.popLast() }?.encoder ?? tokenizer.makeEncoder()
    defer {
      nonisolated(unsafe) let encoder = encoder
      idle.withLock { $0.append(Idle(encoder: encoder)) }
    }
    return records.map { record in
      let (prompt, completion) = Masking.split(template.render(record))
      var (promptIDs, completionIDs): ([Int32], [Int32]) = ([], [])
      encoder.encode(prompt.map(TextPiece.init), into: &promptIDs)
      encoder.encode(completion.map(TextPiece.init), into: &completionIDs)
      return Masking.sample(prompt: tokenizer.begin(promptIDs), completion: completionIDs, endOfText: endOfText)
    }
  }

  func encode(_ records: [Record], tokenBytes: Int) throws -> Frame {
    let samples = samples(records)
    let count = samples.reduce(0) { $0 + $1.tokens.count }
    let compressed: [UInt8]
    if tokenBytes == 2 {
      var narrow: [UInt16] = []
      narrow.reserveCapacity(count)
      for sample in samples { for token in sample.tokens { narrow.append(UInt16(truncatingIfNeeded: token)) } }
      compressed = try narrow.withUnsafeBytes { try Zstd.compress($0) }
    } else {
      compressed = try samples.flatMap(\.tokens).withUnsafeBytes { try Zstd.compress($0) }
    }
    return Frame(tokens: compressed, tokenCount: count, entries: zip(samples, records).map(TokenEntry.init))
  }
}

extension TextPiece {
  /// Special tokens are recognised in the template's own text only.
  init(_ segment: Segment) { self.init(text: segment.text, recognisesSpecialTokens: segment.literal) }
}
