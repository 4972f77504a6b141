import Artifacts
import Core
import Files

/// Prepared data, open for use: tokens in memory, samples cut out of them when asked for.
public final class PreparedData: Sendable {
  public let artifact: Artifact<PreparedSummary>
  public var summary: PreparedSummary { artifact.summary }
  public var reference: ArtifactReference { artifact.reference }
  /// Kept samples in file order, the validation file's last.
  let entries: [PreparedStage.Entry]
  /// Positions in `entries` of the training and of the validation records, in file order.
  public let training: [Int]
  public let validation: [Int]
  let sources: [Source]

  /// The tokens of one tokens artifact.
  struct Source {
    enum Tokens {
      case narrow([UInt16])
      case wide([Int32])
    }
    var artifact: Artifact<TokensStage.Summary>
    var tokens: Tokens
    var index: [TokenEntry]
    /// Where each sample's tokens begin.
    var starts: [Int]
    var ranges: [RangeEntry]
    /// Where each sample's ranges begin.
    var rangeStarts: [Int]
  }

  /// Opens what `prepare` made. Throws `notFound` where an artifact it needs is gone, `badData` where one is damaged.
  init(_ artifact: Artifact<PreparedSummary>, store: ArtifactStore, threads: Int) throws {
    self.artifact = artifact
    let path = try artifact.file(PreparedStage.indexFile)
    let entries = try readEntries(path, as: PreparedStage.Entry.self)
    sources = try artifact.summary.sources.map { reference in
      guard let tokens = try store.existing(reference, TokensStage.Summary.self) else {
        throw SFTError(
          .notFound, "the tokens of the prepared data are gone", file: artifact.path,
          advice: "Run `sft prepare` again")
      }
      return try Source(tokens, threads: threads)
    }
    for entry in entries {
      guard Int(entry.source) < sources.count, Int(entry.sample) < sources[Int(entry.source)].index.count,
        entry.removed <= sources[Int(entry.source)].index[Int(entry.sample)].promptCount
      else { throw SFTError(.badData, "an entry of the prepared data points outside of its tokens", file: path) }
    }
    self.entries = entries
    training = entries.indices.filter { entries[$0].isValidation == 0 }
    validation = entries.indices.filter { entries[$0].isValidation != 0 }
  }

  public var count: Int { entries.count }

  /// The kept sample at `position`, its prompt cut where it was too long.
  public func sample(_ position: Int) -> Sample {
    let entry = entries[position]
    let source = sources[Int(entry.source)]
    let record = source.index[Int(entry.sample)]
    let start = source.starts[Int(entry.sample)] + Int(entry.removed)
    let end = source.starts[Int(entry.sample)] + Int(record.tokenCount)
    let tokens =
      switch source.tokens {
      case .narrow(let tokens): tokens[start..<end].map { Int32($0) }
      case .wide(let tokens): Array(tokens[start..<end])
      }
    let removed = Int(entry.removed)
    let first = source.rangeStarts[Int(entry.sample)]
    return Sample(
      tokens: tokens,
      supervised: source.ranges[first..<first + Int(record.rangeCount)].map {
        Int($0.start) - removed..<Int($0.end) - removed
      })
  }

  /// Tokens of the kept sample at `position`.
  func length(_ position: Int) -> Int {
    let entry = entries[position]
    return Int(sources[Int(entry.source)].index[Int(entry.sample)].tokenCount) - Int(entry.removed)
  }

  /// Where the sample at `position` came from, as FILE:LINE.
  public func place(_ position: Int) -> String {
    place(source: Int(entries[position].source), sample: Int(entries[position].sample))
  }

  /// Where any sample of a tokens artifact came from, kept or not.
  func place(source: Int, sample: Int) -> String {
    let record = sources[source].index[sample]
    let files = source == 0 ? summary.files : summary.validationFiles
    return "\(Int(record.file) < files.count ? files[Int(record.file)] : "?"):\(record.line)"
  }
}

extension PreparedData.Source {
  init(_ artifact: Artifact<TokensStage.Summary>, threads: Int) throws {
    self.artifact = artifact
    let reader = try ShardReader(try artifact.file(TokensStage.tokensFile))
    tokens =
      artifact.summary.tokenBytes == 2
      ? .narrow(try reader.decompressAll(as: UInt16.self, threads: threads))
      : .wide(try reader.decompressAll(as: Int32.self, threads: threads))
    index = try readEntries(try artifact.file(TokensStage.indexFile), as: TokenEntry.self)
    ranges = try readEntries(try artifact.file(TokensStage.rangesFile), as: RangeEntry.self)
    (starts, rangeStarts) = ([], [])
    starts.reserveCapacity(index.count)
    rangeStarts.reserveCapacity(index.count)
    var (total, totalRanges) = (0, 0)
    for entry in index {
      let end = totalRanges + Int(entry.rangeCount)
      guard end <= ranges.count, Self.areSound(ranges[totalRanges..<end], of: entry) else {
        throw SFTError(.badData, "an entry of the tokens' index is damaged", file: artifact.path)
      }
      starts.append(total)
      rangeStarts.append(totalRanges)
      total += Int(entry.tokenCount)
      totalRanges = end
    }
    guard total * artifact.summary.tokenBytes == reader.rawSize, totalRanges == ranges.count else {
      throw SFTError(.badData, "the tokens and their index do not agree", file: artifact.path)
    }
  }

  /// Ranges in order, within the tokens, the first where the prompt ends.
  private static func areSound(_ ranges: ArraySlice<RangeEntry>, of entry: TokenEntry) -> Bool {
    var end = entry.promptCount
    guard ranges.first.map({ $0.start == end }) ?? (end == entry.tokenCount) else { return false }
    for range in ranges {
      guard range.start >= end, range.end > range.start else { return false }
      end = range.end
    }
    return end <= entry.tokenCount
  }
}

/// All entries of a shard of fixed-size entries.
func readEntries<Entry: BitwiseCopyable>(_ path: String, as type: Entry.Type) throws -> [Entry] {
  let reader = try ShardReader(path)
  let bytes = try reader.decompressAll(as: UInt8.self, threads: 1)
  guard bytes.count == reader.itemCount * MemoryLayout<Entry>.stride else {
    throw SFTError(.badData, "its entries have not the expected size", file: path)
  }
  return bytes.withUnsafeBytes { raw in
    (0..<reader.itemCount).map { raw.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Entry>.stride, as: Entry.self) }
  }
}

/// Writes a shard of fixed-size entries.
func writeEntries<Entry: BitwiseCopyable>(_ entries: [Entry], to file: OutputFile) throws {
  let shard = ShardWriter(file)
  try entries.withUnsafeBytes { raw in
    try shard.append(raw, itemSize: MemoryLayout<Entry>.stride, threads: 1)
  }
  try shard.finish()
}
