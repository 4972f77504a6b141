import ArgumentParser
import Artifacts
import Core
import Pipeline

struct Cache: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List, check or clean up the workspace's artifacts.",
    subcommands: [List.self, Verify.self, Collect.self], defaultSubcommand: List.self)

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "ls", abstract: "List the artifacts.")

    @OptionGroup var common: CommonOptions

    func run() throws {
      let progress = Progress(quiet: common.quiet)
      let workspace = Workspace(common.workspace) { progress.note($0) }
      let entries = try workspace.store.entries(references: try workspace.references())
      if common.json {
        try Terminal.printJSON(entries)
        return
      }
      if entries.isEmpty { print("no artifacts in \(workspace.path)") }
      for entry in entries {
        let users = entry.referencedBy.isEmpty ? "unused" : "used by " + entry.referencedBy.joined(separator: ", ")
        print("\(entry.stage)  \(entry.digest.short)  \(byteCount(entry.bytes))  \(entry.created)  \(users)")
      }
    }
  }

  struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Check every artifact and run against its checksums; damaged artifacts are set aside.")

    @OptionGroup var common: CommonOptions

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
          print("\(result.problem.map { "DAMAGED (\($0))" } ?? "sound")  \(result.path)  \(byteCount(result.bytes))")
        }
        if results.isEmpty { print("no artifacts in \(workspace.path)") }
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
      commandName: "gc", abstract: "Remove artifacts that no run needs, and what killed processes left.")

    @Option(name: .long, help: "Only artifacts not used for so many days.")
    var olderThan = ArtifactStore.defaultAge / 86_400

    @Flag(name: .long, help: "Only say what would be removed.")
    var dryRun = false

    @OptionGroup var common: CommonOptions

    func validate() throws {
      guard olderThan >= 0, olderThan.isFinite else { throw ValidationError("--older-than must not be negative.") }
    }

    func run() throws {
      let progress = Progress(quiet: common.quiet)
      let workspace = Workspace(common.workspace) { progress.note($0) }
      let removals = try workspace.store.collect(
        references: try workspace.references(), olderThan: olderThan * 86_400, dryRun: dryRun)
      if common.json {
        try Terminal.printJSON(removals)
        return
      }
      for removal in removals { print("\(removal.kind.rawValue)  \(removal.path)  \(byteCount(removal.bytes))") }
      let bytes = removals.reduce(0) { $0 + $1.bytes }
      print("\(removals.count) \(dryRun ? "would be removed" : "removed"), \(byteCount(bytes))")
    }
  }
}
