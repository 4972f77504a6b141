import ArgumentParser
import Artifacts
import Core
import Pipeline

struct Cache: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List, check or clean up the workspace's artifacts.", usage: "sft cache [ls|verify|gc] [options]",
    subcommands: [List.self, Verify.self, Collect.self], defaultSubcommand: List.self)

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      verb: "cache ls", abstract: "List the artifacts.", examples: ["sft cache ls", "sft cache ls --json"])

    @OptionGroup(title: "General") var common: CommonOptions

    func run() throws {
      let progress = Progress(quiet: common.quiet)
      let workspace = Workspace(common.workspace) { progress.note($0) }
      let entries = try workspace.store.entries(references: try workspace.references())
      if common.json {
        try Terminal.printJSON(entries)
        return
      }
      if entries.isEmpty { Terminal.show("no artifacts in \(workspace.path)") }
      for entry in entries {
        let users = entry.referencedBy.isEmpty ? "unused" : "used by " + entry.referencedBy.joined(separator: ", ")
        Terminal.show("\(entry.stage)  \(entry.digest.short)  \(byteCount(entry.bytes))  \(entry.created)  \(users)")
      }
    }
  }

  struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
      verb: "cache verify",
      abstract: "Check every artifact and run against its checksums; damaged artifacts are set aside.",
      examples: ["sft cache verify", "sft cache verify --workspace experiments/.sft"])

    @OptionGroup(title: "General") var common: CommonOptions

    func run() throws {
      let progress = Progress(quiet: common.quiet)
      let workspace = Workspace(common.workspace) { progress.note($0) }
      let artifacts = try workspace.store.verify()
      let runs = try workspace.verifyRuns()
      let results = artifacts + runs
      if common.json {
        try Terminal.printJSON(results)
      } else {
        for result in results {
          let state = result.problem.map { "DAMAGED (\($0))" } ?? "sound"
          Terminal.show("\(state)  \(result.path)  \(byteCount(result.bytes))")
        }
        if results.isEmpty { Terminal.show("no artifacts in \(workspace.path)") }
      }
      let (damaged, damagedRuns) = (artifacts.count { $0.problem != nil }, runs.count { $0.problem != nil })
      if damaged > 0 {
        throw SFTError(
          .badData, "\(damaged) of \(artifacts.count) artifacts were damaged and set aside",
          advice: "The command that made them makes them again")
      }
      if damagedRuns > 0 {
        throw SFTError(
          .badData, "\(damagedRuns) of \(runs.count) parts of runs are damaged",
          advice: "What a sound checkpoint has, `sft train --run NAME --resume` takes from it")
      }
    }
  }

  struct Collect: ParsableCommand {
    static let configuration = CommandConfiguration(
      verb: "cache gc", abstract: "Remove artifacts that no run needs, and what killed processes left.",
      examples: ["sft cache gc --dry-run", "sft cache gc --older-than 7"])

    struct Choice: ParsableArguments {
      @Option(name: .long, help: .takes("DAYS", "Only artifacts not used for so many days."))
      var olderThan = ArtifactStore.defaultAge / 86_400

      @Flag(name: .long, help: "Only say what would be removed.")
      var dryRun = false

      func validate() throws { try nonNegative(olderThan, "--older-than") }
    }

    @OptionGroup(title: "What to remove") var choice: Choice

    @OptionGroup(title: "General") var common: CommonOptions

    func run() throws {
      let progress = Progress(quiet: common.quiet)
      let workspace = Workspace(common.workspace) { progress.note($0) }
      let removals = try workspace.store.collect(
        references: try workspace.references(), olderThan: choice.olderThan * 86_400,
        dryRun: choice.dryRun)
      if common.json {
        try Terminal.printJSON(removals)
        return
      }
      for removal in removals {
        Terminal.show("\(removal.kind.rawValue)  \(removal.path)  \(byteCount(removal.bytes))")
      }
      let bytes = removals.reduce(0) { $0 + $1.bytes }
      print("\(removals.count) \(choice.dryRun ? "would be removed" : "removed"), \(byteCount(bytes))")
    }
  }
}
