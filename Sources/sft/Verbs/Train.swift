import ArgumentParser
import Core
import Pipeline

struct Train: ParsableCommand {
  static let configuration = CommandConfiguration(
    verb: "train", abstract: "Train a LoRA adapter, or all weights, on prepared data.",
    discussion: """
      Stop with Ctrl-C and go on with \(OptionName.resume): the result has the same bits as if it had never stopped. A resumed run \
      takes its settings from its record; they need not be given again.

      Several rates (\(OptionName.lr) 1e-4,3e-4,1e-3) are a run each, NAME-lr1e-4 and so on, one after the other on the same base, \
      and a table at the end; \(OptionName.resume) with the same rates goes on with them.
      """,
    examples: [
      "sft train --lora-r 16 --qlora --lr 5e-4 --epochs 2", "sft train --full --lr 3e-4 --batch-size 16 --run whole",
      "sft train --resume",
    ])

  struct TrunkFlags: ParsableArguments {
    @Option(.trunkCache) var trunkCache: Double?

    func validate() throws {
      if let trunkCache, !(0...1e6).contains(trunkCache) {
        throw ValidationError("\(OptionName.trunkCache) must be from 0 to 1,000,000.")
      }
    }
  }

  @OptionGroup(title: "Run") var which: RunFlags
  @OptionGroup var adapter: AdapterFlags
  @OptionGroup var training: TrainingFlags
  @OptionGroup(title: "Computing") var trunk: TrunkFlags
  @OptionGroup(title: "Computing") var memory: MemoryFlags
  @OptionGroup(title: "Settings file") var settings: SettingsFlags
  @OptionGroup(title: "General") var common: CommonOptions

  func validate() throws { _ = try options() }

  private func options() throws -> TrainOptions {
    var options = TrainOptions()
    try adapter.apply(to: &options)
    which.apply(to: &options)
    options.trunkCache = trunk.trunkCache.map { Int($0 * 1e9) }
    try training.apply(to: &options)
    options.ignoresMemory = memory.noMemoryCheck
    options.typedSettings = GivenSettings.current
    options.ranks = Ranks.session
    return try options.checked()
  }

  func run() throws {
    var asked = try options()
    let inputs = TrainingInputs()
    // A run that is gone on with has its rate.
    if training.findsRate, !asked.resume {
      let rate = try foundRate(asked, inputs)
      try training.learning.checkMinimum(below: rate)
      asked.learningRate = rate
    }
    let found = asked
    let train: TrainingCommand = { workspace, options, sibling, event in
      try TrainRun(
        workspace: workspace, options: options ?? found, inputs: inputs, sibling: sibling,
        shouldStop: { Interrupt.requested }, event: event)()
    }
    if let rates = training.sweep {
      try runSweep(rates, found, verb: "train", common, train)
    } else {
      try runTraining(common, train)
    }
  }
  /// What a range test with these options suggests. Throws `usage` where its curve gives no answer.
  private func foundRate(_ options: TrainOptions, _ inputs: TrainingInputs) throws -> Double {
    if let name = options.run { try Workspace(common.workspace, progress: { _ in }) { _ in }.checkFree(name) }
    let progress = Progress(quiet: common.quiet)
    let workspace = Workspace(common.workspace, progress: progress.showOrStop) { progress.note($0) }
    let (report, folder) = try findRate(options, .standard, workspace, progress, inputs: inputs)
    guard let rate = report.suggestion else {
      throw SFTError(
        .usage, "no learning rate was found: \(report.reason ?? "the curve gives no answer")", file: folder,
        advice: "Give one with \(OptionName.lr)")
    }
    progress.note("suggested   lr \(scientific(rate)), from the curve in \(folder)")
    return rate
  }
}
