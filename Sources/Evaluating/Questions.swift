import Core
import Files
import JSON

/// A question to both models, with the answer expected where one is known.
public struct Question: Sendable, Equatable, Codable {
  public var question: String
  public var input: String
  public var reference: String?
  /// 1-based line in its file.
  public var line: Int
}

/// Questions from a file: JSON Lines (or a JSON array) of objects with `instruction` (or `question`), `input` and `output`,
/// or plain text with one question a line; which it is is seen by the content. Blank lines are passed over.
///
/// Throws `badData` with file and line for a line that is not one, and where there is no question at all.
public func loadQuestions(_ path: String) throws -> [Question] {
  let bytes = try readFile(path)
  let text = bytes.starts(with: [0xef, 0xbb, 0xbf]) ? bytes.dropFirst(3) : bytes[...]
  if let questions = try arrayQuestions(bytes, path) { return questions }
  let isJSON = text.first { !isSpace($0) } == UInt8(ascii: "{")
  var questions: [Question] = []
  for (index, line) in text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
    guard let start = line.firstIndex(where: { !isSpace($0) }), let end = line.lastIndex(where: { !isSpace($0) })
    else { continue }
    let content = Array(line[start...end])
    questions.append(
      isJSON ? try jsonQuestion(content, path, index + 1) : try plainQuestion(content, path, index + 1))
  }
  guard !questions.isEmpty else { throw SFTError(.badData, "holds no questions", file: path) }
  return questions
}

/// nil where the file is no JSON array of objects.
private func arrayQuestions(_ bytes: [UInt8], _ path: String) throws -> [Question]? {
  let elements = bytes.withUnsafeBytes { try? parseJSON(withoutByteOrderMark($0), file: path) }?.array
  guard let elements, !elements.isEmpty, elements.allSatisfy({ $0.object != nil }) else { return nil }
  return try elements.enumerated().map { try question($1, path, nil, "element \($0 + 1) ") }
}

private func isSpace(_ byte: UInt8) -> Bool { byte == 32 || (9...13).contains(byte) }

private func plainQuestion(_ content: [UInt8], _ path: String, _ line: Int) throws -> Question {
  guard let text = String(validating: content, as: UTF8.self) else {
    throw SFTError(.badData, "is not valid UTF-8", file: path, line: line)
  }
  return Question(question: text, input: "", reference: nil, line: line)
}

private func jsonQuestion(_ content: [UInt8], _ path: String, _ line: Int) throws -> Question {
  try question(content.withUnsafeBytes { try parseJSON($0, file: path, firstLine: line) }, path, line, "")
}

private func question(_ value: JSONValue, _ path: String, _ line: Int?, _ which: String) throws -> Question {
  func text(_ key: String) throws -> String? {
    switch value[key] {
    case nil, .null: return nil
    case .string(let text): return text
    default: throw SFTError(.badData, "\(which)'\(key)' is not a string", file: path, line: line)
    }
  }
  guard value.object != nil else { throw SFTError(.badData, "is not a JSON object", file: path, line: line) }
  guard let question = try text("instruction") ?? text("question"), !question.isEmpty else {
    throw SFTError(.badData, "\(which)has no 'instruction'", file: path, line: line)
  }
  return Question(
    question: question, input: try text("input") ?? "", reference: try text("output"), line: line ?? 0)
}
