import Core

/// Answers of a base and its tuned self to the same questions.
public struct Comparison: Sendable, Equatable, Codable {
  public struct Answer: Sendable, Equatable, Codable {
    public var text: String
    public var finish_reason: Generation.FinishReason
    public var tokens: Int

    init(_ generation: Generation) {
      text = generation.text
      finish_reason = generation.finish_reason
      tokens = generation.token_ids.count
    }
  }

  public struct Item: Sendable, Equatable, Codable {
    public var question: String
    public var input: String?
    public var reference: String?
    public var base: Answer
    public var tuned: Answer

    public init(_ question: Question, base: Generation, tuned: Generation) {
      self.question = question.question
      input = question.input.isEmpty ? nil : question.input
      reference = question.reference
      self.base = Answer(base)
      self.tuned = Answer(tuned)
    }
  }

  /// Of one model's answers.
  public struct Score: Sendable, Equatable, Codable {
    /// Answers that ended by themselves.
    public var ended: Int
    /// Mean length in tokens.
    public var mean_tokens: Double
    /// Answers equal to the reference, white space at the ends aside; nil without references.
    public var exact_match: Int?
  }

  public struct Summary: Sendable, Equatable, Codable {
    public var questions: Int
    public var with_reference: Int
    public var base: Score
    public var tuned: Score
  }

  public struct Settings: Sendable, Equatable, Codable {
    public var model: String
    public var adapter: String
    public var template: String
    public var generation: GenerationSettings

    public init(model: String, adapter: String, template: String, generation: GenerationSettings) {
      self.model = model
      self.adapter = adapter
      self.template = template
      self.generation = generation
    }
  }

  public var settings: Settings
  public var summary: Summary
  public var items: [Item]

  public init(settings: Settings, items: [Item]) {
    self.settings = settings
    self.items = items
    summary = Summary(
      questions: items.count, with_reference: items.count { $0.reference != nil },
      base: Self.score(items, \.base), tuned: Self.score(items, \.tuned))
  }

  private static func score(_ items: [Item], _ side: KeyPath<Item, Answer>) -> Score {
    let answers = items.map { $0[keyPath: side] }
    let judged = items.filter { $0.reference != nil }
    return Score(
      ended: answers.count { $0.finish_reason == .stop },
      mean_tokens: Double(answers.reduce(0) { $0 + $1.tokens }) / Double(max(1, answers.count)),
      exact_match: judged.isEmpty
        ? nil : judged.count { trimmed($0[keyPath: side].text) == trimmed($0.reference ?? "") })
  }
}

private func trimmed(_ text: String) -> Substring {
  let start = text.firstIndex { !$0.isWhitespace } ?? text.endIndex
  let end = text.lastIndex { !$0.isWhitespace }.map { text.index(after: $0) } ?? start
  return text[start..<end]
}
