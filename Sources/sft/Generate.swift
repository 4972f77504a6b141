import ArgumentParser
import Core
import Evaluating
import Glibc
import Pipeline

struct Generate: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Answer an instruction, or continue a text.")

  @OptionGroup var model: ModelOptions

  @Option(name: .long, help: "Adapter folder (default: the newest run's, unless --model is given).")
  var adapter: String?

  @Flag(name: .long, help: "Let the base alone answer.")
  var base = false

  @Argument(help: "Instruction, put into the template; - reads it from standard input.")
  var question: String?

  @Option(name: .long, help: "The same as an option.")
  var instruction: String?

  @Option(name: .long, help: "The instruction's input.")
  var input: String?

  @Option(name: .long, help: "A text to continue as it is, without a template.")
  var prompt: String?

  @OptionGroup var decoding: DecodingOptions
  @OptionGroup var common: CommonOptions

  func validate() throws {
    guard [question, instruction, prompt].count(where: { $0 != nil }) == 1 else {
      throw ValidationError("Give an instruction, or --prompt for a text without a template.")
    }
    if prompt != nil, input != nil { throw ValidationError("--input goes with an instruction.") }
  }

  func run() throws {
    let progress = Progress(quiet: common.quiet)
    let workspace = Workspace(common.workspace) { progress.note($0) }
    let (asked, input) = (try textArgument(prompt ?? instruction ?? question ?? ""), try textArgument(input ?? ""))
    let settings = try decoding.settings(note: progress.note)
    var options = InferenceOptions(model)
    options.adapter = adapter
    options.baseOnly = base
    let session = try InferenceSession(options, workspace: workspace) { progress.note($0) }
    progress.note("\(session.base.name) with \(session.description)")
    let ids =
      prompt == nil
      ? session.prompt(instruction: asked, input: input) : session.prompt(text: asked)
    let generator = try Generator(session.pass, session.base.tokenizer)
    let clock = ContinuousClock()
    let start = clock.now
    let generation = try generator.generate(ids, settings) { text in
      if common.json { return }
      print(Terminal.outputIsTerminal ? printable(text) : text, terminator: "")
      fflush(nil)
    }
    if common.json { try Terminal.printJSON(generation) } else { print("") }
    let duration = (clock.now - start).components
    let seconds = Double(duration.seconds) + Double(duration.attoseconds) * 1e-18
    progress.note(
      "\(generation.token_ids.count) tokens, \(fixed(Double(generation.token_ids.count) / max(seconds, 1e-9), 1)) "
        + "tokens/s, ended by \(generation.finish_reason.rawValue)")
  }
}
