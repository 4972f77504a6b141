import Core
import JSON
import Templating
import Tokenizing

/// One conversation of a file: `{"messages": […], "tools": …}`.
public struct RenderedRow: Sendable {
  public var messages: [JSONValue]
  public var tools: JSONValue?
  /// What the template gets beside them: `documents`, and the members of `chat_template_kwargs`.
  public var variables: JSONObject
  public var file: String
  public var line: Int

  /// `tools` may be a list or JSON text of one, as in TRL's data sets. The row's own variables go before `defaults`.
  public init(_ value: JSONValue, file: String, line: Int, defaults: JSONObject = JSONObject()) throws {
    func fault(_ words: String) -> SFTError { SFTError(.badData, words, file: file, line: line) }
    guard let messages = value["messages"]?.array else { throw fault("has no list 'messages'") }
    self.messages = messages
    switch value["tools"] {
    case nil, .null: tools = nil
    case .string(var text):
      tools = try text.withUTF8 { try parseJSON(UnsafeRawBufferPointer($0), file: file, firstLine: line) }
    case .some(let list): tools = list
    }
    var members = defaults.members
    func set(_ key: String, _ value: JSONValue) {
      members.removeAll { $0.key == key }
      members.append((key, value))
    }
    for member in value["chat_template_kwargs"]?.object?.members ?? [] { set(member.key, member.value) }
    if let documents = value["documents"], !documents.isNull { set("documents", documents) }
    variables = JSONObject(members)
    self.file = file
    self.line = line
  }
}

/// Conversations → text → ids, by one model's template and tokenizer. Not for use by two threads at once.
public struct ConversationRenderer {
  public let template: ChatTemplate
  public let date: PinnedDate
  private let encoder: TokenEncoder

  /// `template` is what `prepare` takes for conversations: `model`, a built-in template's name, or a file. `date` is what it
  /// takes for today's; nil for today.
  public init(model: String?, template: String, date: PinnedDate?, in workspace: Workspace) throws {
    let location = try workspace.tokenizerLocation(model)
    encoder = try Tokenizer(folder: location.folder).makeEncoder()
    let layout = try RecordLayout(named: template, folder: location.folder, date: date ?? .today)
    guard case .chat(let chosen, let date) = layout.template else {
      throw SFTError(
        .usage, "\"\(template)\" is no chat template",
        advice: "Give a Jinja file, or one of \(ChatTemplate.builtInNames.joined(separator: ", "))")
    }
    (self.template, self.date) = (chosen, date)
  }

  /// What a text ends with.
  public enum Ending: Sendable {
    /// What ends its last message.
    case message
    /// What the assistant's next turn begins with.
    case generationPrompt
    /// What its last message says, for a model to go on with.
    case text
  }

  /// Throws `badData` with the row's file and line where the template refuses or fails, or what is to be gone on with is
  /// not there.
  public func render(_ row: RenderedRow, to ending: Ending) throws -> [RenderedPiece] {
    do {
      if ending == .text {
        guard let continued = ContinuedMessage(row.messages) else {
          throw SFTError(.badData, "the last message has no text to go on with")
        }
        return try continued.cut(
          try template.render(
            messages: continued.messages, tools: row.tools, variables: row.variables, date: date))
      }
      return try template.render(
        messages: row.messages, tools: row.tools, addGenerationPrompt: ending == .generationPrompt,
        variables: row.variables,
        date: date)
    } catch let failure as ChatTemplateFailure {
      throw failure.error(file: row.file, line: row.line)
    } catch let error as SFTError {
      throw SFTError(error.kind, error.message, file: row.file, line: row.line, advice: error.advice)
    }
  }

  /// Special tokens are recognised in the template's own text only, and nothing is added.
  public func ids(_ pieces: [RenderedPiece]) -> [Int32] {
    var ids: [Int32] = []
    encoder.encode(
      pieces.map { TextPiece(text: $0.text, recognisesSpecialTokens: $0.isLiteral) }, into: &ids)
    return ids
  }
}
