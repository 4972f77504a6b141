import Artifacts
import Core
import Files
import Loading
import SampleEncoding
import Tokenizing

/// Stage 2: records → templated → tokenised. Samples are whole, however long, unless a conversation's turns are cut.
enum TokensStage {
  static let name = "tokens"
  /// 5: templates that ask for reasoning are taken, and lost bytes counted.
  static let version = 5
  static let tokensFile = "tokens.zst"
  static let indexFile = "index.zst"
  static let rangesFile = "ranges.zst"

  struct Summary: Codable, Sendable, Equatable {
    /// Records that gave a sample.
    var records: Int
    var samples: Int
    var tokens: Int
    /// Bytes of a token in the shard: 2 where the vocabulary allows, else 4.
    var tokenBytes: Int
    /// Records from which turns were left out.
    var recordsCut: Int
    /// Records that the template does not take.
    var skippedBad: Int
    /// The first of the skipped records.
    var skippedList: [RecordsStage.Skipped]
    var remarks: TemplateRemarks
    var lostBytes: LostBytes?
  }

  /// What decides the samples, besides the records.
  struct Request {
    var layout: RecordLayout
    var tokenizer: Tokenizer
    var endOfText: Int32
    var chat: ChatSettings
    /// Count records that the template does not take, instead of stopping at the first.
    var skipBad: Bool
    var threads: Int

    var encoder: SampleEncoder {
      SampleEncoder(template: layout.template, tokenizer: tokenizer, endOfText: endOfText, settings: chat)
    }

    var settings: [Setting] {
      let ends = ([endOfText] + tokenizer.endTokens).map(String.init).joined(separator: " ")
      var settings = layout.settings + [Setting("tokenizer", tokenizer.digest), Setting("eos", ends)]
      settings += [Setting("train-on", chat.trainOn.rawValue), Setting("skip-bad", skipBad)]
      // Elsewhere samples are whole.
      if layout.isChat {
        settings += [Setting("max-length", chat.maxLength), Setting("cuts-turns", chat.cutsTurns)]
        // Special tokens that the template writes by a name are no part of its text.
        let question = try? encoder.prompt([Conversation.Turn(role: Role.user, content: "a")])
        settings.append(Setting("question", question.map { "\($0)" } ?? ""))
      }
      return settings
    }
  }

  static func run(
    _ store: ArtifactStore, records: Artifact<RecordsStage.Summary>, files: [String], _ request: Request
  ) throws -> Artifact<Summary> {
    let key = ArtifactKey(stage: name, version: version, settings: request.settings, inputs: [records.digest])
    let (tokenizer, threads) = (request.tokenizer, request.threads)
    return try store.artifact(key) { writer in
      let path = try records.file(RecordsStage.dataFile)
      let reader = try ShardReader(path)
      let encoder = request.encoder
      let tokenBytes = tokenizer.vocabularyCount <= 1 << 16 ? 2 : 4
      let made: @Sendable (Int) throws -> TokensFrame = { frame in
        let records = try RecordCodec.decode(try reader.decompress(frame), file: path)
        return try TokensFrame(
          records, from: reader.frames[frame].firstItem, encoder, tokenBytes: tokenBytes,
          files: request.skipBad ? nil : files)
      }
      let tokens = ShardWriter(try writer.file(tokensFile))
      let index = ShardWriter(try writer.file(indexFile))
      let ranges = ShardWriter(try writer.file(rangesFile))
      var summary = Summary(
        records: 0, samples: 0, tokens: 0, tokenBytes: tokenBytes, recordsCut: 0, skippedBad: 0, skippedList: [],
        remarks: TemplateRemarks())
      // A few frames for each thread at a time: bounded memory, and both cores busy.
      for first in stride(from: 0, to: reader.frames.count, by: 4 * threads) {
        let wave = Array(first..<min(first + 4 * threads, reader.frames.count))
        let frames = try parallelMap(wave, threads: threads, made)
        for frame in frames {
          summary.add(frame)
          if frame.entries.isEmpty { continue }
          try tokens.appendCompressed(frame.tokens, rawSize: frame.tokenCount * tokenBytes, items: frame.tokenCount)
          try frame.entries.withUnsafeBytes { try index.append($0, items: frame.entries.count) }
          try frame.ranges.withUnsafeBytes { try ranges.append($0, items: frame.ranges.count) }
        }
      }
      try tokens.finish()
      try index.finish()
      try ranges.finish()
      guard summary.samples > 0 else { throw nothingLeft(summary, file: files.first) }
      return summary
    }
  }

  private static func nothingLeft(_ summary: Summary, file: String?) -> SFTError {
    let first = summary.skippedList.first.map { ", the first in line \($0.line ?? 0) as \($0.message)" } ?? ""
    return SFTError(
      .badData, "no record is left: the template takes none of \(grouped(summary.skippedBad))\(first)", file: file,
      advice: "Name another template with \(OptionName.template)")
  }
}

extension TokensStage.Summary {
  fileprivate mutating func add(_ frame: TokensFrame) {
    records += frame.records
    samples += frame.entries.count
    tokens += frame.tokenCount
    recordsCut += frame.recordsCut
    skippedBad += frame.skipped.count
    skippedList += frame.skipped.prefix(LoadingReport.listedLimit - skippedList.count)
    remarks += frame.remarks
    lostBytes += frame.lostBytes
  }
}
