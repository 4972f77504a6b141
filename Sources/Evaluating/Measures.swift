import Core
import Generating
import Glibc

/// What one answer is worth, as far as that can be computed. nil for what the question gives no ground for.
public struct AnswerMeasures: Sendable, Equatable, Codable {
  /// How likely the model finds the expected answer with its EOS, given the question.
  public struct Reference: Sendable, Equatable, Codable {
    /// Mean negative log-likelihood of a token, in nats.
    public var loss: Double
    public var tokens: Int
    /// Share of its tokens that were the most likely one.
    public var tokenAccuracy: Double
    /// Negative log₂-likelihood of all tokens by the UTF-8 bytes of the text: unlike `loss` no matter of the tokenizer.
    public var bitsPerByte: Double
    /// Probability of ending where the expected answer ends.
    public var endProbability: Double
  }

  /// Which choice of a multiple-choice question the model finds likeliest per byte.
  public struct Choice: Sendable, Equatable, Codable {
    /// Index of the choice with the highest log-likelihood per byte.
    public var chosen: Int
    public var correct: Bool
    /// Log-likelihood of each choice over its UTF-8 bytes, in nats.
    public var logLikelihoods: [Double]
  }

  public var exactMatch: Bool?
  public var exactMatchNormalised: Bool?
  public var tokenF1: Double?
  public var rougeL: Double?
  public var reference: Reference?
  public var choice: Choice?
  /// Probability of EOS after the answer's last token.
  public var endProbability: Double?
  /// Share of different tokens, and of different pairs of them, within the answer; nil where there are none.
  public var distinct1: Double?
  public var distinct2: Double?
  public var repetition: Double
  public var echo: Double

  public init(
    _ generation: Generation, _ question: Question, reference: Reference?, choice: Choice?, _ splitting: WordSplitting
  ) {
    if let expected = question.reference {
      exactMatch = AnswerMatch.isExact(generation.text, expected)
      exactMatchNormalised = AnswerMatch.isNormalisedExact(generation.text, expected)
      tokenF1 = AnswerMatch.tokenF1(generation.text, expected)
      rougeL = AnswerMatch.rougeL(generation.text, expected, splitting)
    }
    self.reference = reference
    self.choice = choice
    endProbability = generation.endProbability
    distinct1 = Repetition.distinct(1, [generation.tokenIds])
    distinct2 = Repetition.distinct(2, [generation.tokenIds])
    repetition = Repetition.share(generation.tokenIds)
    echo = Repetition.echo(generation.text, of: question.text)
  }
}

extension AnswerMeasures.Reference {
  /// `text` is what the likelihood is of, without its EOS.
  public init(_ likelihood: Likelihood, text: String) {
    loss = likelihood.loss / Double(max(1, likelihood.tokens))
    tokens = likelihood.tokens
    tokenAccuracy = Double(likelihood.correct) / Double(max(1, likelihood.tokens))
    bitsPerByte = likelihood.loss / log(2) / Double(max(1, text.utf8.count))
    endProbability = likelihood.lastProbability
  }
}

extension AnswerMeasures.Choice {
  /// Likelihoods of the choices, EOS not among their tokens; of equals the first is chosen.
  public init(_ likelihoods: [Likelihood], of question: Question) {
    let values = zip(likelihoods, question.choices ?? []).map { -$0.loss / Double(max(1, $1.utf8.count)) }
    logLikelihoods = values
    chosen = values.indices.reduce(0) { values[$1] > values[$0] ? $1 : $0 }
    correct = chosen == question.answer
  }
}

/// Something by which two models are compared, question by question.
public enum Measure: String, Sendable, Codable, CaseIterable {
  case loss
  case bitsPerByte = "bits_per_byte"
  case tokenAccuracy = "token_accuracy"
  case choiceAccuracy = "choice_accuracy"
  case exactMatch = "exact_match"
  case exactMatchNormalised = "exact_match_normalised"
  case tokenF1 = "token_f1"
  case rougeL = "rouge_l"
  case endedWithEOS = "ended_with_eos"
  case endProbability = "end_probability"
  case repetition
  case echo

  public var lowerIsBetter: Bool { [.loss, .bitsPerByte, .repetition, .echo].contains(self) }

  /// Counts tokens of the model's own tokenizer, so that two tokenizers' values cannot be compared.
  public var dependsOnTokenizer: Bool { [.loss, .tokenAccuracy, .repetition].contains(self) }

  /// The value of an answer and its weight in the mean; nil where it has none.
  func value(_ answer: Comparison.Answer, _ item: Comparison.Item) -> (value: Double, weight: Double)? {
    let measures = answer.measures
    func plain(_ value: Double?) -> (value: Double, weight: Double)? { value.map { ($0, 1) } }
    func flag(_ value: Bool?) -> (value: Double, weight: Double)? { value.map { ($0 ? 1 : 0, 1) } }
    let reference = measures.reference
    let tokens = Double(reference?.tokens ?? 0)
    switch self {
    case .loss: return reference.map { ($0.loss, tokens) }
    case .bitsPerByte: return reference.map { ($0.bitsPerByte, Double(max(1, item.reference?.utf8.count ?? 0))) }
    case .tokenAccuracy: return reference.map { ($0.tokenAccuracy, tokens) }
    case .choiceAccuracy: return flag(measures.choice?.correct)
    case .exactMatch: return flag(measures.exactMatch)
    case .exactMatchNormalised: return flag(measures.exactMatchNormalised)
    case .tokenF1: return plain(measures.tokenF1)
    case .rougeL: return plain(measures.rougeL)
    case .endedWithEOS: return flag(answer.endedWithEOS)
    case .endProbability: return plain(measures.endProbability)
    case .repetition: return plain(measures.repetition)
    case .echo: return plain(measures.echo)
    }
  }
}
