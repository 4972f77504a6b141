import Core
import JSON
import Jinja

/// How a model's conversations become text: its Jinja template, or one of ours by name, and the special tokens that the
/// template writes.
///
/// What is rendered is what transformers' `apply_chat_template` renders. Immutable: one may be used by many threads.
public struct ChatTemplate: Sendable {
  /// The file that holds it, or a built-in template's name.
  public let name: String
  /// The template as it was written, for digests and records.
  public let source: String

  /// `specialTokens`: texts by the names that templates know them by (`bos_token`, `eos_token` …).
  ///
  /// Throws `badData` with `name` and the line where the text is no template.
  public init(source: String, name: String, specialTokens: [String: String]) throws {
    self.source = source
    self.name = name
    _ = specialTokens
  }

  /// Whether the template asks for the date, so that a pinned one must be recorded with what was rendered.
  public var asksForDate: Bool { source.contains("strftime_now") }

  /// Whether the template itself marks what is the assistant's, with `{% generation %}`.
  public var marksGeneration: Bool { false }

  /// Renders one conversation.
  ///
  /// - `messages`: objects with `role`, `content` and whatever else the template knows; members that are null count as
  ///   missing, and `reasoning_content`, `thinking` and `reasoning` stand for one another, as in transformers.
  /// - `tools`: a list of tools' descriptions, nil for none. A model's `tool_use` template is taken when they are given.
  /// - `variables`: what else the template may ask for (`enable_thinking`, `documents`, `date_string` …); they go before
  ///   special tokens of that name.
  /// - `date`: what `strftime_now` takes for now.
  ///
  /// Throws `ChatTemplateFailure` where the template refuses or fails.
  public func render(
    messages: [JSONValue], tools: JSONValue? = nil, addGenerationPrompt: Bool = false,
    variables: JSONObject = JSONObject(), date: PinnedDate
  ) throws -> [RenderedPiece] {
    []
  }
}

extension ChatTemplate {
  /// The template of a model folder: `chat_template.jinja` and `additional_chat_templates/*.jinja`, else what
  /// `tokenizer_config.json` holds as `chat_template`. nil where the model has none.
  public static func of(folder: String) throws -> ChatTemplate? { nil }

  /// Names of the built-in templates.
  public static var builtInNames: [String] { [] }

  /// The built-in template of that name, with the special tokens of the model in `folder`.
  public static func builtIn(_ name: String, folder: String) throws -> ChatTemplate? { nil }
}
