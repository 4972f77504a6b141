import Artifacts
import Core

/// The records' texts behind prepared data, read a frame at a time.
final class RecordTexts {
  private let readers: [ShardReader]
  private let paths: [String]
  /// Kept in use for as long as they are read.
  private let artifacts: [Artifact<RecordsStage.Summary>]
  private var latest: (source: Int, frame: Int, records: [Conversation])?

  /// Throws `notFound` where the records the tokens were made from are gone.
  init(_ data: PreparedData, store: ArtifactStore) throws {
    artifacts = try data.sources.map { source in
      let records = try source.artifact.inputs.first.flatMap {
        try store.existing(ArtifactReference(stage: RecordsStage.name, digest: $0), RecordsStage.Summary.self)
      }
      guard let records else {
        throw SFTError(
          .notFound, "the records of the prepared data are gone", file: data.artifact.path,
          advice: "Run the same `sft prepare` again")
      }
      return records
    }
    paths = try artifacts.map { try $0.file(RecordsStage.dataFile) }
    readers = try paths.map { try ShardReader($0) }
    for (reader, source) in zip(readers, data.sources)
    where source.index.contains(where: { Int($0.record) >= reader.itemCount }) {
      throw SFTError(.badData, "the records and their tokens do not agree", file: data.artifact.path)
    }
  }

  /// `transform` of every record of a source, in order, on several threads; few frames are in memory at once.
  func map<Result: Sendable>(
    _ source: Int, threads: Int, _ transform: @Sendable (Conversation) -> Result
  ) throws -> [Result] {
    let (reader, path) = (readers[source], paths[source])
    var results: [Result] = []
    results.reserveCapacity(reader.itemCount)
    for first in stride(from: 0, to: reader.frames.count, by: 4 * threads) {
      let wave = Array(first..<min(first + 4 * threads, reader.frames.count))
      results += try parallelMap(wave, threads: threads) {
        try RecordCodec.decode(try reader.decompress($0), file: path).map(transform)
      }.joined()
    }
    guard results.count == reader.itemCount else {
      throw SFTError(.badData, "its frames do not hold as many records as its index says", file: path)
    }
    return results
  }

  /// One record of a source.
  func record(_ number: Int, source: Int) throws -> Conversation {
    let reader = readers[source]
    guard let frame = reader.frames.lastIndex(where: { $0.firstItem <= number && $0.items > 0 }) else {
      throw SFTError(.internalError, "there is no record \(number)", file: paths[source])
    }
    if latest?.source != source || latest?.frame != frame {
      latest = (source, frame, try RecordCodec.decode(try reader.decompress(frame), file: paths[source]))
    }
    guard let records = latest?.records, records.indices.contains(number - reader.frames[frame].firstItem) else {
      throw SFTError(.badData, "a frame holds fewer records than its index says", file: paths[source])
    }
    return records[number - reader.frames[frame].firstItem]
  }
}
