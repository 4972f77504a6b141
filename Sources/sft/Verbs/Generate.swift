import ArgumentParser
import Core
import Evaluating
import Files
import Generating
import Glibc
import Loading
import Pipeline

struct Generate: ParsableCommand {
  static let configuration = CommandConfiguration(
    verb: "generate", abstract: "Answer an instruction, or continue a text.",
    examples: [
      #"sft generate "What is the Korean word for pear?""#,
      #"sft generate --model gpt2 --prompt "Once upon" --temperature 0.8 --top-p 0.95"#,
    ])

  struct Question: ParsableArguments {
    @Argument(help: .takes("TEXT", "Instruction, put into the template; - reads it from standard input."))
    var question: String?

    @Option(name: .long, help: .takes("TEXT", "The same as an option."))
    var instruction: String?

    @Option(name: .long, help: .takes("TEXT", "The instruction's input."))
    var input: String?

    @Option(name: .long, help: .takes("TEXT", "A text to continue as it is, without a template."))
    var prompt: String?

    @Option(
      name: .long,
      help: .takes(
        "FILE",
        """
        A conversation to answer, or to go on with where its last turn is the assistant's: JSON with messages, perhaps \
        tools; - for standard input.
        """))
    var messages: String?

    func validate() throws {
      guard [question, instruction, prompt, messages].count(where: { $0 != nil }) == 1 else {
        throw ValidationError("Give an instruction, --messages, or --prompt for a text without a template.")
      }
      if messages != nil, input != nil { throw ValidationError("--input goes with an instruction.") }
      if prompt != nil, input != nil { throw ValidationError("--input goes with an instruction.") }
    }
  }

  @OptionGroup(title: "Question") var question: Question
  @OptionGroup(title: "Model") var choice: AdapterChoice
  @OptionGroup(title: "Model") var model: ModelOptions
  @OptionGroup(title: "Decoding") var decoding: DecodingOptions
  @OptionGroup(title: "General") var common: CommonOptions

  func run() throws {
    let progress = Progress(quiet: common.quiet)
    let workspace = Workspace(common.workspace, remark: progress.remark, progress: progress.show) { progress.note($0) }
    let asked = try textArgument(question.prompt ?? question.instruction ?? question.question ?? "")
    let input = try textArgument(question.input ?? "")
    let settings = try decoding.settings(note: progress.note)
    var options = InferenceOptions(model)
    options.apply(choice)
    options.rowPrecision = decoding.rounding.rowPrecision
    let session = try InferenceSession(options, workspace: workspace)
    progress.note("\(session.base.name) with \(session.description)")
    let prompt =
      if let file = question.messages {
        try session.prompt(try readConversation(try MappedFile(input: file)))
      } else if question.prompt != nil {
        session.prompt(text: asked)
      } else {
        try session.prompt(instruction: asked, input: input)
      }
    let generator = try Generator(session.pass, session.base.tokenizer, endTokens: prompt.endTokens)
    let clock = ContinuousClock()
    let start = clock.now
    let generation = try generator.generate(prompt.ids, settings) { text in
      if common.json { return }
      print(Terminal.outputIsTerminal ? printable(text) : text, terminator: "")
      fflush(nil)
    }
    if common.json { try Terminal.printJSON(generation) } else { print("") }
    let duration = (clock.now - start).components
    let seconds = Double(duration.seconds) + Double(duration.attoseconds) * 1e-18
    progress.note(
      "\(generation.tokenIds.count) tokens, \(fixed(Double(generation.tokenIds.count) / max(seconds, 1e-9), 1)) "
        + "tokens/s, ended by \(generation.finishReason.rawValue)")
    progress.close()
  }
}
