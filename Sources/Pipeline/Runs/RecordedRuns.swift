import Core
import Files
import Training

/// A run as found in the workspace.
public struct RecordedRun: Sendable {
  public var folder: RunFolder
  public var configuration: RunConfiguration

  /// Whether the run's weights are a whole model's rather than an adapter's.
  public var isModel: Bool { configuration.settings.lora == nil }
}

/// Finding the runs of the workspace.
extension Workspace {
  /// Names of the runs, the one last started or gone on with last. What else is in the folder of runs is passed over.
  public func runNames() throws -> [String] {
    guard try directoryExists(runsPath) else { return [] }
    return try directoryEntries(runsPath).compactMap { name -> (Int, String)? in
      guard TemporaryName(name) == nil, let folder = try? run(name) else { return nil }
      return try FileStatus(folder.configuration).map { ($0.modified, name) }
    }.sorted { $0 < $1 }.map(\.1)
  }

  /// Runs that have a readable configuration, the newest last. One whose configuration cannot be read is passed over
  /// with a notice.
  public func runs() throws -> [RecordedRun] {
    try runNames().compactMap { name in
      let folder = RunFolder(runsPath + "/" + name)
      do {
        return RecordedRun(folder: folder, configuration: try RunConfiguration.read(folder))
      } catch let error as SFTError {
        notice("The run \(name) is passed over: \(error)")
        return nil
      }
    }
  }

  /// The run of that name, or the newest; nil where there is none and none was named. A run that failed is never the newest:
  /// it is passed over, with a notice if `saying`. Throws `badData` where the record of the one to take is damaged.
  public func recordedRun(_ name: String?, saying: Bool = true) throws -> RecordedRun? {
    if let name { return try namedRun(name) }
    for name in try runNames().reversed() {
      let run = try namedRun(name)
      guard let failure = try? FailedMark.read(run.folder) else { return run }
      guard saying else { continue }
      notice(
        "Run \(name) \(failure.divergedAt.map { "diverged at step \($0)" } ?? "failed") and is passed over; "
          + "\(OptionName.run) \(name) takes it.")
    }
    return nil
  }

  /// The run to go on with: of that name, or the newest that did not diverge. Throws `notFound` where there is none; with
  /// `orNone` a name that no run has is fine.
  func runToResume(_ name: String?, orNone: Bool) throws -> RecordedRun? {
    if let name {
      if orNone, try !fileExists(try run(name).path) { return nil }
      return try namedRun(name)
    }
    for name in try runNames().reversed() {
      let run = try namedRun(name)
      if (try? FailedMark.read(run.folder))?.divergedAt == nil { return run }
    }
    throw SFTError(.notFound, "there is no run to resume in \(runsPath)")
  }

  /// The folder of that name. Throws `notFound` where there is none.
  public func existingRun(_ name: String) throws -> RunFolder {
    let folder = try run(name)
    if try fileExists(folder.path) { return folder }
    let names = try runNames().suffix(10).joined(separator: ", ")
    throw SFTError(
      .notFound, "there is no run '\(name)' in \(runsPath)",
      advice: names.isEmpty ? "No run was started there" : "Those that are there: \(names)")
  }

  private func namedRun(_ name: String) throws -> RecordedRun {
    let folder = try existingRun(name)
    guard try fileExists(folder.configuration) else {
      throw SFTError(
        .badData, "the run has no config.json, so its settings are not known", file: folder.path,
        advice: "Start it again under another name; `sft runs rm \(name)` removes this one")
    }
    return RecordedRun(folder: folder, configuration: try RunConfiguration.read(folder))
  }
}
