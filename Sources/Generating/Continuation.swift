import Core
import Glibc
import Kernels
import Models
import Tokenizing

/// A text being continued: takes the logits after its last token and chooses the next, until the text has ended.
struct Continuation {
  /// What a generator knows of its model.
  struct Vocabulary {
    let tokenizer: Tokenizer
    let endTokens: Set<Int32>
    /// Rows of the head that pad it: ids that stand for no text and end none, so that no answer may hold them.
    let padding: [Int]

    /// `classes` is how many logits the model gives.
    init(_ tokenizer: Tokenizer, endTokens: Set<Int32>, classes: Int) {
      (self.tokenizer, self.endTokens) = (tokenizer, endTokens)
      padding = (0..<classes).filter { tokenizer.token(Int32($0)) == nil && !endTokens.contains(Int32($0)) }
    }

    var isPadded: Bool { !padding.isEmpty }

    /// Sets the scores [V] of what no answer may hold to -∞.
    func excludePadding(_ scores: UnsafeMutableBufferPointer<Float>) {
      for token in padding { scores[token] = -.infinity }
    }
  }

  private let settings: GenerationSettings
  private let vocabulary: Vocabulary
  private let limit: Int
  private var random: SeededGenerator
  private var output: StoppingText
  /// Tokens of the prompt and of the answer, where a penalty asks for them.
  private var seen: Set<Int32> = []
  private(set) var tokens: [Int32] = []
  private(set) var ending: Generation.Ending?
  private(set) var endProbability: Double?

  /// `room` is what the model's context leaves for new tokens.
  init(_ prompt: [Int32], room: Int, _ settings: GenerationSettings, _ vocabulary: Vocabulary) {
    self.settings = settings
    self.vocabulary = vocabulary
    limit = min(settings.maxNewTokens, room)
    random = SeededGenerator(seed: settings.seed, stream: 0x73_616d_706c)
    output = StoppingText(decoder: vocabulary.tokenizer.makeDecoder(skipSpecialTokens: true), stops: settings.stop)
    if settings.sampling.repetitionPenalty != 1 { seen = Set(prompt) }
  }

  /// Chooses the next token from logits [V] and returns the text that has become certain, the rest of it where it ends.
  ///
  /// Throws `badData` for logits that are no numbers.
  mutating func advance(_ logits: UnsafeBufferPointer<Float>) throws -> String {
    let token = choose(logits)
    guard logits[token].isFinite, !logits.contains(where: \.isNaN) else { throw Generation.notFinite }
    return try take(Int32(token)) { logits }
  }

  /// Takes the token with the largest logit and returns the text that has become certain, the rest of it where it ends. The
  /// others are asked for where they matter.
  ///
  /// Throws `badData` for a logit that is no number.
  mutating func advance(
    largest token: Int, _ logit: Float, _ logits: () -> UnsafeBufferPointer<Float>
  ) throws -> String {
    guard logit.isFinite else { throw Generation.notFinite }
    return try take(Int32(token), logits)
  }

  /// Appends a token, or ends the text by it.
  private mutating func take(_ token: Int32, _ logits: () -> UnsafeBufferPointer<Float>) throws -> String {
    if vocabulary.endTokens.contains(token) {
      endProbability = vocabulary.endProbability(logits())
      return finish(.endOfText)
    }
    tokens.append(token)
    if settings.sampling.repetitionPenalty != 1 { seen.insert(token) }
    let text = try output.push(token)
    if output.isStopped { return text + finish(.stopString) }
    return tokens.count == limit ? text + finish(.limit) : text
  }

  /// For a text that has ended otherwise than by an end token: the logits after its last token say how likely one was.
  mutating func measureEnd(_ logits: UnsafeBufferPointer<Float>) { endProbability = vocabulary.endProbability(logits) }

  var generation: Generation {
    Generation(text: output.text, tokens: tokens, ending: ending ?? .limit, endProbability: endProbability)
  }

  private mutating func choose(_ logits: UnsafeBufferPointer<Float>) -> Int {
    guard settings.sampling.repetitionPenalty != 1 || vocabulary.isPadded else {
      return settings.sampling.choose(logits, &random)
    }
    var scores = Array(logits)
    scores.withUnsafeMutableBufferPointer {
      vocabulary.excludePadding($0)
      settings.sampling.penalise($0, seen)
    }
    return scores.withUnsafeBufferPointer { settings.sampling.choose($0, &random) }
  }

  private mutating func finish(_ ending: Generation.Ending) -> String {
    self.ending = ending
    return output.finish()
  }
}

extension Continuation.Vocabulary {
  /// The probability that softmax of logits [V] gives to all end tokens together.
  func endProbability(_ logits: UnsafeBufferPointer<Float>) -> Double {
    let normaliser = logSumExp(logits)
    return endTokens.filter { logits.indices.contains(Int($0)) }.sorted()
      .reduce(0) { $0 + exp(Double(logits[Int($1)]) - normaliser) }
  }
}

extension Generation {
  /// Why a text cannot go on where logits are no numbers.
  package static let notFinite = SFTError(
    .badData, "the model's output is not a finite number: its weights or the adapter's hold values that are not")
}

/// log Σ exp of logits [V], summed in double.
package func logSumExp(_ logits: UnsafeBufferPointer<Float>) -> Double {
  let largest = Double(logits.max() ?? 0)
  return largest + log(logits.reduce(0) { $0 + exp(Double($1) - largest) })
}
