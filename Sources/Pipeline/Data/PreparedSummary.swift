import Artifacts
import Core
import Files
import Loading
import SampleEncoding

/// What `prepare` tells of its result, and what later verbs need to know of it.
public struct PreparedSummary: Codable, Sendable, Equatable {
  public struct Counts: Codable, Sendable, Equatable {
    public var loaded = 0
    /// Records that are lists of messages, and messages of all records.
    public var conversations = 0
    public var turns = 0
    /// Records that gave samples; a conversation may give several.
    public var encoded = 0
    public var skippedBad = 0
    public var droppedWithInput = 0
    public var droppedTooLong = 0
    public var droppedAnswerTooLong = 0
    public var truncated = 0
    /// Records from whose start turns were left out.
    public var turnsCut = 0
    /// Records equal to an earlier one; removed only with `--dedupe`.
    public var duplicates = 0
    public var duplicatesRemoved = 0
    /// Training records removed because the validation file has them.
    public var alsoInValidation = 0
  }

  public struct Lengths: Codable, Sendable, Equatable {
    public var minimum: Int
    public var median: Int
    public var p90: Int
    public var p99: Int
    public var maximum: Int
    public var mean: Double
  }

  public var model: String
  public var tokenizer: Digest
  public var templateName: String
  public var template: String
  public var layout: RecordedLayout
  /// Of each file.
  public var formats: [DataFormat]
  public var remarks: TemplateRemarks
  /// What the vocabulary makes of the text, as sentences without a full stop; nil in data of older versions.
  public var warnings: [String]?
  public var endOfText: Int32
  public var maxLength: Int
  public var files: [String]
  public var validationFiles: [String]
  public var counts: Counts
  public var skippedMessages: [String]
  public var training: Int
  public var validation: Int
  /// Tokens of all kept records, EOS included.
  public var tokens: Int
  public var supervisedTokens: Int
  public var lengths: Lengths
  /// Where the tokens are: of the data, and of the validation file.
  public var sources: [ArtifactReference]

  public var supervisedShare: Double { Double(supervisedTokens) / Double(max(1, tokens)) }
}

extension PreparedSummary.Lengths {
  /// Nearest-rank percentiles; `lengths` must not be empty.
  init(_ lengths: [Int]) {
    let sorted = lengths.sorted()
    func percentile(_ share: Double) -> Int {
      sorted[min(sorted.count - 1, max(0, Int((share * Double(sorted.count)).rounded(.up)) - 1))]
    }
    self.init(
      minimum: sorted[0], median: percentile(0.5), p90: percentile(0.9), p99: percentile(0.99),
      maximum: sorted[sorted.count - 1], mean: Double(sorted.reduce(0, +)) / Double(sorted.count))
  }
}
