import Artifacts
import Core
import Files
import Loading

/// Stage 1: files → validated records, in the order of the files.
enum RecordsStage {
  static let name = "records"
  /// 3: escaped pairs of surrogates were read as U+FFFD, one in 32.
  static let version = 3
  static let dataFile = "records.zst"

  struct Summary: Codable, Sendable, Equatable {
    var records: Int
    var skippedBad: Int
    /// The first of the skipped.
    var skippedList: [Skipped]
    var droppedWithInput: Int
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
    _ store: ArtifactStore, files: [MappedFile], onlyEmptyInput: Bool, skipBad: Bool, threads: Int
  ) throws -> Artifact<Summary> {
    let sources = try SourceFiles(files, store)
    let key = ArtifactKey(
      stage: name, version: version,
      settings: [Setting("only-empty-input", onlyEmptyInput), Setting("skip-bad", skipBad)], inputs: sources.contents)
    return try store.artifact(key) { writer in
      let shard = ShardWriter(try writer.file(dataFile))
      let options = LoadingOptions(onlyEmptyInput: onlyEmptyInput, skipBad: skipBad, threads: threads)
      let report = try loadRecords(from: files, options: options) { records in
        // A batch is about half a megabyte of JSON, so a frame is about as much.
        let frame = RecordCodec.encode(records)
        try frame.withUnsafeBytes { try shard.append($0, items: records.count) }
      }
      try sources.checkUnchanged()
      try shard.finish()
      return Summary(
        records: report.records, skippedBad: report.skippedBadCount,
        skippedList: report.skippedBad.map { error in
          Skipped(file: files.firstIndex { $0.path == error.file } ?? 0, line: error.line, message: error.message)
        }, droppedWithInput: report.droppedWithInput)
    }
  }
}

/// Records as bytes: file, line and three lengths as 32-bit integers, then the three texts; one after the other.
enum RecordCodec {
  static func encode(_ records: [Record]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(records.reduce(0) { $0 + 20 + $1.instruction.utf8.count + $1.output.utf8.count })
    for record in records {
      let texts = [record.instruction, record.input, record.output]
      for number in [record.file, record.line] + texts.map(\.utf8.count) {
        withUnsafeBytes(of: UInt32(number).littleEndian) { bytes.append(contentsOf: $0) }
      }
      for text in texts { bytes.append(contentsOf: text.utf8) }
    }
    return bytes
  }

  static func decode(_ bytes: [UInt8], file: String) throws -> [Record] {
    func damaged() -> SFTError { SFTError(.badData, "a record in it is damaged", file: file) }
    var records: [Record] = []
    var cursor = 0
    try bytes.withUnsafeBytes { raw in
      while cursor < raw.count {
        guard raw.count - cursor >= 20 else { throw damaged() }
        let numbers = (0..<5).map {
          Int(UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: cursor + 4 * $0, as: UInt32.self)))
        }
        cursor += 20
        guard numbers[2] + numbers[3] + numbers[4] <= raw.count - cursor else { throw damaged() }
        let texts = numbers[2...].map { length in
          defer { cursor += length }
          return String(decoding: UnsafeRawBufferPointer(rebasing: raw[cursor..<cursor + length]), as: UTF8.self)
        }
        records.append(
          Record(
            instruction: texts[0], input: texts[1], output: texts[2], file: numbers[0], line: numbers[1]))
      }
    }
    return records
  }
}
