import ArgumentParser
import Core
import Files
import Pipeline
import Training

struct Runs: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List the runs of the workspace, the newest last; or a run's metrics as CSV.")

  @Option(
    name: .long,
    help: "Print this run's metrics as CSV: one row an update, with the validation after it; no sample answers.")
  var csv: String?

  @OptionGroup var common: CommonOptions

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
    if csv != nil, common.json { throw ValidationError("Give --csv or --json, not both.") }
  }

  func run() throws {
    let progress = Progress(quiet: common.quiet)
    let workspace = Workspace(common.workspace) { progress.note($0) }
    if let csv {
      if let run = try workspace.recordedRun(csv) { print(try run.metricsCSV(), terminator: "") }
      return
    }
    let rows = try workspace.runs().map { run in
      Row(
        name: run.folder.name, path: run.folder.path, model: run.configuration.model,
        steps: run.configuration.settings.steps, finished: try fileExists(run.folder.finishedMark),
        checkpoints: run.folder.checkpointSteps(), has_best: try directoryExists(run.folder.best),
        method: run.configuration.settings.method, r: run.configuration.settings.lora?.rank,
        learning_rate: run.configuration.settings.schedule.learningRate)
    }
    if common.json {
      try Terminal.printJSON(rows)
      return
    }
    if rows.isEmpty { print("no runs in \(workspace.runsPath)") }
    for row in rows {
      let state =
        row.finished
        ? "finished" : row.checkpoints.last.map { "stopped, checkpoint at \($0)" } ?? "stopped, no checkpoint"
      print(
        "\(row.name)  \(state) of \(row.steps) updates, \(row.r.map { "r \($0)" } ?? row.method.rawValue), lr \(row.learning_rate), on \(row.model)"
          + (row.has_best ? ", has best" : ""))
    }
  }
}
