import Core
import Files
import Kernels
import Training

/// What a run is trained on and from: prepared data and a base, or a corpus and a new model. What all runs have in
/// common is the `RunLauncher`'s.
protocol RunSource {
  var workspace: Workspace { get }
  var options: TrainOptions { get }
  var event: (TrainEvent) -> Void { get }

  /// Whose runs these are, and the option of that verb that takes a settings file.
  var verb: RunVerb { get }

  /// A new run, as the options say. Tells what it will take, and throws `usage` where that is not there.
  func start() throws -> RunStart
  /// A new run with the settings of another, which is in `folder`.
  func start(_ configuration: RunConfiguration, like folder: RunFolder) throws -> RunStart
  /// A recorded run, to go on.
  func job(_ recorded: RecordedRun) throws -> TrainingJob
  /// What of the source is asked for otherwise than a run has it, in words.
  func changes(from configuration: RunConfiguration) -> [String]
}

/// The verbs that train.
enum RunVerb: String {
  case train, pretrain

  init(_ configuration: RunConfiguration) { self = configuration.settings.method == .pretrain ? .pretrain : .train }

  var settingsOption: String { self == .train ? OptionName.config.rawValue : "settings" }
}

/// A new run before its folder is there.
struct RunStart {
  /// Folder of TensorBoard's event files.
  var tensorboard: String?
  /// Options that were not given, and taken from the workspace.
  var taken: [TypedSetting] = []
  /// Puts what the run needs into its folder at `place`, which is going to be `final`, and gives what is recorded of it.
  var record: (_ place: RunFolder, _ final: RunFolder) throws -> RunConfiguration
  var job: (RunFolder, RunConfiguration) throws -> TrainingJob
}

/// Starts a run or goes on with one, from options to outcome.
struct RunLauncher {
  let source: any RunSource
  /// A run whose settings a new one has, but for the learning rate.
  let sibling: RecordedRun?

  private var workspace: Workspace { source.workspace }
  private var options: TrainOptions { source.options }

  /// Run folder and outcome; the outcome is nil where the run was finished before.
  func callAsFunction() throws -> (RunFolder, TrainingOutcome?) {
    if options.resume {
      // Of a sweep, some runs may not have been started.
      if let recorded = try workspace.runToResume(options.run, orNone: sibling != nil) { return try resume(recorded) }
    } else if let name = options.run {
      try workspace.checkFree(name)
    }
    let start = try sibling.map(start) ?? source.start()
    let settings = try options.settingsText(source.verb, taken: start.taken, like: sibling?.folder)
    let (held, configuration) = try workspace.newRun(
      options.run, tensorboard: start.tensorboard, settings: settings
    ) { place, final in
      var configuration = try start.record(place, final)
      // Of another run it may be another machine's.
      configuration.linearAlgebra = LinearAlgebra.report(threads: configuration.settings.threads)
      return configuration
    }
    return (held.folder, try workspace.start(held, start.job(held.folder, configuration)))
  }

  /// A run that differs from a recorded one in its rate alone.
  private func start(like sibling: RecordedRun) throws -> RunStart {
    try refuseOtherVerb(sibling)
    var configuration = sibling.configuration.withRate(options.learningRate)
    if options.resume { try refuseChanges(configuration, options.run ?? "of that rate") }
    try configuration.moveEvents(to: options.tensorboard)
    return try source.start(configuration, like: sibling.folder)
  }

  private func resume(_ recorded: RecordedRun) throws -> (RunFolder, TrainingOutcome?) {
    try refuseOtherVerb(recorded)
    try refuseChanges(recorded.configuration, recorded.folder.name)
    var going = recorded
    // What a rank has of its host says nothing of what this process has, or another number of ranks.
    if options.ranks != nil || recorded.configuration.settings.shares != nil {
      going.configuration.settings.threads = options.threads ?? Compute.availableThreads
    }
    let run = going
    let outcome = try workspace.resume(run, tensorboard: options.tensorboard, event: source.event) {
      try source.job(run)
    }
    return (run.folder, outcome)
  }

  private func refuseOtherVerb(_ recorded: RecordedRun) throws {
    let verb = RunVerb(recorded.configuration)
    guard verb != source.verb || (verb == .pretrain && recorded.configuration.pretrained == nil) else { return }
    throw SFTError(
      .usage, "run \(recorded.folder.name) was started by `sft \(verb.rawValue)`",
      advice: "Go on with it with `\(recorded.configuration.resumeCommand(recorded.folder))`")
  }

  /// A resumed run has the recorded settings; options that say otherwise are refused by name.
  private func refuseChanges(_ configuration: RunConfiguration, _ name: String) throws {
    let changed =
      try source.changes(from: configuration)
      + RunOption.all.compactMap { option in
        if option.isAdapters, configuration.settings.lora == nil {
          return option.isGiven(options) ? "\(option.name) (it trains all weights)" : nil
        }
        return try option.change(options, configuration, workspace)
      }
    guard changed.isEmpty else {
      throw SFTError(
        .usage, "run \(name) cannot go on with changed settings: \(changed.joined(separator: ", "))",
        advice: "Leave them out, or start a new run")
    }
  }
}
