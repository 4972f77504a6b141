import Core
import Files
import JSON

/// A question to the models, with the answer expected where one is known.
public struct Question: Sendable, Equatable {
  public var question: String
  public var input: String
  /// Turns before the question, of one that ends a conversation, and the tools that may be called in it.
  public var earlier: [Conversation.Turn] = []
  public var tools = ""
  /// Whether it was given as messages.
  public var isConversation = false
  public var reference: String?
  /// Of a multiple-choice question: at least two, all different.
  public var choices: [String]?
  /// Index of the right one.
  public var answer: Int?
  /// 1-based line in its file; 0 where it is not known.
  public var line: Int

  public init(
    question: String, input: String = "", reference: String? = nil, choices: [String]? = nil, answer: Int? = nil,
    line: Int = 0
  ) {
    self.question = question
    self.input = input
    self.reference = reference
    self.choices = choices
    self.answer = answer
    self.line = line
  }

  /// What a model is shown: all turns, the question the last.
  public var turns: [Conversation.Turn] {
    earlier + [Conversation.Turn(role: Role.user, content: question, input: input)]
  }

  /// Instruction and input together, as people see them.
  public var text: String { input.isEmpty ? question : question + "\n" + input }
}

/// Questions from a file: JSON Lines (or a JSON array) of objects with `instruction` (or `question`), and perhaps
/// `input`, `output` (or `answer`), and `choices` with `answer` (an index from 0, or the choice's text), or
/// conversations, whose last message is the question or the answer to it; or plain text with one question a line. Which
/// it is is seen by the content. Blank lines are passed over.
///
/// Throws `badData` with file and line for a line that is not one, and where there is no question at all. What to do with
/// an object that asks nothing, on a line of its own or as an element of an array, is said by `advice`.
public func loadQuestions(
  _ file: MappedFile, conversation: (JSONObject) throws -> Conversation? = { _ in nil },
  advice: (_ object: JSONObject, _ isElement: Bool) -> String? = { _, _ in nil }
) throws -> [Question] {
  let (bytes, path) = (Array(file.bytes), file.path)
  let text = bytes.starts(with: [0xef, 0xbb, 0xbf]) ? bytes.dropFirst(3) : bytes[...]
  if let questions = try arrayQuestions(bytes, path, conversation, advice) { return questions }
  let isJSON = text.first { !isSpace($0) } == UInt8(ascii: "{")
  var questions: [Question] = []
  for (index, line) in text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
    guard let start = line.firstIndex(where: { !isSpace($0) }), let end = line.lastIndex(where: { !isSpace($0) })
    else { continue }
    let content = Array(line[start...end])
    questions.append(
      isJSON
        ? try jsonQuestion(content, path, index + 1, conversation, advice) : try plainQuestion(content, path, index + 1)
    )
  }
  guard !questions.isEmpty else { throw SFTError(.badData, "holds no questions", file: path) }
  return questions
}

/// nil where the file is no JSON array of objects.
private func arrayQuestions(
  _ bytes: [UInt8], _ path: String, _ conversation: (JSONObject) throws -> Conversation?,
  _ advice: (JSONObject, Bool) -> String?
) throws -> [Question]? {
  let elements = bytes.withUnsafeBytes { try? parseJSON(withoutByteOrderMark($0), file: path) }?.array
  guard let elements, !elements.isEmpty, elements.allSatisfy({ $0.object != nil }) else { return nil }
  return try elements.enumerated().map { index, element in
    let reader = QuestionReader(value: element, file: path, line: nil, prefix: "element \(index + 1) ")
    return try reader.question(conversation) { advice($0, true) }
  }
}

private func isSpace(_ byte: UInt8) -> Bool { byte == 32 || (9...13).contains(byte) }

private func plainQuestion(_ content: [UInt8], _ path: String, _ line: Int) throws -> Question {
  guard let text = String(validating: content, as: UTF8.self) else {
    throw SFTError(.badData, "is not valid UTF-8", file: path, line: line)
  }
  return Question(question: text, line: line)
}

