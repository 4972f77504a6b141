import ArgumentParser
import Core
import Files
import Glibc
import Pipeline
import Training

struct Runs: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List, show or remove the runs of the workspace; or give a run's metrics as CSV.",
    subcommands: [List.self, Show.self, Remove.self], defaultSubcommand: List.self)

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "ls", abstract: "List the runs, the newest last.")

    @Option(
      name: .long,
      help: "Print this run's metrics as CSV: one row an update, with the validation after it; no sample answers.")
    var csv: String?

    @OptionGroup var common: CommonOptions

    func validate() throws {
      if csv != nil, common.json { throw ValidationError("Give --csv or --json, not both.") }
    }

    func run() throws {
      let workspace = common.openWorkspace()
      if let csv {
        if let run = try workspace.recordedRun(csv) { print(try run.metricsCSV(), terminator: "") }
        return
      }
      let runs = try workspace.overviews()
      if common.json {
        try Terminal.printJSON(runs)
      } else if runs.isEmpty {
        print("no runs in \(workspace.runsPath)")
      } else {
        print(runsTable(runs))
      }
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show one run.")

    @Argument(help: "The run's name.")
    var name: String

    @OptionGroup var common: CommonOptions

    func run() throws {
      let workspace = common.openWorkspace()
      guard let run = try workspace.recordedRun(name) else { return }
      let overview = try RunOverview(run, in: workspace)
      if common.json { try Terminal.printJSON(overview) } else { print(runLines(overview, run)) }
    }
  }

  struct Remove: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "rm", abstract: "Remove runs with their weights and checkpoints.")

    @Argument(help: "The runs' names.")
    var names: [String]

    @Flag(name: .shortAndLong, help: "Do not ask; needed where nobody can be asked.")
    var yes = false

    @OptionGroup var common: CommonOptions

    func run() throws {
      let workspace = common.openWorkspace()
      // Nothing is removed where a name is wrong.
      let folders = try names.map { try workspace.existingRun($0) }
      guard yes || (isatty(STDIN_FILENO) == 1 && Terminal.errorIsTerminal) else {
        throw SFTError(
          .usage, "nobody can be asked whether to remove \(names.joined(separator: ", "))", advice: "Give --yes")
      }
      var removed: [String] = []
      for folder in folders where yes || agrees(to: folder) {
        try workspace.removeRun(folder.name)
        removed.append(folder.name)
        if !common.json { print("removed \(folder.path)") }
      }
      if common.json { try Terminal.printJSON(removed) }
    }

    private func agrees(to folder: RunFolder) -> Bool {
      Terminal.write("Remove \(folder.path) with all that is in it? [y/N] ")
      return ["y", "yes"].contains(readLine()?.lowercased())
    }
  }
}

extension CommonOptions {
  /// With remarks on standard error, unless it is to be quiet.
  func openWorkspace() -> Workspace {
    let progress = Progress(quiet: quiet)
    return Workspace(workspace) { progress.note($0) }
  }
}
