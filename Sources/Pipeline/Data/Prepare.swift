import Artifacts
import Core
import Files
import Loading
import SampleEncoding
import Tokenizing
import Weights

/// What `sft prepare` is asked for.
public struct PrepareOptions: Sendable {
  /// Files, `-`, folders, or datasets of the hub's cache.
  public var files: [String]
  /// Folder or name; nil for the embedded model.
  public var model: String?
  /// nil for what fits the data: the model's own for conversations.
  public var template: String?
  /// nil for what each file shows.
  public var format: DataFormat?
  /// What holds the fields of a record that are not named as usual.
  public var columns: ColumnNames
  public var trainOn: TrainedTurns
  /// What a template takes for today's date; nil for today's.
  public var date: PinnedDate?
  /// nil for the model's context.
  public var maxLength: Int?
  public var overlong: OverlongPolicy
  public var validationShare: Double
  /// As one of `files`; nil for a share of the data.
  public var validationFile: String?
  public var seed: UInt64
  public var dedupe: Bool
  public var skipBad: Bool
  public var onlyEmptyInput: Bool
  public var threads: Int

  public init(
    files: [String], model: String?, template: String? = nil, format: DataFormat? = nil,
    columns: ColumnNames = ColumnNames(), trainOn: TrainedTurns = .assistant, date: PinnedDate? = nil,
    maxLength: Int? = nil,
    overlong: OverlongPolicy = .error, validationShare: Double = 0.05, validationFile: String? = nil,
    seed: UInt64 = 42, dedupe: Bool = false, skipBad: Bool = false, onlyEmptyInput: Bool = false, threads: Int
  ) {
    self.files = files
    self.model = model
    self.template = template
    self.format = format
    self.columns = columns
    self.trainOn = trainOn
    self.date = date
    self.maxLength = maxLength
    self.overlong = overlong
    self.validationShare = validationShare
    self.validationFile = validationFile
    self.seed = seed
    self.dedupe = dedupe
    self.skipBad = skipBad
    self.onlyEmptyInput = onlyEmptyInput
    self.threads = threads
  }
}

/// One stage of a pipeline, for the user to see what was done and what was not.
public struct StageReport: Sendable, Codable, Equatable {
  public var stage: String
  public var reused: Bool
  public var path: String
}

/// Files → records → tokens → prepared data, each stage an artifact. `warn` gets what will happen where only an adapter is
/// trained on them, as a sentence without a full stop.
public func prepare(
  _ options: PrepareOptions, in workspace: Workspace, warn: (String) -> Void = { _ in },
  report: (StageReport) -> Void
) throws -> Artifact<PreparedSummary> {
  let preparation = try Preparation(options, workspace)
  let records = try preparation.records(preparation.files, workspace.store, report)
  let layout = try preparation.layout(for: records.summary)
  try preparation.warning(layout).map(warn)
  let data = try preparation.source(records, preparation.options.files, layout, workspace.store, report)
  var validation: Preparation.Source?
  if !preparation.validation.isEmpty {
    let records = try preparation.records(preparation.validation, workspace.store, report)
    validation = try preparation.source(records, preparation.validationFiles, layout, workspace.store, report)
  }
  let artifact = try workspace.store.artifact(preparation.key(layout, data, validation)) { writer in
    try preparation.fill(writer, layout, data, validation)
  }
  report(StageReport(stage: PreparedStage.name, reused: artifact.reused, path: artifact.path))
  try workspace.store.setLatest("prepared", artifact.reference)
  return artifact
}

/// The tokenizer of a model folder, checked against the model's vocabulary.
func loadTokenizer(_ folder: String, for configuration: ModelConfiguration) throws -> Tokenizer {
  let tokenizer = try Tokenizer(folder: folder)
  guard tokenizer.vocabularyCount <= configuration.vocabularySize else {
    throw SFTError(
      .badData,
      "the tokenizer has \(grouped(tokenizer.vocabularyCount)) tokens, the model's vocab_size is "
        + "\(grouped(configuration.vocabularySize))", file: folder)
  }
  return tokenizer
}

extension Workspace {
  /// The prepared data at `path` (an artifact's folder), or the newest; nil where there is none and none was named.
  public func preparedData(_ path: String?, threads: Int) throws -> PreparedData? {
    try preparedReference(path).flatMap { try preparedData($0, threads: threads) }
  }

  func preparedData(_ reference: ArtifactReference, threads: Int) throws -> PreparedData? {
    guard let artifact = try store.existing(reference, PreparedSummary.self) else { return nil }
    guard artifact.version == PreparedStage.version else {
      throw SFTError(
        .badData,
        "was prepared by a version of sft that may have read the records otherwise (version "
          + "\(artifact.version) of this data, not \(PreparedStage.version))", file: artifact.path,
        advice: "Run `sft prepare` again; a run on this data has to start anew")
    }
    return try PreparedData(artifact, store: store, threads: threads)
  }

  /// Only what `prepare` recorded, without the tokens.
  func preparedSummary() throws -> PreparedSummary? {
    try store.latest("prepared").flatMap { try store.existing($0, PreparedSummary.self) }?.summary
  }

  func preparedReference(_ path: String?) throws -> ArtifactReference? {
    guard let path else { return store.latest("prepared") }
    guard try directoryExists(path) else {
      throw SFTError(.notFound, "there is no prepared data here", file: path, advice: "Run `sft prepare` first")
    }
    let name = lastPathComponent(canonicalPath(path) ?? path)
    let entry = try store.entries().first {
      $0.stage == PreparedStage.name && lastPathComponent($0.path) == name
        && canonicalPath($0.path) == canonicalPath(path)
    }
    guard let entry else {
      throw SFTError(
        .badData, "is not prepared data of the workspace \(self.path)", file: path,
        advice: "Give a folder that `sft prepare` printed")
    }
    return entry.reference
  }
}
