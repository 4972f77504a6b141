import Core
import Evaluating
import Models
import SampleEncoding

/// A question as one model's ids.
struct PreparedQuestion {
  var prompt: [Int32]
  /// The expected answer with the token that ends it.
  var reference: [Int32]?
  /// The choices without an end token.
  var choices: [[Int32]]

  func measure(
    _ pass: InferencePass, _ question: Question
  ) throws -> (AnswerMeasures.Reference?, AnswerMeasures.Choice?) {
    let continuations = [reference].compactMap { $0 } + choices
    guard !continuations.isEmpty else { return (nil, nil) }
    var likelihoods = try pass.likelihoods(prompt, continuations)
    let expected = reference.map { _ in
      AnswerMeasures.Reference(likelihoods.removeFirst(), text: question.reference ?? "")
    }
    return (expected, choices.isEmpty ? nil : AnswerMeasures.Choice(likelihoods, of: question))
  }
}

/// Questions of a file → ids, in one layout.
struct QuestionEncoder {
  /// Trained on the last answer.
  let encoder: SampleEncoder
  /// The model's.
  let context: Int
  let file: String

  /// Throws `badData` for a question that does not fit into the model's context, alone or with its expected answer, and
  /// for one that the template does not take.
  func prepared(_ question: Question) throws -> PreparedQuestion {
    do {
      let prompt = try encoder.prompt(question.turns, tools: question.tools)
      guard prompt.count < context else {
        throw tooLong("the question has \(prompt.count) tokens with its template, which leaves no room in", question)
      }
      return PreparedQuestion(
        prompt: prompt, reference: try question.reference.map { try answer($0, to: question) },
        choices: try (question.choices ?? []).map { Array(try answer($0, to: question).dropLast()) })
    } catch let fault as EncodingFault {
      throw SFTError(.badData, fault.message, file: file, line: question.line, advice: fault.advice)
    }
  }

  /// What follows the prompt, with what ends it.
  private func answer(_ text: String, to question: Question) throws -> [Int32] {
    let answer = Conversation.Turn(role: Role.assistant, content: text)
    let conversation = Conversation(form: .instruction, turns: question.turns + [answer], tools: question.tools)
    guard let sample = try encoder.encode(conversation).samples.last else {
      throw EncodingFault("the template makes nothing of the question's answer")
    }
    guard sample.tokens.count <= context else {
      throw tooLong(
        "the question has \(sample.tokens.count) tokens with its template and an answer that is given, more than",
        question)
    }
    return Array(sample.tokens[sample.promptCount...])
  }

  private func tooLong(_ message: String, _ question: Question) -> SFTError {
    SFTError(.badData, "\(message) the model's context of \(context)", file: file, line: question.line)
  }
}
