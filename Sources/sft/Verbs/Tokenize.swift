import ArgumentParser
import Core
import Files
import JSON
import Pipeline
import Tokenizing

struct Tokenize: ParsableCommand {
  static let configuration = CommandConfiguration(
    verb: "tokenize", abstract: "Turn JSONL of {\"text\": …} into {\"ids\": […]}, or back with --decode.",
    usage: "<FILE> [options]",
    examples: ["sft tokenize texts.jsonl --model gpt2", "sft tokenize ids.jsonl --model gpt2 --decode"])

  struct Coding: ParsableArguments {
    @Option(
      name: .long,
      help: .takes(
        "DIR|NAME",
        """
        A folder with a tokenizer, a name in the local Hugging Face cache, or embedded (default: the newest run's, else \
        the prepared data's, else embedded).
        """))
    var model: String?

    @Flag(name: .long, help: "Turn {\"ids\": […]} into {\"text\": …}.")
    var decode = false

    @Flag(name: .long, help: "Recognise the text of special tokens; otherwise it stays text.")
    var special = false

    @Flag(name: .long, help: "Write what the tokenizer writes before and after a text, such as <s>.")
    var addSpecialTokens = false

    @Flag(name: .long, help: "With --decode, leave special tokens out.")
    var skipSpecialTokens = false

    func validate() throws {
      if decode, special || addSpecialTokens {
        throw ValidationError("--special and --add-special-tokens are for encoding, not for --decode.")
      }
      if skipSpecialTokens, !decode { throw ValidationError("--skip-special-tokens is for --decode.") }
    }
  }

  @Argument(help: .takes("FILE", "JSONL file; - for standard input."))
  var file: String

  @OptionGroup(title: "Tokens") var coding: Coding
  @OptionGroup(title: "General") var common: CommonOptions

  func run() throws {
    let progress = Progress(quiet: common.quiet)
    let workspace = Workspace(common.workspace, remark: progress.remark) { progress.note($0) }
    let tokenizer = try workspace.tokenizer(coding.model)
    let encoder = tokenizer.makeEncoder()
    let input = try MappedFile(input: file)
    var lost: (count: Int, line: Int)?
    try forEachJSONLine(input) { value, line in
      if !coding.decode, let count = value["text"]?.string.map(tokenizer.lostBytes), count > 0 {
        lost = ((lost?.count ?? 0) + count, lost?.line ?? line)
      }
      let place = (file: input.path, line: line)
      let result = coding.decode ? try text(value, tokenizer, place) : try ids(value, tokenizer, encoder, place)
      print(result.serialized)
    }
    if let lost { progress.note("warning: " + lostBytesWarning(lost.count, first: "\(input.path):\(lost.line)")) }
    progress.close()
  }

  private typealias Place = (file: String, line: Int)

  private func ids(
    _ value: JSONValue, _ tokenizer: Tokenizer, _ encoder: TokenEncoder, _ place: Place
  ) throws -> JSONValue {
    guard let text = value["text"]?.string else {
      throw SFTError(.badData, "has no string 'text'", file: place.file, line: place.line)
    }
    var ids: [Int32] = []
    encoder.encode([TextPiece(text: text, recognisesSpecialTokens: coding.special)], into: &ids)
    if coding.addSpecialTokens { ids = tokenizer.beginning + ids + tokenizer.ending }
    return .object(JSONObject([("ids", .array(ids.map { .integer(Int($0)) }))]))
  }

  private func text(_ value: JSONValue, _ tokenizer: Tokenizer, _ place: Place) throws -> JSONValue {
    guard let elements = value["ids"]?.array else {
      throw SFTError(.badData, "has no list 'ids'", file: place.file, line: place.line)
    }
    let ids = try elements.map { element in
      guard let id = element.int.flatMap({ Int32(exactly: $0) }) else {
        throw SFTError(.badData, "'ids' holds something that is not a token id", file: place.file, line: place.line)
      }
      return id
    }
    do {
      return .object(
        JSONObject([("text", .string(try tokenizer.decode(ids, skipSpecialTokens: coding.skipSpecialTokens)))]))
    } catch let error as SFTError {
      throw SFTError(error.kind, error.message, file: place.file, line: place.line)
    }
  }
}
