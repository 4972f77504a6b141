import Artifacts
import Core
import Files
import Training

/// What other verbs take of a run.
extension Workspace {
  /// The weights to use: those of a checkpoint, else the best, else the last: an adapter's folder, or a model's. Says in
  /// words which they are.
  ///
  /// What a killed process left is put right first. Throws `badData` where they are not as they were written.
  public func weights(of run: RecordedRun, checkpoint: Int?) throws -> (folder: String, description: String) {
    let (folder, name) = (run.folder, run.folder.name)
    if let checkpoint {
      let path = folder.checkpoint(checkpoint)
      guard try directoryExists(path) else {
        let steps = try folder.checkpointSteps().map(String.init).joined(separator: ", ")
        throw SFTError(
          .notFound, "run \(name) has no checkpoint of step \(checkpoint)",
          advice: steps.isEmpty ? nil : "It has \(steps)")
      }
      try checkWeights(path, advice: "Take another checkpoint, or leave \(OptionName.checkpoint) out")
      return (path, "checkpoint of step \(checkpoint) of run \(name)")
    }
    try settle(folder)
    let last = run.isModel ? folder.model : folder.adapter
    let places = [(folder.best, "best weights of run \(name)"), (last, "last weights of run \(name)")]
    guard let place = try places.first(where: { try directoryExists($0.0) }) else {
      throw SFTError(
        .notFound, "run \(name) has no weights yet", file: folder.path,
        advice: folder.isTrained
          ? "It is being trained now: wait for its first checkpoint"
          : "Go on with `\(run.configuration.resumeCommand(folder))`")
    }
    try checkWeights(
      place.0, advice: "`\(run.configuration.resumeCommand(folder))` takes them from the checkpoint again")
    return place
  }

  /// Puts a run's folder into the state that its newest sound checkpoint implies, if nobody trains it.
  private func settle(_ run: RunFolder) throws {
    guard try !run.isSettled(), let lock = try FileLock.attempt(run.lock, .exclusive) else { return }
    defer { withExtendedLifetime(lock) {} }
    try run.settle(thorough: false, notice: notice)
  }

  /// Throws `badData` unless the weights in a folder of a run are as its manifest has them.
  private func checkWeights(_ folder: String, advice: String) throws {
    do {
      try check(try FolderManifest.read(folder), folder)
    } catch var error as SFTError where error.kind == .badData || error.kind == .notFound {
      (error.kind, error.advice) = (.badData, advice)
      throw error
    }
  }

  /// Throws `badData` where a folder that was named has a run's manifest and is not as that has it.
  func checkNamed(_ folder: String) throws {
    // Other tools have files of that name, too.
    guard let manifest = try? FolderManifest.read(folder) else { return }
    do { try check(manifest, folder) } catch var error as SFTError where error.kind == .badData {
      error.advice = "If it was changed on purpose, remove its \(FolderManifest.fileName)"
      throw error
    }
  }

  private func check(_ manifest: FolderManifest, _ folder: String) throws {
    do {
      try manifest.weights.check(folder, digest: digest)
    } catch let error as SFTError where error.kind == .badData {
      // Whoever trains the run may have put a newer folder in its place meanwhile.
      let now = try FolderManifest.read(folder)
      if now == manifest { throw error }
      try check(now, folder)
    }
  }

  /// A big file is read once, and again only if it was touched.
  private func digest(_ path: String) throws -> Digest {
    guard let size = try FileStatus(path)?.size, size > alwaysReadLimit else { return try Digest(ofFile: path) }
    return try store.cachedDigest(identity: "file 1\n" + ArtifactStore.fileIdentity(path)) {
      try Digest(ofFile: path)
    }
  }
}
