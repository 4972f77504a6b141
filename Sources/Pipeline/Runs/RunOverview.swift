import Artifacts
import Core
import Files
import Training

/// A run in a few words and figures, for a list of runs.
public struct RunOverview: Sendable, Encodable {
  public enum State: String, Sendable, Encodable { case training, finished, stopped, diverged, failed }

  public var name: String
  public var path: String
  /// When it was started or gone on with last, in seconds since 1970.
  public var startedSeconds: Int
  public var state: State
  /// Why it failed.
  public var failure: String?
  /// Updates done, of `steps`; of a stopped run, those that are saved.
  public var step: Int
  public var steps: Int
  public var finished: Bool
  public var stoppedEarly: Bool
  public var model: String
  /// The files that it is trained on; none where the prepared data is gone.
  public var data: [String]
  public var method: TrainingMethod
  /// Of the adapter, where one is trained.
  public var r: Int?
  public var learningRate: Double
  /// On the validation records, as far as it is saved.
  public var bestLoss: Double?
  public var bestStep: Int?
  public var checkpoints: [Int]
  public var hasBest: Bool

  /// What a folder is called, or the model's own name.
  public var modelName: String { method == .pretrain ? "from scratch" : lastPathComponent(model) }

  public init(_ run: RecordedRun, in workspace: Workspace) throws {
    let (folder, configuration) = (run.folder, run.configuration)
    (name, path) = (folder.name, folder.path)
    startedSeconds = try (FileStatus(folder.configuration)?.modified ?? 0) / 1_000_000_000
    model = configuration.model
    data = workspace.files(of: configuration)
    (method, r) = (configuration.settings.method, configuration.settings.lora?.rank)
    learningRate = configuration.settings.schedule.learningRate
    steps = configuration.settings.steps
    checkpoints = try folder.checkpointSteps()
    hasBest = try directoryExists(folder.best)
    let mark = try? FinishedMark.read(folder)
    let saved = try folder.newestState()
    (bestLoss, bestStep) = (mark?.best_loss ?? saved?.bestLoss, mark?.best_step ?? saved?.bestStep)
    (finished, stoppedEarly) = (mark != nil, mark?.stopped_early ?? false)
    if folder.isTrained {
      (state, step) = (.training, try folder.loggedSteps() ?? 0)
    } else if let mark {
      (state, step) = (.finished, mark.steps)
    } else if let failed = try? FailedMark.read(folder) {
      (state, step) = (failed.divergedAt == nil ? .failed : .diverged, failed.steps)
      failure = failed.message
    } else {
      (state, step) = (.stopped, saved?.step ?? 0)
    }
  }
}

extension Workspace {
  /// The files that a run is trained on.
  fileprivate func files(of configuration: RunConfiguration) -> [String] {
    if let source = configuration.pretrained { return source.files }
    // Only what was recorded: the data need not be sound for a list.
    let path = store.path(of: configuration.prepared) + "/manifest.json"
    guard let text = try? readFile(path, limit: 64 << 20),
      let manifest = try? Manifest<PreparedSummary>.parse(text, path, key: configuration.prepared.digest)
    else { return [] }
    return manifest.summary.files
  }

  /// All runs, the newest last.
  public func overviews() throws -> [RunOverview] { try runs().map { try RunOverview($0, in: self) } }

  /// Removes a run's folder. Throws `notFound` for a name that no run has, `cannotCreate` for a run that is being trained.
  public func removeRun(_ name: String) throws {
    let folder = try existingRun(name)
    let lock = try lock(folder)
    defer { withExtendedLifetime(lock) {} }
    // Renamed first, so that nobody ever sees half of it.
    let doomed = TemporaryName.make(beside: folder.path)
    try renameFolder(folder.path, to: doomed)
    try removeTree(doomed)
  }
}
