import Artifacts
import Core
import Files
import Loading

/// Stage 1: files → validated records, in the order of the files.
enum RecordsStage {
  static let name = "records"
  /// 4: records are conversations.
  static let version = 4
  static let dataFile = "records.zst"

  struct Summary: Codable, Sendable, Equatable {
    var records: Int
    var skippedBad: Int
    /// The first of the skipped.
    var skippedList: [Skipped]
    var droppedWithInput: Int
    /// Of each file.
    var formats: [DataFormat]
    /// Records that are lists of messages.
    var conversations: Int
    /// Messages of all records.
    var turns: Int
  }

  /// A bad record by its place: the name of its file is not part of the artifact, which is known by content.
  struct Skipped: Codable, Sendable, Equatable {
    var file: Int
    var line: Int?
    var message: String

    func described(_ files: [String]) -> String {
      SFTError(.badData, message, file: file < files.count ? files[file] : nil, line: line).description
    }
  }

  static func run(
    _ store: ArtifactStore, files: [MappedFile], _ options: LoadingOptions
  ) throws -> Artifact<Summary> {
    let sources = try SourceFiles(files, store)
    let key = ArtifactKey(
      stage: name, version: version,
      settings: [
        Setting("only-empty-input", options.onlyEmptyInput), Setting("skip-bad", options.skipBad),
        Setting("data-format", options.format?.rawValue ?? ""),
      ] + (options.columns.isEmpty ? [] : [Setting("columns", options.columns.words)]), inputs: sources.contents)
    return try store.artifact(key) { writer in
      let shard = ShardWriter(try writer.file(dataFile))
      var (conversations, turns) = (0, 0)
      let report = try loadRecords(from: files, options: options) { records in
        // A batch is about half a megabyte of JSON, so a frame is about as much.
        let frame = RecordCodec.encode(records)
        conversations += records.count { $0.form == .messages }
        turns += records.reduce(0) { $0 + $1.turns.count }
        try frame.withUnsafeBytes { try shard.append($0, items: records.count) }
      }
      try sources.checkUnchanged()
      try shard.finish()
      return Summary(
        records: report.records, skippedBad: report.skippedBadCount,
        skippedList: report.skippedBad.map { error in
          Skipped(file: files.firstIndex { $0.path == error.file } ?? 0, line: error.line, message: error.message)
        }, droppedWithInput: report.droppedWithInput, formats: report.formats, conversations: conversations,
        turns: turns)
    }
  }
}
