import Core
import Files
import TensorBoard
import Training

/// Making and holding the folder of a run.
extension Workspace {
  /// Makes the folder of a run that is not there yet, called `name` or run-1, run-2, …. Whoever made it has it, however
  /// many processes try. With `resuming` one that was killed before it recorded its settings may be there. One that has
  /// event files in the folder `charts` from before is not free.
  func newRun(_ name: String?, resuming: Bool, charts: String?) throws -> RunFolder {
    if let name {
      let folder = try run(name)
      try checkUncharted(name, charts)
      guard try createNewDirectory(folder.path) || resuming else { throw taken(name) }
      return folder
    }
    var number = 1
    while true {
      let folder = try run("run-\(number)")
      if try !hasEvents(folder.name, charts) && createNewDirectory(folder.path) { return folder }
      number += 1
    }
  }

  /// Whether a run of that name has event files in the folder `charts`.
  private func hasEvents(_ name: String, _ charts: String?) throws -> Bool {
    try charts.map { try !eventFiles(in: "\($0)/\(name)").isEmpty } ?? false
  }

  /// Throws where another run of that name has event files in the folder `charts`.
  func checkUncharted(_ name: String, _ charts: String?) throws {
    guard let charts, try hasEvents(name, charts) else { return }
    throw SFTError(
      .usage, "holds event files of another run already", file: "\(charts)/\(name)",
      advice: "Remove them, or give another --run or --tensorboard")
  }

  /// Throws where a run of that name is there: found out before anything long is done, settled by `newRun`.
  func checkFree(_ name: String?, resuming: Bool) throws {
    if let name, !resuming, try fileExists(try run(name).path) { throw taken(name) }
  }

  /// Records the run and trains, with the folder held.
  func start(_ job: TrainingJob) throws -> TrainingOutcome {
    let lock = try lock(job.folder)
    defer { withExtendedLifetime(lock) {} }
    guard try !fileExists(job.folder.configuration) else { throw taken(job.folder.name) }
    try job.configuration.write(job.folder)
    return try job(isResuming: false)
  }

  /// Goes on with a recorded run as `job` sets it up, with the folder held; nil where it is finished. `charts` is where its
  /// event files go from now on, if given.
  func resume(
    _ recorded: RecordedRun, charts: String?, event: (TrainEvent) -> Void, _ job: () throws -> TrainingJob
  ) throws -> TrainingOutcome? {
    let folder = recorded.folder
    let lock = try lock(folder)
    defer { withExtendedLifetime(lock) {} }
    try folder.removeLeftovers()
    if try fileExists(folder.finishedMark) {
      event(.note("Run \(folder.name) is finished; there is nothing to do."))
      return nil
    }
    var job = try job()
    try job.configuration.moveCharts(to: charts)
    // The newest run is the one whose configuration was written last.
    try job.configuration.write(folder)
    return try job(isResuming: true)
  }

  private func lock(_ folder: RunFolder) throws -> FileLock {
    guard let lock = try FileLock.attempt(folder.path + "/lock", .exclusive) else {
      throw SFTError(.cannotCreate, "another sft process is training this run", file: folder.path)
    }
    return lock
  }

  private func taken(_ name: String) -> SFTError {
    SFTError(
      .usage, "the run '\(name)' exists already", file: "\(runsPath)/\(name)",
      advice: "Give another --run, or go on with it with --resume")
  }
}
