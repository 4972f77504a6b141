import ArgumentParser
import Core
import Pipeline

struct Plan: ParsableCommand {
  static let configuration = CommandConfiguration(
    verb: "plan", abstract: "What a training would take: memory, disk and time, before anything is started.",
    discussion: """
      Takes the flags of `sft train`. Worked out from the model's configuration and the prepared data, batch by batch; no \
      weight is read. Where it does not fit in the memory that there is, it says what would make it fit.
      """,
    examples: ["sft plan --qlora --gradient-checkpointing", "sft plan --full --batch-size 16 --json"])

  @OptionGroup var adapter: AdapterFlags
  @OptionGroup var training: TrainingFlags
  @OptionGroup(title: "Computing") var trunk: Train.TrunkFlags
  @OptionGroup(title: "Settings file") var settings: SettingsFlags
  @OptionGroup(title: "General") var common: CommonOptions

  func validate() throws {
    _ = try options()
    if training.sweep != nil {
      throw ValidationError("\(OptionName.lr) takes one rate here: each takes what the others do.")
    }
  }

  private func options() throws -> TrainOptions {
    var options = TrainOptions()
    try adapter.apply(to: &options)
    options.trunkCache = trunk.trunkCache.map { Int($0 * 1e9) }
    try training.apply(to: &options)
    return try options.checked()
  }

  func run() throws {
    let progress = Progress(quiet: common.quiet)
    let workspace = Workspace(common.workspace, progress: progress.show) { progress.note($0) }
    let run = TrainRun(workspace: workspace, options: try options(), shouldStop: { false }, event: { _ in })
    let plan = try run.plan()
    progress.close()
    if common.json {
      try Terminal.printJSON(plan)
    } else {
      Terminal.show(PlanView(plan).lines.joined(separator: "\n"))
    }
  }
}
