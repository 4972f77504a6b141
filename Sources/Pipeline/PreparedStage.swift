import Artifacts
import Core
import Files
import SampleEncoding

/// Stage 3: which records are kept, how far their prompts are cut, and which are for validation. Small: the tokens stay in
/// the artifacts of stage 2.
enum PreparedStage {
  static let name = "prepared"
  /// 3: from tokens of version 3.
  static let version = 3
  static let indexFile = "index.zst"

  /// What decides the outcome, besides the tokens.
  struct Settings {
    var maxLength: Int
    var overlong: OverlongPolicy
    /// Share of the records taken for validation, where no file of them is given.
    var validationShare: Double
    var seed: UInt64
    var removesDuplicates: Bool
  }

  /// One kept record.
  struct Entry: BitwiseCopyable, Sendable, Equatable {
    /// Record number in its tokens artifact.
    var record: UInt32
    /// Tokens cut from the prompt's left.
    var removed: UInt32
    /// 0 for the data file's records, 1 for the validation file's.
    var source: UInt32
    var isValidation: UInt32
  }

  struct Selection {
    var entries: [Entry] = []
    var counts = PreparedSummary.Counts()
  }

  /// Fits, removes duplicates and splits. Throws `badData` with file and line for the first record that is too long, where
  /// that is asked for.
  static func select(
    _ data: [TokenEntry], _ validation: [TokenEntry]?, files: [String], validationFiles: [String], _ settings: Settings
  ) throws -> Selection {
    var selection = Selection()
    let held = try validation.map { try fit($0, source: 1, files: validationFiles, settings, &selection.counts) } ?? []
    var kept = try fit(data, source: 0, files: files, settings, &selection.counts)
    var groups: [Content: Int] = [:]
    for entry in kept { groups[Content(data[Int(entry.record)]), default: 0] += 1 }
    selection.counts.duplicates = kept.count - groups.count
    if settings.removesDuplicates {
      var seen = Set<Content>()
      kept = kept.filter { seen.insert(Content(data[Int($0.record)])).inserted }
    }
    let heldOut: Set<Content>
    if let validation {
      heldOut = Set(held.map { Content(validation[Int($0.record)]) })
      let before = kept.count
      kept.removeAll { heldOut.contains(Content(data[Int($0.record)])) }
      selection.counts.alsoInValidation = before - kept.count
    } else {
      heldOut = split(kept.map { Content(data[Int($0.record)]) }, settings)
    }
    for index in kept.indices where heldOut.contains(Content(data[Int(kept[index].record)])) {
      kept[index].isValidation = 1
    }
    selection.entries = kept + held
    return selection
  }

  /// What a record is, for finding equals.
  private struct Content: Hashable {
    var hash: UInt64
    var otherHash: UInt64

    init(_ entry: TokenEntry) {
      hash = entry.hash
      otherHash = entry.otherHash
    }
  }

  /// Equal records go together, so that none is on both sides. At least one record stays for training.
  private static func split(_ contents: [Content], _ settings: Settings) -> Set<Content> {
    let wanted = min(Int((Double(contents.count) * settings.validationShare).rounded()), contents.count - 1)
    guard wanted > 0 else { return [] }
    var counts: [Content: Int] = [:]
    var distinct: [Content] = []
    for content in contents {
      if counts[content] == nil { distinct.append(content) }
      counts[content, default: 0] += 1
    }
    var generator = SeededGenerator(seed: settings.seed, stream: 0x7370_6c69_74)
    var taken = Set<Content>()
    var total = 0
    for index in generator.permutation(distinct.count) {
      let count = counts[distinct[index]] ?? 0
      if total + count > wanted { continue }
      taken.insert(distinct[index])
      total += count
      if total == wanted { break }
    }
    return taken
  }

  private static func fit(
    _ records: [TokenEntry], source: UInt32, files: [String], _ settings: Settings,
    _ counts: inout PreparedSummary.Counts
  ) throws -> [Entry] {
    var kept: [Entry] = []
    kept.reserveCapacity(records.count)
    for (index, record) in records.enumerated() {
      let fit = FittingOutcome(
        tokens: Int(record.tokenCount), prompt: Int(record.promptCount), maxLength: settings.maxLength,
        overlong: settings.overlong)
      switch fit {
      case .kept: kept.append(Entry(record: UInt32(index), removed: 0, source: source, isValidation: source))
      case .truncated(let removed):
        counts.truncated += 1
        kept.append(Entry(record: UInt32(index), removed: UInt32(removed), source: source, isValidation: source))
      case .dropped(.tooLong): counts.droppedTooLong += 1
      case .dropped(.answerTooLong): counts.droppedAnswerTooLong += 1
      case .refused:
        throw SFTError(
          .badData, "the record has \(record.tokenCount) tokens, more than the maximum length of \(settings.maxLength)",
          file: Int(record.file) < files.count ? files[Int(record.file)] : nil, line: Int(record.line),
          advice: "Use --overlong drop or --overlong truncate, or a larger --max-length")
      }
    }
    return kept
  }
}

/// What `prepare` tells of its result, and what later verbs need to know of it.
public struct PreparedSummary: Codable, Sendable, Equatable {
  public struct Counts: Codable, Sendable, Equatable {
    public var loaded = 0
    public var skippedBad = 0
    public var droppedWithInput = 0
    public var droppedTooLong = 0
    public var droppedAnswerTooLong = 0
    public var truncated = 0
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
