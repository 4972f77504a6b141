import ArgumentParser
import Core
import Files
import Pipeline
import Training

struct Runs: ParsableCommand {
  static let configuration = CommandConfiguration(
    verb: "runs", abstract: "List the runs of the workspace, the newest last; or a run's metrics as CSV.",
    examples: ["sft runs", "sft runs --csv run-1"])

  struct Metrics: ParsableArguments {
    @Option(
      name: .long,
      help: .takes(
        "RUN", "Print this run's metrics as CSV: one row an update, with the validation after it; no sample answers."))
    var csv: String?
  }

  @OptionGroup(title: "Metrics") var metrics: Metrics
  @OptionGroup(title: "General") var common: CommonOptions

  private struct Row: Encodable {
    var name: String
    var path: String
    var model: String
    var steps: Int
    var finished: Bool
    var checkpoints: [Int]
    var has_best: Bool
    var method: TrainingMethod
    /// Of the adapter, where one is trained.
    var r: Int?
    var learning_rate: Double
  }

  func validate() throws {
    if metrics.csv != nil, common.json { throw ValidationError("Give --csv or --json, not both.") }
  }

  func run() throws {
    let progress = Progress(quiet: common.quiet)
    let workspace = Workspace(common.workspace) { progress.note($0) }
    if let csv = metrics.csv {
      if let run = try workspace.recordedRun(csv) { print(try run.metricsCSV(), terminator: "") }
      return
    }
    let rows = try workspace.runs().map { run in
      Row(
        name: run.folder.name, path: run.folder.path, model: run.configuration.model,
        steps: run.configuration.settings.steps, finished: fileExists(run.folder.finishedMark),
        checkpoints: run.folder.checkpointSteps(), has_best: directoryExists(run.folder.best),
        method: run.configuration.settings.method, r: run.configuration.settings.lora?.rank,
        learning_rate: run.configuration.settings.schedule.learningRate)
    }
    if common.json {
      try Terminal.printJSON(rows)
      return
    }
    if rows.isEmpty { Terminal.show("no runs in \(workspace.runsPath)") }
    for row in rows {
      let state =
        row.finished
        ? "finished" : row.checkpoints.last.map { "stopped, checkpoint at \($0)" } ?? "stopped, no checkpoint"
      Terminal.show(
        "\(row.name)  \(state) of \(row.steps) updates, \(row.r.map { "r \($0)" } ?? row.method.rawValue), lr \(row.learning_rate), on \(row.model)"
          + (row.has_best ? ", has best" : ""))
    }
  }
}
