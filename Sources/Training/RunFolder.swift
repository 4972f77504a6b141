import Core
import Files
import Glibc

/// `runs/NAME/`: the places in it.
public struct RunFolder: Sendable, Equatable {
  public let path: String

  public init(_ path: String) { self.path = path }

  public var name: String { lastPathComponent(path) }
  /// The last weights, where an adapter is trained.
  public var adapter: String { path + "/adapter" }
  /// The last weights, where all of them are trained: a model folder.
  public var model: String { path + "/model" }
  /// What a model trained from scratch has besides weights: `config.json` and the tokenizer's files.
  public var blueprint: String { path + "/blueprint" }
  /// The weights with the lowest validation loss.
  public var best: String { path + "/best" }
  public var metrics: String { path + "/metrics.jsonl" }
  public var configuration: String { path + "/config.json" }
  /// When and by which command it was started; runs from before that was recorded have none.
  public var origin: String { path + "/origin.json" }
  /// Where the time of the last command that was asked for a profile went.
  public var profile: String { path + "/profile.json" }
  /// Present once the run has done all its updates.
  public var finishedMark: String { path + "/finished.json" }
  /// Present where the last command that trained it ended with an error.
  public var failedMark: String { path + "/failed.json" }
  /// What it was told, as a settings file that trains the same again.
  public var settings: String { path + "/settings.yaml" }
  /// Locked by the process that trains the run.
  public var lock: String { path + "/lock" }
  public var checkpoints: String { path + "/checkpoints" }

  public func checkpoint(_ step: Int) -> String { "\(checkpoints)/step-\(step)" }

  /// Removes what a killed process left half-written, and puts back what it was about to replace. The caller holds the
  /// run's lock, so nobody is writing.
  public func removeLeftovers() throws {
    for folder in [path, checkpoints] where try directoryExists(folder) {
      for entry in try directoryEntries(folder) {
        guard let name = TemporaryName(folder + "/" + entry) else { continue }
        let place = folder + "/" + entry
        if name.role == .replaced, try !fileExists(name.base) {
          guard rename(place, name.base) == 0 else { throw systemError("restore", name.base) }
        } else {
          try removeTree(place)
        }
      }
    }
  }

  /// Steps that have a checkpoint, in order. Throws where there may be some that cannot be seen.
  public func checkpointSteps() throws -> [Int] { try numbers("step-") }

  func numbers(_ prefix: String) throws -> [Int] {
    guard try fileExists(checkpoints) else { return [] }
    return try directoryEntries(checkpoints).compactMap { name in
      name.hasPrefix(prefix) ? Int(name.dropFirst(prefix.count)) : nil
    }.sorted()
  }

  /// Updates whose metrics are written, saved or not; nil before the first.
  public func loggedSteps() throws -> Int? {
    guard try fileExists(metrics) else { return nil }
    // A line with a sample answer can be long.
    let file = try MappedFile(metrics)
    let tail = file.bytes.suffix(1 << 20)
    for line in tail.split(separator: UInt8(ascii: "\n")).reversed() {
      if let step = Metric.step(ofLine: line) { return step }
    }
    return nil
  }

  /// Whether a process trains the run at this moment.
  public var isTrained: Bool {
    do { return try FileLock.attempt(lock, .shared, .existing) == nil } catch { return false }
  }
}
