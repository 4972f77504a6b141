import Core

/// What `loadRecords` keeps and how it works.
public struct LoadingOptions: Sendable {
  /// Keep only records without an input.
  public var onlyEmptyInput: Bool
  /// Count and list bad records instead of stopping at the first.
  public var skipBad: Bool
  /// What the records are; nil for what each file shows.
  public var format: DataFormat?
  /// What columns hold the fields of a record that are not named as usual.
  public var columns: ColumnNames
  /// Threads that parse. The result does not depend on it.
  public var threads: Int
  /// Bytes that a thread parses at a time; a record is never divided. The result does not depend on it.
  package var chunkBytes = 512 << 10

  public init(
    onlyEmptyInput: Bool = false, skipBad: Bool = false, format: DataFormat? = nil,
    columns: ColumnNames = ColumnNames(),
    threads: Int = 1
  ) {
    self.columns = columns
    self.onlyEmptyInput = onlyEmptyInput
    self.skipBad = skipBad
    self.format = format
    self.threads = threads
  }
}

/// What became of the records of all files.
public struct LoadingReport: Sendable, Equatable {
  /// At most this many bad records are listed.
  public static let listedLimit = 100

  /// Of each file, in order.
  public var formats: [DataFormat] = []
  /// Records handed to the caller.
  public var records = 0
  /// Why records were skipped as bad, in file order: the first `listedLimit` of them.
  public var skippedBad: [SFTError] = []
  /// Records skipped as bad, listed or not.
  public var skippedBadCount = 0
  /// Sound records left out because they have an input.
  public var droppedWithInput = 0

  public init() {}
}
