import Core
import Evaluating
import Files
import Loading
import SampleEncoding

/// Raw records as a session's model sees them.
extension InferenceSession {
  /// Samples of a file of raw records, each fitted into the maximum length as asked; one at least.
  public struct FittedRecords {
    public var samples: [Sample] = []
    public var truncated = 0
    public var dropped = 0
  }

  public struct RecordsEvaluation {
    public var result: EvaluationResult
    public var records: Int
    public var truncated: Int
    public var dropped: Int
  }

  /// `name` is what `prepare` takes: a file, a folder, a dataset of the hub.
  ///
  /// Throws `badData`, naming the line, for what is no record or does not fit, and where no record is left. `maxLength` is
  /// the session's own for nil.
  public func samples(
    records name: String, columns: ColumnNames = ColumnNames(), overlong: OverlongPolicy, maxLength: Int?
  ) throws -> FittedRecords {
    guard let endOfText = base.tokenizer.endOfText else {
      throw SFTError(.badData, "the tokenizer names no end-of-text token", file: base.folder)
    }
    let limit = maxLength ?? self.maxLength
    guard (2...base.decoder.configuration.contextLength).contains(limit) else {
      throw SFTError(.usage, "\(OptionName.maxLength) must be from 2 to the model's context")
    }
    let inputs = try dataFiles(name) { workspace.remark($0) }.map { try MappedFile(input: $0) }
    let settings = ChatSettings(maxLength: limit, cutsTurns: overlong == .truncate)
    var fitter = RecordFitter(files: inputs.map(\.path), maxLength: limit, overlong: overlong)
    let (ofOthers, ofConversations) = (layout, try layoutOfConversations())
    let encoders = [ofOthers, ofConversations].map {
      SampleEncoder(template: $0.template, tokenizer: base.tokenizer, endOfText: endOfText, settings: settings)
    }
    _ = try loadRecords(from: inputs, options: LoadingOptions(columns: columns, threads: threads)) { records in
      for record in records {
        let isConversation = record.form == .messages
        try fitter.add(
          record, encoders[isConversation ? 1 : 0], cutsPrompts: !(isConversation ? ofConversations : ofOthers).isChat)
      }
    }
    let fitted = fitter.fitted
    guard !fitted.samples.isEmpty else {
      throw SFTError(
        .badData, "no record is left: all \(fitted.dropped) are longer than \(limit) tokens", file: inputs.first?.path)
    }
    return fitted
  }

  /// Token means over a file of raw records.
  public func evaluate(
    records name: String, columns: ColumnNames = ColumnNames(), overlong: OverlongPolicy, maxLength: Int?,
    progress: (Int, Int) -> Void
  ) throws -> RecordsEvaluation {
    let fitted = try samples(records: name, columns: columns, overlong: overlong, maxLength: maxLength)
    let samples = fitted.samples
    let result = try Evaluating.evaluate(
      pass, count: samples.count, progress: { progress($0, samples.count) }, samples: { samples[$0] })
    return RecordsEvaluation(
      result: result, records: samples.count, truncated: fitted.truncated, dropped: fitted.dropped)
  }
}

/// Encodes records one by one and fits their samples into the maximum length.
private struct RecordFitter {
  let files: [String]
  let maxLength: Int
  let overlong: OverlongPolicy
  var fitted = InferenceSession.FittedRecords()

  init(files: [String], maxLength: Int, overlong: OverlongPolicy) {
    (self.files, self.maxLength, self.overlong) = (files, maxLength, overlong)
  }

  mutating func add(_ record: Conversation, _ encoder: SampleEncoder, cutsPrompts: Bool) throws {
    let encoded: EncodedRecord
    do {
      encoded = try encoder.encode(record)
    } catch let fault as EncodingFault {
      throw fault.error(record, files: files)
    }
    for sample in encoded.samples {
      let fit = FittingOutcome(
        tokens: sample.tokens.count, prompt: sample.promptCount, maxLength: maxLength, overlong: overlong,
        cutsPrompts: cutsPrompts)
      switch fit {
      case .kept: fitted.samples.append(sample)
      case .truncated(let removed):
        fitted.truncated += 1
        fitted.samples.append(sample.droppingFirst(removed))
      case .dropped: fitted.dropped += 1
      case .refused:
        throw SFTError(
          .badData, "the record has \(sample.tokens.count) tokens, more than the maximum length of \(maxLength)",
          file: files[record.file], line: record.line,
          advice: "Use \(OptionName.overlong) drop or \(OptionName.overlong) truncate")
      }
    }
  }
}
