import Artifacts
import Core
import Embedded
import Files
import Loading
import SampleEncoding
import Tokenizing
import Weights

/// Options that are checked, and what they name.
struct Preparation {
  /// Its files are named as messages name them.
  let options: PrepareOptions
  let files: [MappedFile]
  /// None where a share of the data validates.
  let validation: [MappedFile]
  /// Kept in use for as long as it is prepared for.
  private let location: ModelLocation
  let tokenizer: Tokenizer
  /// As it was asked for; nil where it is to fit the records.
  private let namedLayout: RecordLayout?
  private let date: PinnedDate
  let endOfText: Int32
  let settings: PreparedStage.Settings

  var model: String { location.recordedName }

  init(_ options: PrepareOptions, _ workspace: Workspace) throws {
    let open = { (name: String) in
      try dataFiles(name) { workspace.remark($0) }.map { try MappedFile(input: $0) }
    }
    files = try options.files.flatMap(open)
    validation = try options.validationFile.map(open) ?? []
    var options = options
    options.files = files.map(\.path)
    location = try workspace.model(options.model ?? EmbeddedModel.name)
    let folder = location.folder
    // All that training would refuse, before anything is made for it: no more is read than the weights' headers.
    let configuration = try ModelCheckpoint(folder: folder).configuration
    self.options = options
    tokenizer = try loadTokenizer(folder, for: configuration)
    date = options.date ?? .today
    namedLayout = try options.template.map { [date] in try RecordLayout(named: $0, folder: folder, date: date) }
    guard let endOfText = tokenizer.endOfText else {
      throw SFTError(
        .badData, "the tokenizer names no end-of-text token, so answers could not be taught to end", file: folder)
    }
    self.endOfText = endOfText
    let maxLength = options.maxLength ?? configuration.contextLength
    guard (2...configuration.contextLength).contains(maxLength) else {
      throw SFTError(
        .usage,
        "\(OptionName.maxLength) is \(maxLength), expected 2 to the model's context of \(configuration.contextLength)")
    }
    guard options.validationShare >= 0, options.validationShare < 1 else {
      throw SFTError(.usage, "\(OptionName.val) is \(options.validationShare), expected at least 0 and below 1")
    }
    settings = PreparedStage.Settings(
      maxLength: maxLength, overlong: options.overlong,
      validationShare: validation.isEmpty ? options.validationShare : 0, seed: options.seed,
      removesDuplicates: options.dedupe, cutsPrompts: true)
  }

  /// The template that was asked for, else the one that fits the records.
  func layout(for records: RecordsStage.Summary) throws -> RecordLayout {
    if let namedLayout { return namedLayout }
    let name = RecordLayout.defaultName(records.formats, conversations: records.conversations)
    return try RecordLayout(named: name, folder: location.folder, date: date)
  }

  /// What to know of the template's tokens before an adapter is trained.
  func warning(_ layout: RecordLayout) throws -> String? {
    try TemplateTokens(layout: layout, tokenizer: tokenizer).warning(folder: location.folder)
  }

  var validationFiles: [String] { validation.map(\.path) }

  /// Some files, as far as they do not depend on the other settings.
  struct Source {
    var records: Artifact<RecordsStage.Summary>
    var tokens: Artifact<TokensStage.Summary>

    func index() throws -> [TokenEntry] {
      try readEntries(try tokens.file(TokensStage.indexFile), as: TokenEntry.self)
    }

    /// The first bad records, in words.
    func skipped(_ files: [String]) -> [String] {
      (records.summary.skippedList + tokens.summary.skippedList).map { $0.described(files) }
    }
  }

  func records(
    _ files: [MappedFile], _ store: ArtifactStore, _ report: (StageReport) -> Void
  ) throws -> Artifact<RecordsStage.Summary> {
    let records = try RecordsStage.run(
      store, files: files,
      LoadingOptions(
        onlyEmptyInput: options.onlyEmptyInput, skipBad: options.skipBad, format: options.format,
        columns: options.columns, threads: options.threads))
    report(StageReport(stage: RecordsStage.name, reused: records.reused, path: records.path))
    return records
  }

