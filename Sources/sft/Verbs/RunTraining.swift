import Core
import Glibc
import Pipeline
import Training

/// Runs a training with the display of it, stops it in order when asked to, and reports how it ended.
func runTraining(_ common: CommonOptions, _ train: TrainingCommand) throws {
  let progress = Progress(quiet: common.quiet)
  let workspace = Workspace(common.workspace, progress: progress.showOrStop) { progress.note($0) }
  Interrupt.stopsOrderly()
  // Whoever reads the progress may go; the run goes on.
  signal(SIGPIPE, SIG_IGN)
  if Ranks.session == nil, let remark = domainRemark() { progress.note(remark) }
  let display = TrainDisplay(progress)
  let (folder, outcome) = try train(workspace, nil, nil) { display.show($0) }
  progress.close()
  if let outcome, outcome.interrupted {
    throw SFTError(
      .interrupted, "stopped after step \(outcome.steps); a checkpoint is saved",
      advice: "Go on with `\(display.resumeCommand ?? "sft train --run \(folder.name) --resume")`")
  }
  if common.json {
    try Terminal.printJSON(TrainReport(run: folder.name, path: folder.path, outcome: outcome, display))
  } else if let outcome {
    Terminal.show(display.summary(folder, outcome))
  }
}

/// Runs the training; of a sweep with the options of one of its runs, and another run of it that is there.
typealias TrainingCommand = (
  _ workspace: Workspace, _ options: TrainOptions?, _ sibling: RecordedRun?, _ event: @escaping (TrainEvent) -> Void
) throws -> (RunFolder, TrainingOutcome?)

private struct TrainReport: Encodable {
  var run: String
  var path: String
  var steps: Int?
  var stopped_early: Bool?
  var best_loss: Double?
  var best_step: Int?
  /// Of this command.
  var trainingSeconds: Double?
  var validationSeconds: Double?
  /// What the user should know of the losses.
  var remarks: [String]
  var profile: Profile?

  init(run: String, path: String, outcome: TrainingOutcome?, _ display: TrainDisplay) {
    self.run = run
    self.path = path
    steps = outcome?.steps
    stopped_early = outcome?.stoppedEarly
    best_loss = outcome?.bestLoss
    best_step = outcome?.bestStep
    if outcome != nil {
      (trainingSeconds, validationSeconds) = (display.trainingSeconds, display.validationSeconds)
    }
    remarks = display.remarks
    profile = display.profile
  }
}
