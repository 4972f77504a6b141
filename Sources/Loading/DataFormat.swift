/// The shapes that records come in, told apart by the names of their members.
public enum DataFormat: String, Sendable, Codable, CaseIterable {
  /// `messages`: a list of role and content.
  case messages
  /// `conversations`: a list of from and value.
  case sharegpt
  /// `prompt` and `completion`, as texts or as lists of messages.
  case completion
  /// `instruction`, perhaps `input`, `system` and `history`, and `output`.
  case alpaca
  /// A question and an answer under one of their usual names.
  case qa
  /// `text`.
  case text

  /// Members that hold a conversation's messages.
  static let listNames: Set = ["messages", "conversations", "conversation"]

  /// In words.
  public var words: String {
    switch self {
    case .messages: "conversations (messages)"
    case .sharegpt: "conversations (ShareGPT)"
    case .completion: "prompts and completions"
    case .alpaca: "instructions (Alpaca)"
    case .qa: "questions and answers"
    case .text: "texts"
    }
  }

  /// The format of records with these members, the first of these in order of preference: a record of messages often has
  /// a prompt too, and an instruction a ready-made text. nil where the names tell nothing.
  init?(members names: Set<String>) {
    let hasPair = { (a: String, b: String) in names.contains(a) && names.contains(b) }
    if names.contains("messages") {
      self = .messages
    } else if names.contains("conversations") || names.contains("conversation") {
      self = .sharegpt
    } else if hasPair("prompt", "completion") {
      self = .completion
    } else if hasPair("instruction", "output") {
      self = .alpaca
    } else if QuestionNames(in: names) != nil {
      self = .qa
    } else if names.contains("text") {
      self = .text
    } else {
      return nil
    }
  }
}

/// What the members of a question and its answer are called.
struct QuestionNames: Equatable {
  var question: String
  var answer: String

  private static let usual = [
    ("question", "answer"), ("query", "response"), ("problem", "solution"), ("질문", "답변"), ("instruction", "response"),
    ("prompt", "response"), ("question", "response"), ("query", "answer"), ("problem", "answer"), ("input", "output"),
  ]

  init?(in names: Set<String>) {
    guard let pair = Self.usual.first(where: { names.contains($0.0) && names.contains($0.1) }) else { return nil }
    (question, answer) = pair
  }
}
