import Core
import Files
import Glibc
import TensorBoard
import Training

/// A run's folder that nobody else trains for as long as this lives.
struct HeldRun {
  let folder: RunFolder
  let lock: FileLock
}

/// Making and holding the folder of a run.
extension Workspace {
  /// Makes the folder of a run that is not there yet, called `name` or run-1, run-2, …, with its settings in it: there is
  /// no instant at which it is without. Whoever made it has it, however many processes try. One that has event files in the
  /// folder `tensorboard` from before is not free.
  ///
  /// `settings` is the text of the settings file that repeats it. `fill` puts what else the run needs into a folder
  /// that is going to be the one it is told, and gives the settings.
  func newRun(
    _ name: String?, tensorboard: String?, settings: String,
    fill: (_ place: RunFolder, _ final: RunFolder) throws -> RunConfiguration
  ) throws -> (HeldRun, RunConfiguration) {
    let fill = { (place: RunFolder, final: RunFolder) in
      try writeAtomically(settings, to: place.settings)
      return try fill(place, final)
    }
    if let name {
      try checkNoEvents(name, tensorboard)
      guard let made = try makeRun(try run(name), fill) else { throw taken(try run(name)) }
      return made
    }
    var number = 1
    while true {
      let folder = try run("run-\(number)")
      if try !fileExists(folder.path) && !hasEvents(folder.name, tensorboard), let made = try makeRun(folder, fill) {
        return made
      }
      number += 1
    }
  }

  /// nil where the folder is there already.
  private func makeRun(
    _ folder: RunFolder, _ fill: (RunFolder, RunFolder) throws -> RunConfiguration
  ) throws -> (HeldRun, RunConfiguration)? {
    try createDirectory(runsPath)
    try removeAbandoned()
    let place = RunFolder(TemporaryName.make(beside: folder.path))
    try createDirectory(place.path)
    do {
      // Held before it has its name, so that nobody can come between.
      let lock = try FileLock(place.lock, .exclusive)
      let configuration = try fill(place, folder)
      try Origin.here.write(place)
      try configuration.write(place)
      guard rename(place.path, folder.path) == 0 else {
        guard [EEXIST, ENOTEMPTY, ENOTDIR].contains(errno) else { throw systemError("create the folder", folder.path) }
        try removeTree(place.path)
        return nil
      }
      syncDirectory(runsPath)
      return (HeldRun(folder: folder, lock: lock), configuration)
    } catch {
      try? removeTree(place.path)
      throw error
    }
  }

  /// Removes the beginnings of runs that killed processes left.
  private func removeAbandoned() throws {
    for name in try directoryEntries(runsPath) where TemporaryName(name)?.isAbandoned == true {
      let place = RunFolder(runsPath + "/" + name)
      if !place.isTrained { try removeTree(place.path) }
    }
  }

  /// Whether a run of that name has event files in the folder `tensorboard`.
  private func hasEvents(_ name: String, _ tensorboard: String?) throws -> Bool {
    try tensorboard.map { try !eventFiles(in: "\($0)/\(name)").isEmpty } ?? false
  }

  /// Throws where another run of that name has event files in the folder `tensorboard`.
  func checkNoEvents(_ name: String, _ tensorboard: String?) throws {
    guard let tensorboard, try hasEvents(name, tensorboard) else { return }
    throw SFTError(
      .usage, "holds event files of another run already", file: "\(tensorboard)/\(name)",
      advice: "Remove them, or give another \(OptionName.run) or \(OptionName.tensorboard)")
  }

  /// Throws where a run of that name is there: found out before anything long is done, settled by `newRun`.
  public func checkFree(_ name: String) throws {
    let folder = try run(name)
    if try fileExists(folder.path) { throw taken(folder) }
  }

  /// Trains a new run.
  func start(_ held: HeldRun, _ job: TrainingJob) throws -> TrainingOutcome {
    defer { withExtendedLifetime(held) {} }
    return try job(isResuming: false)
  }

  /// Goes on with a recorded run as `job` sets it up, with the folder held; nil where it is finished. `tensorboard` is
  /// where its event files go from now on, if given.
  func resume(
    _ recorded: RecordedRun, tensorboard: String?, event: (TrainEvent) -> Void, _ job: () throws -> TrainingJob
  ) throws -> TrainingOutcome? {
    let folder = recorded.folder
    let lock = try lock(folder)
    defer { withExtendedLifetime(lock) {} }
    try folder.removeLeftovers()
    if try isFinished(folder, event) {
      event(.note("Run \(folder.name) is finished; there is nothing to do."))
      return nil
    }
    var job = try job()
    try job.configuration.moveEvents(to: tensorboard)
    // The newest run is the one whose configuration was written last.
    try job.configuration.write(folder)
    return try job(isResuming: true)
  }

  /// Whether a run is at its end with the weights that are its; where they are not, its newest sound checkpoint gives them.
  private func isFinished(_ folder: RunFolder, _ event: (TrainEvent) -> Void) throws -> Bool {
    guard try fileExists(folder.finishedMark) else { return false }
    if let mark = try? FinishedMark.read(folder), folder.holds(mark, thorough: true) { return true }
    event(.note("The weights of run \(folder.name) are not those that it ended with; its checkpoint is looked for."))
    guard try folder.settle(thorough: true, notice: { event(.note($0)) }) != nil else {
      throw SFTError(
        .badData, "the weights of the finished run are damaged, and it has no sound checkpoint to take them from",
        file: folder.path, advice: "Start it again under another name")
    }
    return try fileExists(folder.finishedMark)
  }

  /// Throws where another process trains the run.
  func lock(_ folder: RunFolder) throws -> FileLock {
    // Whoever asks whether it is trained holds it for an instant.
    for _ in 0..<20 {
      if let lock = try FileLock.attempt(folder.lock, .exclusive) { return lock }
      usleep(10_000)
    }
    throw SFTError(.cannotCreate, "another sft process is training this run", file: folder.path)
  }

  private func taken(_ folder: RunFolder) -> SFTError {
    let isTrained = folder.isTrained
    return SFTError(
      .usage, isTrained ? "the run '\(folder.name)' is being trained now" : "the run '\(folder.name)' exists already",
      file: folder.path,
      advice: isTrained
        ? "Give another \(OptionName.run)"
        : "Give another \(OptionName.run), or go on with it with \(OptionName.resume)")
  }
}
