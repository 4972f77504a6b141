import Core
import Jinja
import JSON

/// How a model's conversations become text: its Jinja template, or one of ours by name, and the special tokens that the
/// template writes.
///
/// What is rendered is what transformers' `apply_chat_template` renders. Immutable: one may be used by many threads.
public struct ChatTemplate: Sendable {
  /// A template's text and where it stands. Models may have several; one called `tool_use` is taken where tools are given.
  public struct Source: Sendable, Equatable {
    /// `default`, `tool_use` …
    public var name: String
    public var text: String
    /// The file that holds it, or a built-in template's name.
    public var file: String

    public init(name: String = "default", text: String, file: String) {
      (self.name, self.text, self.file) = (name, text, file)
    }
  }

  /// As they were written.
  public let sources: [Source]
  /// Texts by the names that templates know them by (`bos_token`, `eos_token` …).
  public let specialTokens: [String: String]
  private let parsed: [JinjaTemplate]
  private let choice: (plain: Int, withTools: Int)

  /// A template is at most this long.
  public static let sizeLimit = 1 << 20

  /// The names of roles that templates join with marks of their own, as in `'<|' + role + '|>'`. They count as the
  /// template's text; any other role is data, and cannot become a special token.
  static let knownRoles: Set = [
    "system", "user", "assistant", "tool", "function", "developer", "ipython", "observation", "model", "environment",
    "human", "gpt", "bot", "tool_call", "tool_response", "function_call", "function_response",
  ]

  /// Throws `badData` with the file and line where a text is no template, and where none is called `default`.
  public init(_ sources: [Source], specialTokens: [String: String]) throws {
    self.sources = sources
    self.specialTokens = specialTokens
    parsed = try sources.map(Self.parse)
    let plain = sources.firstIndex { $0.name == "default" }
    let tools = sources.firstIndex { $0.name == "tool_use" }
    guard let plain = plain ?? (sources.count == 1 ? tools : nil) else {
      throw SFTError(
        .badData, "has the chat templates \(quotedList(sources.map(\.name))), and none is called \"default\"",
        file: sources.first?.file)
    }
    choice = (plain, tools ?? plain)
  }

  /// One template.
  public init(source: String, name: String, specialTokens: [String: String]) throws {
    try self.init([Source(text: source, file: name)], specialTokens: specialTokens)
  }

  private static func parse(_ source: Source) throws -> JinjaTemplate {
    guard source.text.utf8.count <= sizeLimit else {
      throw SFTError(
        .badData, "its chat template is \(byteCount(source.text.utf8.count)) long, and at most \(byteCount(sizeLimit))",
        file: source.file)
    }
    do {
      return try JinjaTemplate(source: source.text)
    } catch let error as JinjaError {
      throw SFTError(
        .badData, "its chat template is faulty: \(printable(error.message))", file: source.file, line: error.line)
    }
  }

  /// The file that holds the template, or a built-in template's name.
  public var name: String { sources[choice.plain].file }

  /// The text of all of the model's templates, for digests and records.
  public var source: String {
    sources.count == 1 ? sources[0].text : sources.map { "\($0.name)\n\($0.text)" }.joined(separator: "\n")
  }

  /// Whether the template may ask for the date, so that a pinned one must be recorded with what is rendered.
  public var asksForDate: Bool { parsed.contains { $0.mentions("strftime_now") } }

  /// Whether the template itself marks what is the assistant's, with `{% generation %}`.
  public var marksGeneration: Bool { parsed[choice.plain].marksGeneration }

  /// Renders one conversation.
  ///
  /// - `messages`: objects with `role`, `content` and whatever else the template knows; members that are null count as
  ///   missing, and `reasoning_content`, `thinking` and `reasoning` stand for one another, as in transformers.
  /// - `tools`: a list of tools' descriptions, nil for none. A model's `tool_use` template is taken when they are given.
  /// - `variables`: what else the template may ask for (`enable_thinking`, `documents`, `date_string` …); they go before
  ///   special tokens of that name.
  /// - `date`: what `strftime_now` takes for now.
  ///
  /// Throws `ChatTemplateFailure` where the template refuses or fails, and `badData` where messages or tools are not
  /// lists of objects.
  public func render(
    messages: [JSONValue], tools: JSONValue? = nil, addGenerationPrompt: Bool = false,
    variables: JSONObject = JSONObject(), date: PinnedDate
  ) throws -> [RenderedPiece] {
    try Self.check(messages, tools)
    let place = tools == nil ? choice.plain : choice.withTools
    var given: [(name: String, value: JinjaTemplate.Variable)] = [
      ("messages", .messages(messages.map(Self.prepared), knownRoles: Self.knownRoles)),
      ("tools", tools.map { .data($0) } ?? .none), ("documents", .none),
      ("add_generation_prompt", .flag(addGenerationPrompt)),
    ]
    given += specialTokens.map { ($0.key, .literal($0.value)) }
    given += variables.members.map { ($0.key, .data($0.value)) }
    do {
      return try parsed[place].render(given, date: date)
    } catch let error as JinjaError {
      throw ChatTemplateFailure(error, template: sources[place].file)
    }
  }

  private static func check(_ messages: [JSONValue], _ tools: JSONValue?) throws {
    guard !messages.isEmpty else { throw SFTError(.badData, "a conversation has no messages") }
    if let other = messages.first(where: { $0.object == nil }) {
      throw SFTError(.badData, "a message is \(other.kind) where an object is expected")
    }
    guard let tools else { return }
    guard let list = tools.array, list.allSatisfy({ $0.object != nil }) else {
      throw SFTError(.badData, "'tools' is not a list of objects")
    }
  }

  /// What transformers does to a message before it is rendered.
  private static func prepared(_ message: JSONValue) -> JSONValue {
    guard let object = message.object else { return message }
    let reasoningNames = ["reasoning_content", "thinking", "reasoning"]
    var members = object.members
    if members.contains(where: { $0.value.isNull }) { members.removeAll { $0.value.isNull } }
    guard members.contains(where: { reasoningNames.contains($0.key) }) else {
      return members.count == object.members.count ? message : .object(JSONObject(members))
    }
    let found = reasoningNames.lazy.compactMap { name in members.first { $0.key == name }?.value }.first
    guard let reasoning = found else { return .object(JSONObject(members)) }
    if !members.contains(where: { $0.key == "thinking" }) { members.insert(("thinking", reasoning), at: 0) }
    if let place = members.firstIndex(where: { $0.key == "reasoning_content" }) {
      members[place].value = reasoning
    } else {
      members.append(("reasoning_content", reasoning))
    }
    return .object(JSONObject(members))
  }
}

extension ChatTemplateFailure {
  init(_ error: JinjaError, template: String) {
    let reason: Reason =
      switch error.kind {
      case .raised: .refused
      case .limit: .exceeded
      case .runtime, .syntax: .failed
      }
    self.init(reason: reason, message: error.message, template: template, line: error.line)
  }
}
