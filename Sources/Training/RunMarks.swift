import Core
import Files
import FoundationEssentials

/// `finished.json`: all updates are done.
public struct FinishedMark: Sendable, Equatable, Codable {
  public var steps: Int
  public var stopped_early: Bool
  public var best_loss: Double?
  public var best_step: Int?
  /// Checksum of the last weights' manifest, and of the best weights'.
  var weights: Digest
  var bestWeights: Digest?

  /// nil where the run is not finished. Throws `badData` for a damaged mark.
  public static func read(_ run: RunFolder) throws -> FinishedMark? { try readMark(run.finishedMark) }

  /// Marks a run as finished, with the weights as they are in its folder.
  public static func write(_ outcome: TrainingOutcome, _ run: RunFolder) throws {
    let last = try directoryExists(run.adapter) ? run.adapter : run.model
    let mark = FinishedMark(
      steps: outcome.steps, stopped_early: outcome.stoppedEarly, best_loss: outcome.bestLoss,
      best_step: outcome.bestStep, weights: try FolderManifest.read(last).checksum,
      bestWeights: outcome.bestStep == nil ? nil : try FolderManifest.read(run.best).checksum)
    try writeMark(mark, run.finishedMark)
  }
}

/// `failed.json`: the last command that trained the run ended with an error.
public struct FailedMark: Sendable, Equatable, Codable {
  /// Updates done, whether saved or not.
  public var steps: Int
  /// The update whose loss or gradient was not finite: going on would end there again.
  public var divergedAt: Int?
  public var message: String

  public init(steps: Int, divergedAt: Int?, message: String) {
    (self.steps, self.divergedAt, self.message) = (steps, divergedAt, message)
  }

  /// nil where the run has not failed. Throws `badData` for a damaged mark.
  public static func read(_ run: RunFolder) throws -> FailedMark? { try readMark(run.failedMark) }

  public func write(_ run: RunFolder) throws { try writeMark(self, run.failedMark) }
}

private func readMark<Mark: Decodable>(_ path: String) throws -> Mark? {
  guard try fileExists(path) else { return nil }
  do {
    return try JSONDecoder().decode(Mark.self, from: Data(try readFile(path, limit: 1 << 20)))
  } catch is DecodingError {
    throw SFTError(.badData, "is not a run's mark", file: path)
  }
}

private func writeMark(_ mark: some Encodable, _ path: String) throws {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
  try writeAtomically(Array(try encoder.encode(mark)) + [UInt8(ascii: "\n")], to: path)
}
