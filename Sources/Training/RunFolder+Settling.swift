import Core
import Files
import Models

/// What a run's folder holds besides `checkpoints/` follows from one checkpoint: the last weights are its own, `best/` is
/// the one that its state names, and the mark of the end is there only where it is the last update's. So a process may be
/// killed, or the disk be full, at any write: whoever opens the run next puts the folder right.
extension RunFolder {
  /// `checkpoints/best-N/`: the weights after a validation that was the best so far.
  func bestWeights(_ step: Int) -> String { "\(checkpoints)/best-\(step)" }

  private var bestSteps: [Int] { get throws { try numbers("best-") } }

  private func lastWeights(_ manifest: FolderManifest) -> String {
    manifest.files.contains { $0.name == AdapterFolder.weightsFile } ? adapter : model
  }

  // MARK: - Looking

  /// All folders with a manifest that are there.
  public func sealedFolders() throws -> [String] {
    try ([adapter, model, best] + checkpointSteps().map(checkpoint) + bestSteps.map(bestWeights)).filter(
      directoryExists)
  }

  /// What the newest checkpoint says that can be read.
  public func newestState() throws -> (step: Int, bestLoss: Double?, bestStep: Int?)? {
    for step in try checkpointSteps().reversed() {
      if let state = try? Checkpoint(checkpoint(step)).state { return (state.step, state.bestLoss, state.bestStep) }
    }
    return nil
  }

  /// Whether the folder is as its newest checkpoint, or the mark of its end, says. Reads only what is small, and changes
  /// nothing.
  public func isSettled() throws -> Bool {
    if let mark = try? FinishedMark.read(self) { return holds(mark, thorough: false) }
    for step in try checkpointSteps().reversed() {
      guard let newest = try? Checkpoint(checkpoint(step)) else { continue }
      return holds(newest, thorough: false)
    }
    return true
  }

  /// Whether the weights are those that the mark of the end names; with `thorough` by all of their content.
  public func holds(_ mark: FinishedMark, thorough: Bool) -> Bool {
    (holds(mark.weights, in: adapter, thorough) || holds(mark.weights, in: model, thorough))
      && holds(mark.bestWeights, in: best, thorough)
  }

  private func holds(_ checkpoint: Checkpoint, thorough: Bool) -> Bool {
    let weights = checkpoint.manifest.weights
    let last = lastWeights(weights)
    guard let manifest = try? FolderManifest.read(last), manifest.files == weights.files, manifest.step == weights.step
    else { return false }
    return holds(manifest.checksum, in: last, thorough) && holds(checkpoint.state.bestWeights, in: best, thorough)
  }

  /// Whether a folder has the manifest of that checksum, and what that says; for nil, whether there is no such folder.
  private func holds(_ checksum: Digest?, in folder: String, _ thorough: Bool) -> Bool {
    guard let checksum else { return (try? !fileExists(folder)) ?? false }
    guard let manifest = try? FolderManifest.read(folder), manifest.checksum == checksum else { return false }
    return (try? thorough ? manifest.check(folder) : manifest.checkSizes(folder)) != nil
  }

  // MARK: - Putting right

  /// Puts the folder into the state that its newest sound checkpoint implies, and gives that checkpoint's step; nil where
  /// there is none, and then nothing is changed. With `thorough` the weights that are there are read, too. Damaged
  /// checkpoints are passed over with a notice. The caller holds the run's lock.
  @discardableResult
  public func settle(thorough: Bool, notice: (String) -> Void) throws -> Int? {
    try removeLeftovers()
    return try newestSound(notice: notice) { checkpoint in
      try publish(checkpoint, thorough: thorough)
      return checkpoint.state.step
    }
  }

  /// What `body` makes of the newest checkpoint that it finds sound; nil where there is none.
  func newestSound<Result>(notice: (String) -> Void, _ body: (Checkpoint) throws -> Result) throws -> Result? {
    for step in try checkpointSteps().reversed() {
      do {
        return try body(Checkpoint(checkpoint(step)))
      } catch let error as SFTError where error.kind == .badData || error.kind == .notFound {
        notice("checkpoint step-\(step) is passed over: \(error)")
      }
    }
    return nil
  }

  /// Makes everything outside of `checkpoints/` follow from a checkpoint. Throws `badData` or `notFound` where it, or the
  /// best weights that it names, are damaged.
  func publish(_ checkpoint: Checkpoint, thorough: Bool) throws {
    if !holds(checkpoint, thorough: thorough) { try copyWeights(of: checkpoint, thorough: thorough) }
    let mark = try? FinishedMark.read(self)
    if mark?.steps != checkpoint.state.step || mark.map({ holds($0, thorough: false) }) != true {
      try removeTree(finishedMark)
    }
  }

  private func copyWeights(of checkpoint: Checkpoint, thorough: Bool) throws {
    // The best first: where it cannot be had, the checkpoint is not one to go on from.
    if let step = checkpoint.state.bestStep, let checksum = checkpoint.state.bestWeights {
      if !holds(checksum, in: best, thorough) {
        let stored = try FolderManifest.read(bestWeights(step))
        guard stored.checksum == checksum else {
          throw SFTError(.badData, "is not what the checkpoint names as the best weights", file: bestWeights(step))
        }
        try copyWeights(stored, from: bestWeights(step), to: best)
      }
    } else {
      try removeTree(best)
    }
    let weights = checkpoint.manifest.weights
    try copyWeights(weights, from: checkpoint.folder, to: lastWeights(weights))
  }

  private func copyWeights(_ weights: FolderManifest, from source: String, to folder: String) throws {
    try weights.check(source)
    try writeDirectoryAtomically(folder) { temporary in
      for entry in weights.files { try copyFile(source + "/" + entry.name, to: temporary + "/" + entry.name) }
      _ = try weights.write(to: temporary)
    }
  }

  /// Removes all but the newest checkpoints up to `step`, and the best weights that none of these names.
  func prune(upTo step: Int, keeping count: Int) throws {
    // Those of later steps were passed over when the run was resumed, and do not count among the kept.
    let sound = try checkpointSteps().filter { $0 <= step }
    for old in sound.dropLast(max(1, count)) { try removeTree(checkpoint(old)) }
    let named = sound.suffix(max(1, count)).compactMap { try? Checkpoint(checkpoint($0)).state.bestStep }
    for best in try bestSteps where !named.contains(best) { try removeTree(bestWeights(best)) }
  }
}
