import Core
import Files
import Training

/// A run at each of several learning rates, one after the other, all else being the same.
///
/// Each is the run that the same command with that rate alone gives, to the bit.
public struct LearningRateSweep {
  public let rates: [Double]
  /// What the runs' names have in common: STEM-lr1e-4.
  public let stem: String
  private let options: TrainOptions
  private let workspace: Workspace
  private let verb: String

  /// Finds out what the runs are called. `options.run` is the stem; without it run-1, run-2, … is, or the newest sweep's over
  /// any of these rates where one is to be gone on with. Throws `usage` where a run of any of the names is there and is not
  /// to be gone on with, before anything is made.
  public init(_ rates: [Double], options: TrainOptions, workspace: Workspace, verb: String) throws {
    self.rates = rates
    self.options = options
    self.workspace = workspace
    self.verb = verb
    stem = try options.run ?? (options.resume ? Self.newestStem(rates, workspace) : Self.freeStem(rates, workspace))
    let tensorboard = options.resume ? nil : try options.tensorboard.map(TensorBoardLog.folder)
    for name in names {
      if !options.resume { try workspace.checkFree(name) }
      try workspace.checkNoEvents(name, tensorboard)
    }
  }

  public var names: [String] { rates.map { stem + Self.suffix($0) } }

  private static func suffix(_ rate: Double) -> String { "-lr" + scientific(rate) }

  private static func newestStem(_ rates: [Double], _ workspace: Workspace) throws -> String {
    for run in try workspace.runs().reversed() {
      let name = run.folder.name
      if let rate = rates.first(where: { name.hasSuffix(suffix($0)) }) {
        return String(name.dropLast(suffix(rate).count))
      }
    }
    throw SFTError(.notFound, "there is no sweep over any of these rates to go on with in \(workspace.runsPath)")
  }

  /// Of a number that no run and no other sweep has.
  private static func freeStem(_ rates: [Double], _ workspace: Workspace) throws -> String {
    let taken = try directoryExists(workspace.runsPath) ? try directoryEntries(workspace.runsPath) : []
    var number = 1
    while taken.contains(where: { $0 == "run-\(number)" || $0.hasPrefix("run-\(number)-lr") }) { number += 1 }
    return "run-\(number)"
  }

  /// What goes on with it.
  public var resumeCommand: String {
    "sft \(verb) \(OptionName.run) \(stem) \(OptionName.lr) \(rates.map(scientific).joined(separator: ","))"
      + (options.initialAdapter.map {
        " \(OptionName.initAdapter) \($0)" + (options.force ? " \(OptionName.force)" : "")
      } ?? "") + " \(OptionName.resume)"
  }

  /// Goes through the rates. `train` makes or goes on with one run; its sibling is a run of the sweep that is there. `begin`
  /// is called with each one's number before it. A run that diverges is a result like others. Throws `interrupted`, with
  /// how to go on, when it is told to stop.
  public func callAsFunction(
    shouldStop: () -> Bool, begin: (Int) -> Void, event: @escaping (TrainEvent) -> Void,
    train: (TrainOptions, _ sibling: RecordedRun?, @escaping (TrainEvent) -> Void) throws -> (
      RunFolder, TrainingOutcome?
    )
  ) throws -> SweepResult {
    var runs: [SweepResult.Run] = []
    for (index, (rate, name)) in zip(rates, names).enumerated() {
      if shouldStop() { throw stopped("before run \(name)") }
      begin(index)
      var one = options
      (one.run, one.learningRate) = (name, rate)
      var (divergence, profile): (Int?, Profile?)
      var outcome: TrainingOutcome?
      do {
        (_, outcome) = try train(one, try sibling()) {
          if case .diverged(let step) = $0 { divergence = step }
          if case .profile(let found) = $0 { profile = found }
          event($0)
        }
      } catch let error as SFTError where error.kind == .internalError && divergence != nil {
        event(.note("Run \(name) diverged: \(error)"))
      } catch let error as SFTError where error.kind == .interrupted {
        throw stopped("before the first step of run \(name)")
      }
      if let outcome, outcome.interrupted {
        throw stopped("after step \(outcome.steps) of run \(name); a checkpoint is saved")
      }
      let folder = try workspace.run(name)
      runs.append(try SweepResult.Run(rate, folder, diverged: divergence, profile: profile))
    }
    return SweepResult(runs)
  }

  private func stopped(_ place: String) -> SFTError {
    SFTError(.interrupted, "stopped \(place)", advice: "Go on with `\(resumeCommand)`")
  }

  /// The first run of the sweep that is there.
  private func sibling() throws -> RecordedRun? {
    for name in names where try fileExists(try workspace.run(name).configuration) {
      return try workspace.recordedRun(name)
    }
    return nil
  }
}

/// What came of a sweep.
public struct SweepResult: Encodable {
  /// In the order of the rates asked for.
  public var runs: [Run]
  /// The name of the run with the lowest validation loss; without validation, of that with the lowest loss in the last
  /// update, which is over the same records in each. nil where all diverged.
  public var best: String?

  public struct Run: Encodable {
    public var learningRate: Double
    public var run: String
    public var path: String
    /// Updates done.
    public var steps: Int
    public var stoppedEarly: Bool
    /// The update whose loss or gradient was not finite.
    public var divergedAt: Int?
    public var lastLoss: Double?
    /// On the validation records.
    public var bestLoss: Double?
    public var bestStep: Int?
    /// Over all updates.
    public var tokensPerSecond: Double?
    public var profile: Profile?

    /// As the run's folder has it.
    init(_ rate: Double, _ folder: RunFolder, diverged: Int?, profile: Profile?) throws {
      learningRate = rate
      (run, path) = (folder.name, folder.path)
      (divergedAt, self.profile) = (diverged, profile)
      stoppedEarly = try FinishedMark.read(folder)?.stopped_early ?? false
      steps = 0
      var (tokens, seconds) = (0, 0.0)
      for metric in try Metric.read(folder.metrics) {
        switch metric {
        case .train(let update):
          (steps, lastLoss) = (update.step, update.loss)
          tokens += update.tokens
          seconds += update.seconds
        case .eval(let evaluation) where evaluation.loss < bestLoss ?? .infinity:
          (bestLoss, bestStep) = (evaluation.loss, evaluation.step)
        case .eval, .sample: break
        }
      }
      if seconds > 0 { tokensPerSecond = Double(tokens) / seconds }
    }
  }

  init(_ runs: [Run]) {
    self.runs = runs
    let sound = runs.filter { $0.divergedAt == nil }
    // Without validation there is none for any; a run whose validations were not finite has none either.
    let validated = runs.contains { $0.bestLoss != nil }
    let losses = sound.compactMap { run in (validated ? run.bestLoss : run.lastLoss).map { (run.run, $0) } }
    best = losses.min { $0.1 < $1.1 }?.0
  }
}
