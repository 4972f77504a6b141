import Core
import Generating
import Glibc
import Models

/// How likely a model finds a given continuation of a prompt, its tokens taken one after the other.
public struct Likelihood: Sendable, Equatable {
  /// Σ negative log-likelihood over `tokens`, in nats.
  public var loss = 0.0
  public var tokens = 0
  /// Tokens that were the most likely one.
  public var correct = 0
  /// Of the last token: for an answer with its EOS, the probability of ending there.
  public var lastProbability = 1.0

  public init() {}
}

extension InferencePass {
  /// The likelihood of each continuation of `prompt`; neither is empty. The prompt is computed once for all of them, with
  /// the plain engine once for each, as where some of them make a long sequence and others do not.
  ///
  /// Throws `badData` where the model's output is no number.
  public func likelihoods(_ prompt: [Int32], _ continuations: [[Int32]]) throws -> [Likelihood] {
    let areLong = Set(continuations.map { isLong(prompt, $0) })
    guard compute.engine == .plain || areLong.count > 1, continuations.count > 1 else {
      return try sharedLikelihoods(prompt, continuations)
    }
    return try continuations.flatMap { try sharedLikelihoods(prompt, [$0]) }
  }

  private func isLong(_ prompt: [Int32], _ continuation: [Int32]) -> Bool {
    decoder.configuration.shortLength.map { prompt.count + continuation.count > $0 } ?? false
  }

  private func sharedLikelihoods(_ prompt: [Int32], _ continuations: [[Int32]]) throws -> [Likelihood] {
    precondition(!prompt.isEmpty && continuations.allSatisfy { !$0.isEmpty })
    var tokens = prompt
    let isLong = isLong(prompt, continuations[0])
    var segments = [Batch.Segment(rows: 0..<prompt.count, startPosition: 0, parent: nil, isLong: isLong)]
    // The rows that predict tokens, in order, and whose tokens those are: the prompt's last row predicts all first ones.
    var rows = [prompt.count - 1]
    var targets = [continuations.enumerated().map { (continuation: $0, token: $1[0]) }]
    for (index, continuation) in continuations.enumerated() where continuation.count > 1 {
      let first = tokens.count
      // The last token is only predicted.
      tokens += continuation.dropLast()
      segments.append(
        Batch.Segment(rows: first..<tokens.count, startPosition: prompt.count, parent: 0, isLong: isLong))
      rows += first..<tokens.count
      targets += continuation.dropFirst().map { [(index, $0)] }
    }
    var results = [Likelihood](repeating: Likelihood(), count: continuations.count)
    let batch = Batch(
      tokens: tokens, segments: segments, targets: [], recordTokens: tokens.count,
      shortLength: decoder.configuration.shortLength)
    forEachLogits(batch, rows: rows) {
      let normaliser = logSumExp($1)
      for target in targets[$0] { results[target.continuation].add(target.token, $1, normaliser) }
    }
    guard results.allSatisfy(\.loss.isFinite) else { throw Generation.notFinite }
    return results
  }
}

extension Likelihood {
  /// `normaliser` is the logits' `logSumExp`.
  mutating func add(_ token: Int32, _ logits: UnsafeBufferPointer<Float>, _ normaliser: Double) {
    var best = 0
    for index in logits.indices where logits[index] > logits[best] { best = index }
    let negative = normaliser - Double(logits[Int(token)])
    loss += negative
    tokens += 1
    correct += best == Int(token) ? 1 : 0
    lastProbability = exp(-negative)
  }
}
