import ArgumentParser
import Core
import Files
import JSON
import Pipeline
import Templating
import Tokenizing

struct Render: ParsableCommand {
  static let configuration = CommandConfiguration(
    verb: "render", abstract: "Turn conversations into text and ids by a model's chat template.",
    usage: "<FILE> [options]",
    discussion: """
      A line {"messages": […], "tools": […]} becomes {"text": …, "ids": […]}. Special tokens are recognised in the \
      template's own text, never in a message's, and nothing is added.

      The ids are those of the whole text at once, as transformers' apply_chat_template gives them. What \
      --add-generation-prompt ends is what a model is shown. An answer is trained and written after its prompt, so that no \
      token lies across the two: where one would, as with a SentencePiece tokenizer it may, the ids of an answered \
      conversation differ from those of its sample, which sft inspect data --jsonl shows.
      """,
    examples: [
      "sft render chats.jsonl --model SmolLM2-135M-Instruct --add-generation-prompt",
      "sft render - --model gpt2 --template chatml --pieces",
    ])

  struct Templating: ParsableArguments {
    @Option(
      name: .long,
      help: .takes("DIR|NAME", "\(modelWords) (default: the newest run's, else the prepared data's, else embedded)."))
    var model: String?

    @Option(
      name: .long,
      help: .takes(
        "NAME|FILE",
        """
        The model's own (model), a built-in one (\(ChatTemplate.builtInNames.joined(separator: ", "))) or a Jinja file.
        """))
    var template = "model"

    @Flag(name: .long, help: "End with what the assistant's next turn begins with.")
    var addGenerationPrompt = false

    @Flag(name: .long, help: "End where the text of the last message ends, for a model to go on with it.")
    var continueFinalMessage = false

    @Option(
      name: .long, help: .takes("JSON", "More variables for the template, such as {\"enable_thinking\": false}."))
    var variables: String?

    @Option(
      name: .long,
      help: .takes("DAY", "Today's date for templates that write it, as 2024-07-26 (default: today)."))
    var date: PinnedDate?

    @Flag(name: .long, help: "Add the pieces of the text: from the template or which message, trained by the template.")
    var pieces = false

    func validate() throws {
      if addGenerationPrompt, continueFinalMessage {
        throw ValidationError("Give --add-generation-prompt or --continue-final-message, not both.")
      }
    }

    var ending: ConversationRenderer.Ending {
      continueFinalMessage ? .text : addGenerationPrompt ? .generationPrompt : .message
    }
  }

  @Argument(help: .takes("FILE", "JSONL file; - for standard input."))
  var file: String

  @OptionGroup(title: "Template") var templating: Templating
  @OptionGroup(title: "General") var common: CommonOptions

  func run() throws {
    let progress = Progress(quiet: common.quiet)
    let variables = try extraVariables()
    let workspace = Workspace(common.workspace, remark: progress.remark) { progress.note($0) }
    let renderer = try ConversationRenderer(
      model: templating.model, template: templating.template, date: templating.date, in: workspace)
    if renderer.template.asksForDate, templating.date == nil {
      progress.note("The template writes the date: \(renderer.date). --date pins it.")
    }
    let input = try MappedFile(input: file)
    try forEachJSONLine(input) { value, line in
      let row = try RenderedRow(value, file: input.path, line: line, defaults: variables)
      let pieces = try renderer.render(row, to: templating.ending)
      print(output(pieces, renderer.ids(pieces)).serialized)
    }
    progress.close()
  }

  private func extraVariables() throws -> JSONObject {
    guard let text = templating.variables else { return JSONObject() }
    var bytes = text
    let value = try bytes.withUTF8 { try parseJSON(UnsafeRawBufferPointer($0), file: "--variables") }
    guard let object = value.object else {
      throw SFTError(.usage, "--variables is \(value.kind), and an object is expected")
    }
    return object
  }

  private func output(_ pieces: [RenderedPiece], _ ids: [Int32]) -> JSONValue {
    var members: [(key: String, value: JSONValue)] = [
      ("text", .string(pieces.text)), ("ids", .array(ids.map { .integer(Int($0)) })),
    ]
    if templating.pieces { members.append(("pieces", .array(pieces.map(Self.described)))) }
    return .object(JSONObject(members))
  }

  private static func described(_ piece: RenderedPiece) -> JSONValue {
    var members: [(key: String, value: JSONValue)] = [("text", .string(piece.text))]
    switch piece.origin {
    case .template: members.append(("origin", .string("template")))
    case .data(let message):
      members.append(("origin", .string("data")))
      if let message { members.append(("message", .integer(message))) }
    }
    if piece.inGeneration { members.append(("generation", .bool(true))) }
    return .object(JSONObject(members))
  }
}
