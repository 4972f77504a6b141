import Artifacts
import Core
import Files
import SampleEncoding
import Templating
import Tokenizing

/// Stage 2: records → templated → tokenised, each record whole, however long.
enum TokensStage {
  static let name = "tokens"
  /// 3: several supervised ranges a sample.
  static let version = 3
  static let tokensFile = "tokens.zst"
  static let indexFile = "index.zst"
  static let rangesFile = "ranges.zst"

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
      let encoder = SampleEncoder(template: template, tokenizer: tokenizer, endOfText: endOfText)
      let tokenBytes = tokenizer.vocabularyCount <= 1 << 16 ? 2 : 4
      let tokens = ShardWriter(try writer.file(tokensFile))
      let index = ShardWriter(try writer.file(indexFile))
      let ranges = ShardWriter(try writer.file(rangesFile))
      var total = 0
      // A few frames for each thread at a time: bounded memory, and both cores busy.
      for first in stride(from: 0, to: reader.frames.count, by: 4 * threads) {
        let wave = Array(first..<min(first + 4 * threads, reader.frames.count))
        let frames = try parallelMap(wave, threads: threads) { frame in
          try TokensFrame(
            try RecordCodec.decode(try reader.decompress(frame), file: path), encoder, tokenBytes: tokenBytes)
        }
        for frame in frames {
          try tokens.appendCompressed(frame.tokens, rawSize: frame.tokenCount * tokenBytes, items: frame.tokenCount)
          try frame.entries.withUnsafeBytes { try index.append($0, items: frame.entries.count) }
          try frame.ranges.withUnsafeBytes { try ranges.append($0, items: frame.ranges.count) }
          total += frame.tokenCount
        }
      }
      try tokens.finish()
      try index.finish()
      try ranges.finish()
      return Summary(records: reader.itemCount, tokens: total, tokenBytes: tokenBytes)
    }
  }
}
