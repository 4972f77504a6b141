import Core
import Glibc
import Kernels
import Models
import Packing

/// Tokens of samples that go through a model at once where nothing else is said.
public let standardTokenBudget = 512

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

/// Loss, perplexity and accuracy of `count` samples, packed into batches; every supervised token weighs the same. The plain
/// engine takes one sequence at a time. `progress` gets how many are done.
///
/// Throws `badData` where the loss is no finite number.
public func evaluate(
  _ pass: InferencePass, count: Int, tokenBudget: Int = standardTokenBudget, progress: (Int) -> Void = { _ in },
  samples: (Int) throws -> Sample
) throws -> EvaluationResult {
  let result = try tokenMeans(pass, count: count, tokenBudget: tokenBudget, progress: progress, samples: samples)
  guard result.loss.isFinite else {
    throw SFTError(
      .badData, "the loss is not a finite number: the weights of the model or the adapter hold values that are not")
  }
  return result
}

/// Which batches of an evaluation are this process's, where several divide them.
public struct EvaluationShare {
  /// Whether the batch of that number is.
  public var isOwn: (Int) -> Bool
  /// Sums of all batches, in order, from those of the own ones, in order too, and the number of all.
  public var gather: (_ own: [CrossEntropy.Totals], _ count: Int) throws -> [CrossEntropy.Totals]

  public init(
    isOwn: @escaping (Int) -> Bool,
    gather: @escaping (_ own: [CrossEntropy.Totals], _ count: Int) throws -> [CrossEntropy.Totals]
  ) {
    (self.isOwn, self.gather) = (isOwn, gather)
  }
}

/// Loss, perplexity and accuracy as `evaluate` computes them, of a model in training: where it has diverged, the loss is no
/// finite number, which is not an error here. With a `share` the batches of others are theirs to compute; the result is the
/// same.
public func tokenMeans(
  _ pass: InferencePass, count: Int, tokenBudget: Int = standardTokenBudget, share: EvaluationShare? = nil,
  progress: (Int) -> Void = { _ in }, samples: (Int) throws -> Sample
) throws -> EvaluationResult {
  var totals: [CrossEntropy.Totals] = []
  var (done, batches) = (0, 0)
  let plain = pass.compute.engine == .plain
  try groups(count, tokenBudget: plain ? 0 : tokenBudget, samples: samples) { group in
    if share?.isOwn(batches) ?? true {
      totals.append(
        pass.loss(Packer.pack(group, sharesPrefixes: !plain, shortLength: pass.decoder.configuration.shortLength)))
    }
    batches += 1
    done += group.count
    progress(done)
  }
  let all = try share?.gather(totals, batches) ?? totals
  let sum = all.reduce(into: CrossEntropy.Totals()) { $0 += $1 }
  guard sum.weight > 0 else { throw SFTError(.badData, "there is no supervised token to evaluate on") }
  return EvaluationResult(sum)
}

/// Samples 0 ..< `count`, packed into batches of about `tokenBudget` tokens: a sample at least, and no more than fit. `body`
/// gets each batch with its samples.
public func overBatches(
  _ count: Int, tokenBudget: Int = standardTokenBudget, sharesPrefixes: Bool, for decoder: Decoder,
  samples: (Int) throws -> Sample,
  _ body: (Batch, [Sample]) throws -> Void
) throws {
  try groups(count, tokenBudget: tokenBudget, samples: samples) { group in
    try body(
      Packer.pack(group, sharesPrefixes: sharesPrefixes, shortLength: decoder.configuration.shortLength), group)
  }
}

/// The samples of each of those batches.
private func groups(
  _ count: Int, tokenBudget: Int, samples: (Int) throws -> Sample, _ body: ([Sample]) throws -> Void
) throws {
  var pending: [Sample] = []
  var tokens = 0
  func flush() throws {
    try body(pending)
    pending.removeAll(keepingCapacity: true)
    tokens = 0
  }
  for index in 0..<count {
    let sample = try samples(index)
    if !pending.isEmpty, tokens + sample.tokens.count > tokenBudget { try flush() }
    pending.append(sample)
    tokens += sample.tokens.count
  }
  if !pending.isEmpty { try flush() }
}