  func source(
    _ records: Artifact<RecordsStage.Summary>, _ files: [String], _ layout: RecordLayout, _ store: ArtifactStore,
    _ report: (StageReport) -> Void
  ) throws -> Source {
    let request = TokensStage.Request(
      layout: layout, tokenizer: tokenizer, endOfText: endOfText,
      chat: ChatSettings(
        trainOn: options.trainOn, maxLength: settings.maxLength, cutsTurns: options.overlong == .truncate),
      skipBad: options.skipBad, threads: options.threads)
    let tokens = try TokensStage.run(store, records: records, files: files, request)
    report(StageReport(stage: TokensStage.name, reused: tokens.reused, path: tokens.path))
    return Source(records: records, tokens: tokens)
  }

  func key(_ layout: RecordLayout, _ data: Source, _ validation: Source?) -> ArtifactKey {
    ArtifactKey(
      stage: PreparedStage.name, version: PreparedStage.version,
      settings: [
        Setting("model", model), Setting("tokenizer", tokenizer.digest),
        Setting("template", layout.name), Setting("max-length", settings.maxLength),
        Setting("overlong", options.overlong.rawValue), Setting("val", settings.validationShare),
        Setting("seed", validationFiles.isEmpty ? options.seed : 0), Setting("dedupe", options.dedupe),
        Setting("files", options.files.joined(separator: "\n")),
        Setting("val-file", validationFiles.joined(separator: "\n")),
      ], inputs: [data.tokens.digest] + (validation.map { [$0.tokens.digest] } ?? []))
  }

  /// Chooses the records, writes which, and sums up.
  func fill(
    _ writer: ArtifactWriter, _ layout: RecordLayout, _ data: Source, _ validation: Source?
  ) throws -> PreparedSummary {
    let (index, held) = (try data.index(), try validation?.index())
    var settings = settings
    settings.cutsPrompts = !layout.isChat
    var selection = try PreparedStage.select(
      index, held, files: options.files, validationFiles: validationFiles, settings)
    let training = selection.entries.count { $0.isValidation == 0 }
    try check(selection, training: training, of: index.count)
    try writeEntries(selection.entries, to: try writer.file(PreparedStage.indexFile))
    let all = [data] + (validation.map { [$0] } ?? [])
    var remarks = TemplateRemarks()
    for source in all {
      selection.counts.add(source.records.summary, source.tokens.summary)
      remarks += source.tokens.summary.remarks
    }
    selection.counts.duplicatesRemoved = options.dedupe ? selection.counts.duplicates : 0
    let indices = [index, held ?? []]
    func record(_ entry: PreparedStage.Entry) -> TokenEntry { indices[Int(entry.source)][Int(entry.sample)] }
    let lengths = selection.entries.map { Int(record($0).tokenCount - $0.removed) }
    let supervised = selection.entries.reduce(0) { sum, entry in
      sum + Int(record(entry).supervisedCount)
    }
    return PreparedSummary(
      model: model, tokenizer: tokenizer.digest, templateName: layout.name, template: layout.source,
      layout: layout.recorded(options.trainOn), formats: all.flatMap(\.records.summary.formats), remarks: remarks,
      warnings: [
        data.tokens.summary.lostBytes?.warning(options.files),
        validation?.tokens.summary.lostBytes?.warning(validationFiles),
      ].compactMap(\.self),
      endOfText: endOfText, maxLength: settings.maxLength, files: options.files, validationFiles: validationFiles,
      counts: selection.counts,
      skippedMessages: data.skipped(options.files) + (validation?.skipped(validationFiles) ?? []),
      training: training, validation: selection.entries.count - training, tokens: lengths.reduce(0, +),
      supervisedTokens: supervised, lengths: PreparedSummary.Lengths(lengths),
      sources: all.map(\.tokens.reference))
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
    guard validation.isEmpty || training < selection.entries.count else {
      throw SFTError(.badData, "no record is left to validate on: all were too long", file: validationFiles.first)
    }
  }
}

extension PreparedSummary.Counts {
  fileprivate mutating func add(_ records: RecordsStage.Summary, _ tokens: TokensStage.Summary) {
    loaded += records.records
    skippedBad += records.skippedBad + tokens.skippedBad
    droppedWithInput += records.droppedWithInput
    conversations += records.conversations
    turns += records.turns
    encoded += tokens.records
    turnsCut += tokens.recordsCut
  }
}
