import Core
import Glibc
import Tokenizing

/// A text being continued: takes the logits after its last token and chooses the next, until the text has ended.
struct Continuation {
  /// What a generator knows of its model.
  struct Vocabulary {
    var tokenizer: Tokenizer
    var endTokens: Set<Int32>
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
    let token = Int32(choose(logits))
    guard logits[Int(token)].isFinite, !logits.contains(where: \.isNaN) else { throw Self.notFinite }
    if vocabulary.endTokens.contains(token) {
      endProbability = vocabulary.endProbability(logits)
      return finish(.endOfText)
    }
    tokens.append(token)
    if settings.sampling.repetitionPenalty != 1 { seen.insert(token) }
    // Rows of the embedding beyond the tokenizer's vocabulary stand for no text.
    var text = ""
    if vocabulary.tokenizer.token(token) != nil {
      text = try output.push(token)
      if output.isStopped { return text + finish(.stopString) }
    }
    return tokens.count == limit ? text + finish(.limit) : text
  }

  /// For a text that has ended otherwise than by an end token: the logits after its last token say how likely one was.
  mutating func measureEnd(_ logits: UnsafeBufferPointer<Float>) { endProbability = vocabulary.endProbability(logits) }

  var generation: Generation {
    Generation(text: output.text, tokens: tokens, ending: ending ?? .limit, endProbability: endProbability)
  }

  static let notFinite = SFTError(
    .badData, "the model's output is not a finite number: its weights or the adapter's hold values that are not")

  private mutating func choose(_ logits: UnsafeBufferPointer<Float>) -> Int {
    guard settings.sampling.repetitionPenalty != 1 else { return settings.sampling.choose(logits, &random) }
    var penalised = Array(logits)
    penalised.withUnsafeMutableBufferPointer { settings.sampling.penalise($0, seen) }
    return penalised.withUnsafeBufferPointer { settings.sampling.choose($0, &random) }
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

/// log Σ exp of logits [V], summed in double.
func logSumExp(_ logits: UnsafeBufferPointer<Float>) -> Double {
  let largest = Double(logits.max() ?? 0)
  return largest + log(logits.reduce(0) { $0 + exp(Double($1) - largest) })
}
