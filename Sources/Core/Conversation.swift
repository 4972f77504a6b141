/// A record as loaded and validated: who says what in which order, and the tools that may be called.
///
/// A record of any data format becomes one: an Alpaca record is a user's turn and the assistant's, plain text a single
/// turn that is completed.
public struct Conversation: Sendable, Equatable {
  /// How a record is laid out where no chat template is: `text` has no roles, so that no template applies to it.
  public enum Form: UInt8, Sendable {
    /// Instruction, input and output, perhaps after others: for a prompt template, or a chat template.
    case instruction = 0
    /// Messages, for a chat template.
    case messages = 1
    /// A prompt and its completion as texts, for any template or none.
    case completion = 2
    /// One text, all of which is trained.
    case text = 3
  }

  public struct Turn: Sendable, Equatable {
    /// As chat templates know it: `system`, `user`, `assistant`, `tool` or what the message has.
    public var role: String
    /// nil where a message has none, as one that only calls tools.
    public var content: String?
    /// What an Alpaca record gives beside the instruction; empty elsewhere.
    public var input: String
    /// The message's other members as the text of a JSON object; empty where it has none.
    public var members: String
    /// The record itself says that no loss is taken on it.
    public var isExcluded: Bool

    public init(
      role: String, content: String?, input: String = "", members: String = "", isExcluded: Bool = false
    ) {
      self.role = role
      self.content = content
      self.input = input
      self.members = members
      self.isExcluded = isExcluded
    }

    /// What the turn says: instruction and input on lines of their own.
    public var text: String { input.isEmpty ? content ?? "" : "\(content ?? "")\n\(input)" }
  }

  public var form: Form
  public var turns: [Turn]
  /// The text of a JSON array of tools' descriptions; empty where there are none.
  public var tools: String
  /// Index into the list of files that were loaded together.
  public var file: Int
  /// 1-based line at which the record starts in its file.
  public var line: Int

  public init(form: Form, turns: [Turn], tools: String = "", file: Int = 0, line: Int = 0) {
    self.form = form
    self.turns = turns
    self.tools = tools
    self.file = file
    self.line = line
  }

  /// An instruction with its answer.
  public init(_ record: Record) {
    self.init(
      form: .instruction,
      turns: [
        Turn(role: Role.user, content: record.instruction, input: record.input),
        Turn(role: Role.assistant, content: record.output),
      ], file: record.file, line: record.line)
  }

  /// Its last answer, and as the instruction all that comes before: what an answer is judged by.
  public var lastExchange: Record {
    let answer = turns.lastIndex { $0.role == Role.assistant } ?? turns.endIndex
    let before = turns[..<answer]
    var record = Record(instruction: "", input: "", output: "", file: file, line: line)
    if answer < turns.endIndex { record.output = turns[answer].content ?? turns[answer].members }
    if before.count == 1, let only = before.first {
      (record.instruction, record.input) = (only.content ?? only.members, only.input)
    } else {
      record.instruction = before.map { $0.content == nil ? $0.members : $0.text }.joined(separator: "\n\n")
    }
    return record
  }
}

/// The roles that have a meaning of their own.
public enum Role {
  public static let system = "system"
  public static let user = "user"
  public static let assistant = "assistant"
  public static let tool = "tool"
}
