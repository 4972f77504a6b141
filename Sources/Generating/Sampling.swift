import Core
import Glibc

/// How the next token is chosen.
public struct SamplingSettings: Sendable, Equatable, Codable {
  /// 0 for greedy: always the most likely token.
  public var temperature: Double
  /// Only the k most likely tokens; nil for all.
  public var topK: Int?
  /// Only the most likely tokens that together have at least this probability (Holtzman et al. 2020); nil for all.
  public var topP: Double?
  /// Of what those leave, only tokens at least this fraction as likely as the likeliest (Nguyen et al. 2024); nil for all.
  public var minP: Double?
  /// Logits of tokens that the prompt or the answer holds are divided by this, or multiplied where negative (Keskar et al.
  /// 2019, transformers' `repetition_penalty`); 1 for none. It acts on greedy decoding and beam search too.
  public var repetitionPenalty: Double

  public init(
    temperature: Double = 0, topK: Int? = nil, topP: Double? = nil, minP: Double? = nil, repetitionPenalty: Double = 1
  ) {
    self.temperature = temperature
    self.topK = topK
    self.topP = topP
    self.minP = minP
    self.repetitionPenalty = repetitionPenalty
  }

  /// Throws `usage` for a number out of range.
  public func validate() throws {
    guard temperature >= 0, temperature.isFinite else {
      throw SFTError(.usage, "the temperature must be 0 (greedy) or a positive number")
    }
    if let topK, topK < 1 { throw SFTError(.usage, "top-k must be at least 1") }
    if let topP, !(topP > 0 && topP <= 1) { throw SFTError(.usage, "top-p must be above 0 and at most 1") }
    if let minP, !(minP >= 0 && minP <= 1) { throw SFTError(.usage, "min-p must be from 0 to 1") }
    guard repetitionPenalty > 0, repetitionPenalty.isFinite else {
      throw SFTError(.usage, "the repetition penalty must be above 0 (1 for none)")
    }
  }

  /// Whether the token with the largest logit is taken, whatever the others have.
  var takesLargest: Bool { temperature == 0 && repetitionPenalty == 1 }

  /// What was given that cannot matter, because the most likely token is taken anyway; by the flags' names.
  public var ineffective: [OptionName] {
    guard temperature == 0 else { return [] }
    let given: [(OptionName, Bool)] = [(.topK, topK != nil), (.topP, topP != nil), (.minP, minP != nil)]
    return given.filter(\.1).map(\.0)
  }

  /// Applies the repetition penalty to scores (logits, or log-probabilities in beam search) [V].
  package func penalise(_ scores: UnsafeMutableBufferPointer<Float>, _ seen: Set<Int32>) {
    guard repetitionPenalty != 1 else { return }
    let penalty = Float(repetitionPenalty)
    for token in seen where scores.indices.contains(Int(token)) {
      let score = scores[Int(token)]
      scores[Int(token)] = score < 0 ? score * penalty : score / penalty
    }
  }

  /// Chooses from logits [V], never one of -∞ where there is another. Greedy takes the first of equals and draws nothing
  /// from `generator`.
  public func choose(_ logits: UnsafeBufferPointer<Float>, _ generator: inout SeededGenerator) -> Int {
    var best = 0
    for index in logits.indices where logits[index] > logits[best] { best = index }
    if temperature == 0 || logits[best] == -.infinity { return best }
    let candidates = candidates(logits, largest: logits[best])
    let total = candidates.reduce(0) { $0 + $1.weight }
    var remaining = generator.uniform() * total
    for candidate in candidates {
      remaining -= candidate.weight
      if remaining < 0 { return candidate.token }
    }
    return candidates.last?.token ?? best
  }

  /// Tokens left to draw from, with weights proportional to their probability: in order of the vocabulary where none is
  /// excluded, else the most likely first, equals in order of the vocabulary.
  private func candidates(
    _ logits: UnsafeBufferPointer<Float>, largest: Float
  ) -> [(token: Int, weight: Double)] {
    var candidates = logits.indices.filter { logits[$0] != -.infinity }.map { token in
      (token: token, weight: exp((Double(logits[token]) - Double(largest)) / temperature))
    }
    let topK = topK.flatMap { $0 < logits.count ? $0 : nil }
    let topP = topP.flatMap { $0 < 1 ? $0 : nil }
    if topK != nil || topP != nil { candidates.sort { ($1.weight, $0.token) < ($0.weight, $1.token) } }
    if let topK { candidates = Array(candidates.prefix(topK)) }
    if let topP {
      let limit = topP * candidates.reduce(0) { $0 + $1.weight }
      var sum = 0.0
      let kept = candidates.firstIndex { candidate in
        sum += candidate.weight
        return sum >= limit
      }
      candidates = Array(candidates[...(kept ?? candidates.count - 1)])
    }
    // The likeliest token's weight is 1.
    if let minP { candidates.removeAll { $0.weight < minP } }
    return candidates
  }
}
