import Artifacts
import Core
import Embedded
import Files
import SampleEncoding
import Templating
import Tokenizing
import Weights

/// What `sft prepare` is asked for.
public struct PrepareOptions: Sendable {
  public var files: [String]
  /// Folder or name; nil for the embedded model.
  public var model: String?
  public var template: String
  /// nil for the model's context.
  public var maxLength: Int?
  public var overlong: OverlongPolicy
  public var validationShare: Double
  public var validationFile: String?
  public var seed: UInt64
  public var dedupe: Bool
  public var skipBad: Bool
  public var onlyEmptyInput: Bool
  public var threads: Int

  public init(
    files: [String], model: String?, template: String = "alpaca", maxLength: Int? = nil,
    overlong: OverlongPolicy = .error, validationShare: Double = 0.05, validationFile: String? = nil,
    seed: UInt64 = 42, dedupe: Bool = false, skipBad: Bool = false, onlyEmptyInput: Bool = false, threads: Int
  ) {
    self.files = files
    self.model = model
    self.template = template
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

/// Files → records → tokens → prepared data, each stage an artifact.
public func prepare(
  _ options: PrepareOptions, in workspace: Workspace, report: (StageReport) -> Void
) throws -> Artifact<PreparedSummary> {
  let preparation = try Preparation(options, workspace)
  let data = try preparation.source(preparation.files, workspace.store, report)
  let validation = try preparation.validationFile.map { try preparation.source([$0], workspace.store, report) }
  let artifact = try workspace.store.artifact(preparation.key(data, validation)) { writer in
    try preparation.fill(writer, data, validation)
  }
  report(StageReport(stage: PreparedStage.name, reused: artifact.reused, path: artifact.path))
  try workspace.store.setLatest("prepared", artifact.reference)
  return artifact
}

/// Options that are checked, and what they name.
private struct Preparation {
  /// Its files are named as messages name them.
  let options: PrepareOptions
  let files: [MappedFile]
  let validationFile: MappedFile?
  /// Kept in use for as long as it is prepared for.
  private let location: ModelLocation
  let tokenizer: Tokenizer
  let template: PromptTemplate
  let endOfText: Int32
  let settings: PreparedStage.Settings

  var model: String { location.recordedName }

  init(_ options: PrepareOptions, _ workspace: Workspace) throws {
    files = try options.files.map { try MappedFile(input: $0) }
    validationFile = try options.validationFile.map { try MappedFile(input: $0) }
    var options = options
    options.files = files.map(\.path)
    options.validationFile = validationFile?.path
    location = try workspace.model(options.model ?? EmbeddedModel.name)
    let folder = location.folder
    // All that training would refuse, before anything is made for it: no more is read than the weights' headers.
    let configuration = try ModelCheckpoint(folder: folder).configuration
    self.options = options
    tokenizer = try loadTokenizer(folder, for: configuration)
    template = try PromptTemplate.named(options.template)
    guard let endOfText = tokenizer.endOfText else {
      throw SFTError(
        .badData, "the tokenizer names no end-of-text token, so answers could not be taught to end", file: folder)
    }
    self.endOfText = endOfText
    let maxLength = options.maxLength ?? configuration.contextLength
    guard (2...configuration.contextLength).contains(maxLength) else {
      throw SFTError(
        .usage, "--max-length is \(maxLength), expected 2 to the model's context of \(configuration.contextLength)")
    }
    guard options.validationShare >= 0, options.validationShare < 1 else {
      throw SFTError(.usage, "--val is \(options.validationShare), expected at least 0 and below 1")
    }
    settings = PreparedStage.Settings(
      maxLength: maxLength, overlong: options.overlong,
      validationShare: options.validationFile == nil ? options.validationShare : 0, seed: options.seed,
      removesDuplicates: options.dedupe)
  }

  var validationFiles: [String] { options.validationFile.map { [$0] } ?? [] }

  /// Some files, as far as they do not depend on the other settings.
  struct Source {
    var records: Artifact<RecordsStage.Summary>
    var tokens: Artifact<TokensStage.Summary>

    func index() throws -> [TokenEntry] {
      try readEntries(try tokens.file(TokensStage.indexFile), as: TokenEntry.self)
    }
  }

  func source(_ files: [MappedFile], _ store: ArtifactStore, _ report: (StageReport) -> Void) throws -> Source {
    let records = try RecordsStage.run(
      store, files: files, onlyEmptyInput: options.onlyEmptyInput, skipBad: options.skipBad, threads: options.threads)
    report(StageReport(stage: RecordsStage.name, reused: records.reused, path: records.path))
    let tokens = try TokensStage.run(
      store, records: records, template: template, tokenizer: tokenizer, endOfText: endOfText,
      threads: options.threads)
    report(StageReport(stage: TokensStage.name, reused: tokens.reused, path: tokens.path))
    return Source(records: records, tokens: tokens)
  }

  func key(_ data: Source, _ validation: Source?) -> ArtifactKey {
    ArtifactKey(
      stage: PreparedStage.name, version: PreparedStage.version,
      settings: [
        Setting("model", model), Setting("tokenizer", tokenizer.digest),
        Setting("template", template.name), Setting("max-length", settings.maxLength),
        Setting("overlong", options.overlong.rawValue), Setting("val", settings.validationShare),
        Setting("seed", options.validationFile == nil ? options.seed : 0), Setting("dedupe", options.dedupe),
        Setting("files", options.files.joined(separator: "\n")), Setting("val-file", options.validationFile ?? ""),
      ], inputs: [data.tokens.digest] + (validation.map { [$0.tokens.digest] } ?? []))
  }

  /// Chooses the records, writes which, and sums up.
  func fill(_ writer: ArtifactWriter, _ data: Source, _ validation: Source?) throws -> PreparedSummary {
    let (index, held) = (try data.index(), try validation?.index())
    var selection = try PreparedStage.select(
      index, held, files: options.files, validationFiles: validationFiles, settings)
    let training = selection.entries.count { $0.isValidation == 0 }
    try check(selection, training: training, of: index.count)
    try writeEntries(selection.entries, to: try writer.file(PreparedStage.indexFile))
    for records in [data.records] + (validation.map { [$0.records] } ?? []) {
      selection.counts.loaded += records.summary.records
      selection.counts.skippedBad += records.summary.skippedBad
      selection.counts.droppedWithInput += records.summary.droppedWithInput
    }
    selection.counts.duplicatesRemoved = options.dedupe ? selection.counts.duplicates : 0
    let indices = [index, held ?? []]
    func record(_ entry: PreparedStage.Entry) -> TokenEntry { indices[Int(entry.source)][Int(entry.record)] }
    let lengths = selection.entries.map { Int(record($0).tokenCount - $0.removed) }
    let supervised = selection.entries.reduce(0) { sum, entry in
      sum + Int(record(entry).supervisedCount)
    }
    return PreparedSummary(
      model: model, tokenizer: tokenizer.digest, templateName: template.name, template: template.source,
      endOfText: endOfText, maxLength: settings.maxLength, files: options.files, validationFiles: validationFiles,
      counts: selection.counts,
      skippedMessages: data.records.summary.skippedList.map { $0.described(options.files) }
        + (validation?.records.summary.skippedList.map { $0.described(validationFiles) } ?? []),
      training: training, validation: selection.entries.count - training, tokens: lengths.reduce(0, +),
      supervisedTokens: supervised, lengths: PreparedSummary.Lengths(lengths),
      sources: [data.tokens.reference] + (validation.map { [$0.tokens.reference] } ?? []))
  }

  private func check(_ selection: PreparedStage.Selection, training: Int, of total: Int) throws {
    guard training > 0 else {
      let counts = selection.counts
      throw SFTError(
        .badData,
        "no record is left to train on: of \(grouped(total)), \(grouped(counts.droppedTooLong)) are too long, of "
          + "\(grouped(counts.droppedAnswerTooLong)) the answer does not fit, and \(grouped(counts.alsoInValidation)) are "
          + "in the validation file too", file: options.files.first)
    }
    guard options.validationFile == nil || training < selection.entries.count else {
      throw SFTError(.badData, "no record is left to validate on: all were too long", file: options.validationFile)
    }
  }
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
