import Core
import Generating
import Glibc
import Kernels

/// Answers of a base and of one or more tuned models to the same questions, and what they are worth. `tuned` is the first
/// adapter, or the other model; further adapters stand in `adapters`.
public struct Comparison: Sendable, Equatable, Codable {
  public struct Answer: Sendable, Equatable, Codable {
    public var text: String
    public var finishReason: Generation.FinishReason
    /// EOS not counted.
    public var tokens: Int
    /// Ended by itself; false where a stop string or the limit ended it.
    public var endedWithEOS: Bool
    public var measures: AnswerMeasures

    private enum CodingKeys: String, CodingKey {
      case text, finishReason, tokens, measures
      case endedWithEOS = "endedWithEos"
    }

    public init(_ generation: Generation, _ measures: AnswerMeasures) {
      text = generation.text
      finishReason = generation.finishReason
      tokens = generation.tokenIds.count
      endedWithEOS = generation.ending == .endOfText
      self.measures = measures
    }
  }

  public enum Verdict: String, Sendable, Codable {
    case win, tie, loss
  }

  public enum Preference: String, Sendable, Codable {
    case tuned, base, tie
  }

  /// Another model's opinion, asked with tuned as the second answer and as the first.
  public struct Judgement: Sendable, Equatable, Codable {
    /// A tie unless both orders agree.
    public var preferred: Preference
    public var orders: [Preference]

    public init(orders: [Preference]) {
      self.orders = orders
      preferred = Set(orders).count == 1 ? orders[0] : .tie
    }
  }

  public struct Item: Sendable, Equatable, Codable {
    public var question: String
    public var input: String?
    public var reference: String?
    public var choices: [String]?
    /// Index of the right choice.
    public var answer: Int?
    public var base: Answer
    public var tuned: Answer
    /// Of the adapters after the first.
    public var adapters: [Answer]?
    /// Of tuned against base, by `verdictMeasure`.
    public var verdict: Verdict
    public var verdictMeasure: Measure
    /// What a judge said of tuned and base; nil where none was asked or it gave no verdict.
    public var judgement: Judgement?

    public init(_ question: Question, base: Answer, tuned: Answer, others: [Answer]) {
      self.question = question.question
      input = question.input.isEmpty ? nil : question.input
      reference = question.reference
      choices = question.choices
      answer = question.answer
      self.base = base
      self.tuned = tuned
      adapters = others.isEmpty ? nil : others
      verdictMeasure = question.choices != nil ? .choiceAccuracy : question.reference != nil ? .tokenF1 : .endedWithEOS
      verdict = .tie
      verdict = Difference.verdict(verdictMeasure, self, tuned) ?? .tie
    }

    /// Of tuned, then of the other adapters.
    var tunedAnswers: [Answer] { [tuned] + (adapters ?? []) }
  }

  public struct Settings: Sendable, Equatable, Codable {
    /// What answered as `base`.
    public var model: String
    /// Of `tuned`; nil where that is another model.
    public var adapter: String?
    /// Of `adapters`.
    public var adapters: [String]?
    /// The other model, where two are compared, and its template where it has its own.
    public var modelB: String?
    public var templateB: String?
    public var template: String
    public var questions: String?
    /// How ROUGE-L cuts text into words.
    public var rougeWords: WordSplitting
    /// Whether both models count tokens alike.
    public var sameTokenizer: Bool
    public var generation: GenerationSettings
    /// What 4-bit weights were multiplied with while answering, where that was not float32.
    public var rowPrecision: RowPrecision?
    /// Who was asked which answer is better: address and model.
    public var judge: String?
    public var judgeModel: String?

    public init(
      model: String, adapter: String?, adapters: [String]? = nil, modelB: String? = nil, templateB: String? = nil,
      template: String, questions: String? = nil, rougeWords: WordSplitting, sameTokenizer: Bool = true,
      generation: GenerationSettings
    ) {
      self.model = model
      self.adapter = adapter
      self.adapters = adapters
      self.modelB = modelB
      self.templateB = templateB
      self.template = template
      self.questions = questions
      self.rougeWords = rougeWords
      self.sameTokenizer = sameTokenizer
      self.generation = generation
    }
  }

  public var settings: Settings
  public var summary: Summary
  public private(set) var items: [Item]

  /// Puts in what a judge said of the items, in order; `failure` is why it did not say more.
  public mutating func add(_ judgements: [Judgement?], by judge: String, model: String, failure: String?) {
    (settings.judge, settings.judgeModel) = (judge, model)
    for index in items.indices { items[index].judgement = judgements[index] }
    let preferences = judgements.compactMap { $0?.preferred }
    summary.judge = preferences.isEmpty ? nil : PreferenceCount(preferences)
    summary.judgeFailure = failure
  }

  /// `tokens` are the answers' token ids, [model][question], for what is counted over all of them.
  public init(settings: Settings, items: [Item], tokens: [[[Int32]]]) {
    self.settings = settings
    self.items = items
    summary = Summary(settings, items, tokens)
  }

  /// What the models are called beside each other: base, tuned, adapter 3, …
  public var names: [String] {
    ["base", settings.modelB == nil ? "tuned" : "model B"]
      + (settings.adapters ?? []).indices.map { "adapter \($0 + 2)" }
  }
}
