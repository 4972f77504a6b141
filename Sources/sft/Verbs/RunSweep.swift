import Core
import Glibc
import Pipeline
import Training

/// Trains a run for each rate with the display of it, and reports them in one table.
func runSweep(
  _ rates: [Double], _ options: TrainOptions, verb: String, _ common: CommonOptions, _ train: TrainingCommand
) throws {
  let progress = Progress(quiet: common.quiet)
  let workspace = Workspace(common.workspace, progress: progress.showOrStop) { progress.note($0) }
  Interrupt.stopsOrderly()
  // Whoever reads the progress may go; the runs go on.
  signal(SIGPIPE, SIG_IGN)
  let sweep = try LearningRateSweep(rates, options: options, workspace: workspace, verb: verb)
  var display = TrainDisplay(progress)
  var name = ""
  let result = try sweep(
    shouldStop: { Interrupt.requested },
    begin: { index in
      progress.close()
      if let line = display.timeLine { progress.note(line) }
      name = sweep.names[index]
      progress.note("run \(index + 1) of \(rates.count)   lr \(scientific(rates[index])): \(sweep.names[index])")
      display = TrainDisplay(progress)
    },
    event: { event in
      display.show(event)
      switch event {
      case .profile(let profile): progress.note(profileTable(profile))
      case .remark(let text): progress.note("Run \(name): \(text)")
      default: break
      }
    },
    train: { try train(workspace, $0, $1, $2) })
  progress.close()
  if let line = display.timeLine { progress.note(line) }
  if common.json { try Terminal.printJSON(result) } else { print(sweepTable(result, verb: verb)) }
  // Said last: the table says where.
  if result.best == nil {
    throw SFTError(.internalError, "every run diverged", advice: "Try lower rates; `sft lr-find` suggests one")
  }
}

/// A row for each rate, and what to do with the best.
private func sweepTable(_ result: SweepResult, verb: String) -> String {
  let hasValidation = result.runs.contains { $0.bestLoss != nil }
  func figure(_ value: Double?, _ decimals: Int) -> String { value.map { fixed($0, decimals) } ?? "–" }
  let head =
    ["  lr", "last loss"] + (hasValidation ? ["validation", "at step"] : []) + ["updates", "tokens/s", "run"]
  let rows = result.runs.map { run in
    [(run.run == result.best ? "* " : "  ") + scientific(run.learningRate)]
      + [run.divergedAt == nil ? figure(run.lastLoss, 4) : "diverged"]
      + (hasValidation ? [figure(run.bestLoss, 4), run.bestStep.map(String.init) ?? "–"] : [])
      + ["\(run.steps)\(run.stoppedEarly ? " (early)" : "")", figure(run.tokensPerSecond, 0), run.run]
  }
  // Names to the left, as they are read.
  let table = [head] + rows
  let nameWidth = table.map { displayWidth($0[$0.count - 1]) }.max() ?? 0
  var lines = tableLines(table.map { $0.dropLast() + [padded($0[$0.count - 1], nameWidth)] }).map(trimmedRight)
  if let best = result.best {
    let measure = hasValidation ? "lowest validation loss" : "lowest last loss, over the same records in each run"
    // A model from scratch has no base to be compared with.
    let use = verb == "pretrain" ? "sft generate --prompt TEXT" : "sft compare --questions FILE"
    lines += [
      "* \(measure). The other verbs take the newest run; for this one say", "  \(use) \(OptionName.run) \(best)",
      "  sft export --to DIR --run \(best)",
    ]
  }
  return lines.joined(separator: "\n")
}
