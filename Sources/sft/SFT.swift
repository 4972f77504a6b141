import ArgumentParser
import CProcess
import Core
import Files
import Glibc

@main
struct SFT: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sft",
    abstract: "Instruction fine-tuning of language models on a CPU.",
    discussion: """
      The usual way:
        sft prepare alpaca.jsonl --model gpt2
        sft train --lora-r 16
        sft compare --questions eval.txt
        sft export --format peft --to out/
      """,
    version: "sft 0.1.0",
    subcommands: [
      Prepare.self, Inspect.self, Tokenize.self, TokenizerCommand.self, LRFind.self, Train.self, Pretrain.self,
      Eval.self, Generate.self, Compare.self, Export.self,
      Quantize.self, Report.self, Runs.self, Cache.self, Doctor.self,
    ])

  /// Errors of ours are one line on standard error and an exit code from `SFTError.Kind`; the parser's own are its own.
  static func main() {
    Terminal.openMissingStreams()
    signal(SIGPIPE, SIG_DFL)
    // A limit on file sizes is then an error of the write.
    signal(SIGXFSZ, SIG_IGN)
    Interrupt.exitsAtOnce()
    MappedFile.watch()
    do {
      var command = try parseAsRoot(arguments())
      try command.run()
      try Terminal.finish()
    } catch let error as SFTError {
      Terminal.write("error: \(error)\n")
      fflush(nil)
      Glibc.exit(error.kind.rawValue)
    } catch {
      exit(withError: error)
    }
  }
}

/// As the process was started; nil leaves it to Swift's library, which reads them from `/proc` and has none where that is
/// not mounted.
private func arguments() -> [String]? {
  var count: Int32 = 0
  guard let values = sft_arguments(&count), count > 0 else { return nil }
  return (1..<Int(count)).compactMap { values[$0].map { String(cString: $0) } }
}

/// What `--model` takes.
let modelWords = """
  Model folder, a name in the local Hugging Face cache, or embedded: the model inside sft; a folder of that name is \
  ./embedded
  """

/// Where the artifacts and runs are, and how much is said.
struct CommonOptions: ParsableArguments {
  @Option(name: .long, help: "Folder of artifacts and runs (default: $SFT_WORKSPACE, else .sft).")
  var workspace: String?

  @Flag(name: .long, help: "No progress and no notes on standard error.")
  var quiet = false

  @Flag(name: .long, help: "One machine-readable value on standard output.")
  var json = false
}

/// Which model, adapter and template to use.
struct ModelOptions: ParsableArguments {
  @Option(name: .long, help: "\(modelWords) (default: the newest run's, else the prepared data's, else embedded).")
  var model: String?

  @Option(name: .long, help: "Run whose adapter to use (default: the newest).")
  var run: String?

  @Option(name: .long, help: "Use the run's checkpoint of step N instead of its best or last weights.")
  var checkpoint: Int?

  @Option(name: .long, help: "Shipped template or template file (default: the newest run's, else alpaca).")
  var template: String?

  @OptionGroup var quantization: QuantizationFlags

  @Flag(name: .long, help: "Use an adapter although it was trained on another base.")
  var force = false

  @Option(name: .long, help: "Threads (default: the cores this process may use).")
  var threads: Int?
}
