import Core
import Glibc
import Kernels
import Models
import Packing

/// Token means over supervised tokens.
public struct EvaluationResult: Sendable, Equatable, Codable {
  /// Mean negative log-likelihood, in nats.
  public var loss: Double
  /// e^loss.
  public var perplexity: Double
  /// Share of tokens that were the most likely one.
  public var accuracy: Double
  public var supervised_tokens: Int

  init(_ totals: CrossEntropy.Totals) {
    loss = totals.loss / max(1, totals.weight)
    // JSON has no infinity.
    perplexity = min(exp(loss), .greatestFiniteMagnitude)
    accuracy = totals.correct / max(1, totals.weight)
    supervised_tokens = Int(totals.weight)
  }
}

/// Loss, perplexity and accuracy of `count` samples, packed into batches of about `tokenBudget` tokens; every supervised
/// token weighs the same. The plain engine takes one sequence at a time.
public func evaluate(
  _ pass: InferencePass, count: Int, tokenBudget: Int = 512, progress: (Int) -> Void = { _ in },
  samples: (Int) throws -> Sample
) throws -> EvaluationResult {
  var totals = CrossEntropy.Totals()
  var pending: [Sample] = []
  var tokens = 0
  let plain = pass.compute.engine == .plain
  func flush() {
    totals += pass.loss(Packer.pack(pending, sharesPrefixes: !plain))
    pending.removeAll(keepingCapacity: true)
    tokens = 0
  }
  for index in 0..<count {
    let sample = try samples(index)
    if !pending.isEmpty, plain || tokens + sample.tokens.count > tokenBudget { flush() }
    pending.append(sample)
    tokens += sample.tokens.count
    progress(index + 1)
  }
  if !pending.isEmpty { flush() }
  guard totals.weight == 0 || totals.loss.isFinite else {
    throw SFTError(
      .badData, "the loss is not a finite number: the weights of the model or the adapter hold values that are not")
  }
  guard totals.weight > 0 else { throw SFTError(.badData, "there is no supervised token to evaluate on") }
  return EvaluationResult(totals)
}
