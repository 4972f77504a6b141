import ArgumentParser
import CProcess
import Core
import Files
import Glibc
import Pipeline

@main
package struct SFT: ParsableCommand {
  package static let configuration = CommandConfiguration(
    commandName: "sft",
    abstract: "Instruction fine-tuning of language models on a CPU.",
    usage: "sft <verb> [options]",
    discussion: """
      The usual way:
        sft prepare alpaca.jsonl --model gpt2
        sft train --lora-r 16
        sft compare --questions eval.txt
        sft export --format peft --to out/
      """,
    version: "sft 0.1.0",
    subcommands: [
      Fetch.self, Prepare.self, Train.self, Plan.self, Compare.self, Export.self, Generate.self, Chat.self, Serve.self,
      Eval.self,
      LRFind.self, Report.self, Runs.self, Inspect.self, Quantize.self, Pretrain.self, TokenizerCommand.self,
      Tokenize.self,
      Render.self, ConfigCommand.self, Cache.self, Doctor.self, Manual.self,
    ])

  package init() {}

  /// Without a verb: what can be done next.
  package func run() throws {
    let next = try Workspace(nil, progress: { _ in }) { _ in }.nextStep()
    let width = next.commands.map { displayWidth($0.command) }.max() ?? 0
    Terminal.show(next.state + ".\n")
    for (command, what) in next.commands { Terminal.show("  " + padded(command, width) + "   " + what) }
    Terminal.show("\n`sft --help` shows all verbs, `sft help VERB` the options of one.")
  }

  /// Errors are a line or two on standard error, and an exit code from `SFTError.Kind`.
  package static func main() {
    Terminal.openMissingStreams()
    signal(SIGPIPE, SIG_DFL)
    // A limit on file sizes is then an error of the write.
    signal(SIGXFSZ, SIG_IGN)
    Interrupt.exitsAtOnce()
    MappedFile.watch()
    let typed = TypedArguments(arguments())
    do {
      try typed.checkVerb()
      try Ranks.join(typed)
      let asked = try typed.withSettings()
      GivenSettings.current = asked.settings
      var command = try parseAsRoot(asked.arguments)
      if let shown = asked.shown { print(shown, terminator: "") } else { try command.run() }
      try Terminal.finish()
      Ranks.end(code: 0)
    } catch {
      // Help, the version and the scripts for completion are no failures.
      if !(error is SFTError), exitCode(for: error) == .success { exit(withError: error) }
      Failure(error, typed).exit(asJSON: typed.wantsJSON)
    }
  }
}

/// As the process was started; those of Swift's library are read from `/proc`, and none where that is not mounted.
private func arguments() -> [String] {
  var count: Int32 = 0
  guard let values = sft_arguments(&count), count > 0 else { return Array(CommandLine.arguments.dropFirst()) }
  return (1..<Int(count)).compactMap { values[$0].map { String(cString: $0) } }
}
