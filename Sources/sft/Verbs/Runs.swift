import ArgumentParser
import Core
import Files
import Glibc
import Pipeline
import Training

struct Runs: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List, show or remove the runs of the workspace; or give a run's metrics as CSV.",
    usage: "sft runs [ls|show|rm] [options]", subcommands: [List.self, Show.self, Remove.self],
    defaultSubcommand: List.self)

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      verb: "runs ls", abstract: "List the runs, the newest last; or give a run's metrics as CSV.",
      examples: ["sft runs ls", "sft runs ls --csv run-1"])

    struct Metrics: ParsableArguments {
      @Option(
        name: .long,
        help: .takes(
          "RUN", "Print this run's metrics as CSV: one row an update, with the validation after it; no sample answers.")
      )
      var csv: String?
    }

    @OptionGroup(title: "Metrics") var metrics: Metrics
    @OptionGroup(title: "General") var common: CommonOptions

    func validate() throws {
      if metrics.csv != nil, common.json { throw ValidationError("Give --csv or --json, not both.") }
    }

    func run() throws {
      let workspace = common.openWorkspace()
      if let csv = metrics.csv {
        if let run = try workspace.recordedRun(csv) { print(try run.metricsCSV(), terminator: "") }
        return
      }
      let runs = try workspace.overviews()
      if common.json {
        try Terminal.printJSON(runs)
      } else if runs.isEmpty {
        Terminal.show("no runs in \(workspace.runsPath)")
      } else {
        Terminal.show(runsTable(runs))
      }
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
      verb: "runs show", abstract: "Show one run.", usage: "<RUN> [options]",
      examples: ["sft runs show run-1", "sft runs show run-1 --json"])

    @Argument(help: .takes("RUN", "The run's name."))
    var name: String

    @OptionGroup(title: "General") var common: CommonOptions

    func run() throws {
      let workspace = common.openWorkspace()
      guard let run = try workspace.recordedRun(name) else { return }
      let overview = try RunOverview(run, in: workspace)
      if common.json { try Terminal.printJSON(overview) } else { Terminal.show(try runLines(overview, run)) }
    }
  }

  struct Remove: ParsableCommand {
    static let configuration = CommandConfiguration(
      verb: "runs rm", abstract: "Remove runs with their weights and checkpoints.", usage: "<RUN> ... [options]",
      examples: ["sft runs rm run-1", "sft runs rm run-1 run-2 --yes"])

    struct Consent: ParsableArguments {
      @Flag(name: .shortAndLong, help: "Do not ask; needed where nobody can be asked.")
      var yes = false
    }

    @Argument(help: .takes("RUN", "The runs' names."))
    var names: [String]

    @OptionGroup(title: "Removing") var consent: Consent
    @OptionGroup(title: "General") var common: CommonOptions

    func run() throws {
      let workspace = common.openWorkspace()
      // Nothing is removed where a name is wrong.
      let folders = try names.map { try workspace.existingRun($0) }
      guard consent.yes || (isatty(STDIN_FILENO) == 1 && Terminal.errorIsTerminal) else {
        throw SFTError(
          .usage, "nobody can be asked whether to remove \(names.joined(separator: ", "))", advice: "Give --yes")
      }
      var removed: [String] = []
      for folder in folders where consent.yes || agrees(to: folder) {
        try workspace.removeRun(folder.name)
        removed.append(folder.name)
        if !common.json { Terminal.show("removed \(folder.path)") }
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
