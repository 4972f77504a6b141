import ArgumentParser
import Core
import Evaluating
import Pipeline

struct Chat: ParsableCommand {
  static let configuration = CommandConfiguration(
    verb: "chat", abstract: "Talk to a model or a run.",
    discussion: """
      A conversation goes through the model's own chat template, or the template that was chosen or trained with, turn by \
      turn. At a terminal lines can be edited, and /help lists commands: /base and /tuned switch who answers within the \
      conversation. From a pipe each line is a message, and the answers go to standard output.
      """,
    examples: [
      #"sft chat --system "Answer in Korean.""#,
      #"sft chat --model gpt2 --temperature 0.8 --max-new-tokens 300"#,
    ])

  struct Beginning: ParsableArguments {
    @Option(name: .long, help: .takes("TEXT", "What the system says before the conversation."))
    var system: String?
  }

  @OptionGroup(title: "Conversation") var beginning: Beginning
  @OptionGroup(title: "Model") var choice: AdapterChoice
  @OptionGroup(title: "Model") var model: ModelOptions
  @OptionGroup(title: "Decoding") var decoding: DecodingOptions
  @OptionGroup(title: "General") var common: CommonOptions

  func run() throws {
    let progress = Progress(quiet: common.quiet)
    let workspace = Workspace(common.workspace, remark: progress.remark, progress: progress.show) { progress.note($0) }
    let settings = try decoding.settings(note: progress.note)
    var options = InferenceOptions(model)
    options.apply(choice)
    options.rowPrecision = decoding.rounding.rowPrecision
    let session = try InferenceSession(options, workspace: workspace)
    let dialogue = try Dialogue(session, settings, system: beginning.system.flatMap { $0.isEmpty ? nil : $0 })
    progress.note("\(session.base.name) with \(session.description)")
    progress.note(try session.templateOfConversations)
    var loop = ChatLoop(dialogue, showsAnswers: !common.json) { progress.note($0) }
    try loop.run()
    if common.json { try Terminal.printJSON(ChatRecord(dialogue)) }
    progress.close()
  }
}

/// A conversation as `--messages` and the data formats take it.
private struct ChatRecord: Encodable {
  struct Message: Encodable {
    var role: String
    var content: String
  }
  var messages: [Message]

  init(_ dialogue: Dialogue) {
    messages = dialogue.messages.map { Message(role: $0.role, content: $0.text) }
  }
}
