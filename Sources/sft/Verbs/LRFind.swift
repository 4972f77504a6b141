import ArgumentParser
import Core
import Pipeline
import Training

struct LRFind: ParsableCommand {
  static let configuration = CommandConfiguration(
    verb: "lr-find", abstract: "Suggest a learning rate: a short training at rising rates, and its losses.",
    discussion: """
      Trains as `sft train` with the same options would begin, but each update has a higher rate than the one before, \
      from \(OptionName.lrFrom) to \(OptionName.lrTo), and nothing is kept but the curve of losses: no run. It ends early where the loss, as a \
      running mean, is above four times its minimum, or is not a finite number.

      The suggestion lies halfway, by logarithms, between the rate where the smoothed loss falls the fastest and the one \
      where it is lowest in its first valley, and at most at a third of the latter. Where the curve gives no answer, \
      that is said, and what to change.
      """,
    examples: ["sft lr-find --lora-r 16 --qlora", "sft lr-find --full --steps 60 --lr-from 1e-6 --lr-to 0.1"])

  struct Rates: ParsableArguments {
    @Option(name: .long, help: .takes("RATE", "The first update's rate."))
    var lrFrom = RateRange.standard.lowest

    @Option(name: .long, help: .takes("RATE", "The last update's rate."))
    var lrTo = RateRange.standard.highest

    @Option(name: .long, help: .takes("N", "Updates, if it does not end early."))
    var steps = RateRange.standard.steps

    func validate() throws {
      try positive(lrFrom, OptionName.lrFrom.description)
      try positive(lrTo, OptionName.lrTo.description)
      guard lrFrom < lrTo else { throw ValidationError("\(OptionName.lrFrom) must be below \(OptionName.lrTo).") }
      // Their ratio and its powers have to be numbers.
      guard lrFrom >= 1e-30, lrTo <= 1e30 else { throw ValidationError("Rates must be from 1e-30 to 1e30.") }
      // Fewer could never be a curve.
      try atLeast(RateSuggestion.fewest, steps, OptionName.steps.description)
      try atMost(10_000, steps, OptionName.steps.description)
    }
  }

  @OptionGroup(title: "Range of rates") var range: Rates
  @OptionGroup var adapter: AdapterFlags
  @OptionGroup var update: UpdateFlags
  @OptionGroup(title: "Computing") var memory: MemoryFlags
  @OptionGroup(title: "General") var common: CommonOptions

  func validate() throws { _ = try options() }

  private func options() throws -> TrainOptions {
    var options = TrainOptions()
    try adapter.apply(to: &options)
    try update.apply(to: &options)
    options.ignoresMemory = memory.noMemoryCheck
    return try options.checked()
  }

  func run() throws {
    let progress = Progress(quiet: common.quiet)
    let workspace = Workspace(common.workspace, progress: progress.showOrStop) { progress.note($0) }
    let range = RateRange(lowest: range.lrFrom, highest: range.lrTo, steps: range.steps)
    let (report, folder) = try findRate(try options(), range, workspace, progress)
    if common.json { try Terminal.printJSON(report) } else { print(RangeView(report, columns: Terminal.columns).text) }
    for name in RangeReport.files {
      let place = "written to \(folder)/\(name)"
      if common.json { progress.note(place) } else { Terminal.show(place) }
    }
  }
}

/// Runs a range test with the display of it. Returns what it says, and the folder that it is written to.
func findRate(
  _ options: TrainOptions, _ range: RateRange, _ workspace: Workspace, _ progress: Progress,
  inputs: TrainingInputs = TrainingInputs()
) throws -> (RangeReport, folder: String) {
  let finder = try LearningRateFinder(
    options, range: range, workspace: workspace, inputs: inputs,
    planned: { progress.note(PlanView($0).short) }, note: { progress.note($0) })
  let steps = range.steps
  progress.note(
    "range test  \(steps) updates at rates from \(scientific(range.lowest)) to \(scientific(range.highest)), on "
      + finder.settings.model)
  let every = max(1, steps / 10)
  let report = try finder { point in
    progress.update(
      point.step, of: steps, "lr \(scientific(point.lr, 2))  loss \(fixed(point.loss, 4))",
      isMilestone: point.step == 1 || point.step == steps || point.step % every == 0)
  }
  progress.close()
  return (report, try report.write(to: workspace))
}
