import Core

/// How a text is continued.
public struct GenerationSettings: Sendable, Equatable, Codable {
  public var maxNewTokens: Int
  public var sampling: SamplingSettings
  /// Continuations that are kept at once; 1 for no beam search.
  public var numBeams: Int
  /// Each text is sampled from its own stream of this seed, so that it does not depend on what else is asked.
  public var seed: UInt64
  /// The text ends before the first of these that it would contain.
  public var stop: [String]

  public init(
    maxNewTokens: Int = 128, sampling: SamplingSettings = SamplingSettings(), numBeams: Int = 1, seed: UInt64 = 42,
    stop: [String] = []
  ) {
    self.maxNewTokens = maxNewTokens
    self.sampling = sampling
    self.numBeams = numBeams
    self.seed = seed
    self.stop = stop
  }

  /// Throws `usage` for what makes no sense.
  public func validate() throws {
    guard maxNewTokens >= 1 else { throw SFTError(.usage, "the number of new tokens must be at least 1") }
    guard !stop.contains("") else { throw SFTError(.usage, "a stop string is empty") }
    guard (1...64).contains(numBeams) else { throw SFTError(.usage, "the number of beams must be from 1 to 64") }
    guard numBeams == 1 || sampling.temperature == 0 else {
      throw SFTError(
        .usage, "beam search takes the likeliest continuations, it does not sample",
        advice: "Leave out \(OptionName.temperature) or \(OptionName.numBeams)")
    }
    try sampling.validate()
  }
}

/// A continuation.
public struct Generation: Sendable, Equatable, Codable {
  public enum FinishReason: String, Sendable, Codable {
    /// EOS, or a stop string.
    case stop
    /// The limit of new tokens, or the end of the model's context.
    case length
  }

  /// What exactly ended it.
  public enum Ending: Sendable, Equatable {
    case endOfText
    case stopString
    case limit
  }

  public var text: String
  /// EOS not among them; those of a stop string are.
  public var tokenIds: [Int32]
  public var finishReason: FinishReason
  public var ending: Ending = .limit
  /// The probability of an end token after the last one, before any sampling setting; nil where nobody asked.
  public var endProbability: Double?

  private enum CodingKeys: CodingKey {
    case text
    case tokenIds
    case finishReason
  }

  package init(text: String, tokens: [Int32], ending: Ending, endProbability: Double? = nil) {
    self.text = text
    tokenIds = tokens
    finishReason = ending == .limit ? .length : .stop
    self.ending = ending
    self.endProbability = endProbability
  }
}