private func jsonQuestion(
  _ content: [UInt8], _ path: String, _ line: Int, _ conversation: (JSONObject) throws -> Conversation?,
  _ advice: (JSONObject, Bool) -> String?
) throws -> Question {
  let value = try content.withUnsafeBytes { try parseJSON($0, file: path, firstLine: line) }
  return try QuestionReader(value: value, file: path, line: line, prefix: "").question(conversation) {
    advice($0, false)
  }
}

/// A question's members, each checked.
private struct QuestionReader {
  let value: JSONValue
  let file: String
  let line: Int?
  /// Which element of an array it is.
  let prefix: String

  func question(
    _ conversation: (JSONObject) throws -> Conversation?, _ advice: (JSONObject) -> String?
  ) throws -> Question {
    guard let object = value.object else { throw SFTError(.badData, "is not a JSON object", file: file, line: line) }
    if object["instruction"] == nil, object["question"] == nil, let found = try turns(of: object, conversation) {
      return try last(of: found)
    }
    guard let question = try text("instruction") ?? text("question"), !question.isEmpty else {
      var error = failure("has no 'instruction'" + (object.count == 0 ? "" : ", but " + quotedList(object.keys)))
      error.advice = advice(object)
      throw error
    }
    let choices = try self.choices()
    return Question(
      question: question, input: try text("input") ?? "", reference: try text("output") ?? openAnswer(choices),
      choices: choices,
      answer: try answer(among: choices), line: line ?? 0)
  }

  private func turns(
    of object: JSONObject, _ conversation: (JSONObject) throws -> Conversation?
  ) throws -> Conversation? {
    do { return try conversation(object) } catch let error as SFTError { throw failure(error.message) }
  }

  /// The last question of a conversation, and the answer to it where there is one.
  private func last(of conversation: Conversation) throws -> Question {
    var turns = conversation.turns
    let reference = turns.last?.role == Role.assistant ? turns.removeLast().content : nil
    guard let asked = turns.popLast(), asked.role == Role.user, let text = asked.content, !text.isEmpty else {
      throw failure("its conversation does not end in a question, or in a question and its answer")
    }
    var question = Question(question: text, input: asked.input, reference: reference, line: line ?? 0)
    (question.earlier, question.tools, question.isConversation) = (turns, conversation.tools, true)
    return question
  }

  private func failure(_ message: String) -> SFTError { SFTError(.badData, prefix + message, file: file, line: line) }

  private func text(_ key: String) throws -> String? {
    switch value[key] {
    case nil, .null: return nil
    case .string(let text): return text
    default: throw failure("'\(key)' is not a string")
    }
  }

  private func choices() throws -> [String]? {
    guard let value = value["choices"], !value.isNull else { return nil }
    let texts = (value.array ?? []).compactMap(\.string)
    guard texts.count >= 2, texts.count == value.array?.count, !texts.contains("") else {
      throw failure("'choices' is not a list of at least two texts")
    }
    guard Set(texts).count == texts.count else { throw failure("'choices' holds the same text twice") }
    return texts
  }

  /// The answer to a question without choices, in words.
  private func openAnswer(_ choices: [String]?) -> String? { choices == nil ? value["answer"]?.string : nil }

  private func answer(among choices: [String]?) throws -> Int? {
    let given = value["answer"].flatMap { $0.isNull ? nil : $0 }
    guard let choices else {
      if given != nil, given?.string == nil { throw failure("has an 'answer' but no 'choices'") }
      return nil
    }
    switch given {
    case nil: throw failure("has 'choices' but no 'answer'")
    case .integer(let index):
      guard choices.indices.contains(index) else {
        throw failure("'answer' is \(index), but the choices are 0 to \(choices.count - 1)")
      }
      return index
    case .string(let text):
      guard let index = choices.firstIndex(of: text) else { throw failure("'answer' is none of the choices") }
      return index
    default: throw failure("'answer' is neither an index nor a choice's text")
    }
  }
}
