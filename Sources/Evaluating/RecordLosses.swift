import Core
import Generating
import Models

/// How likely a model finds each of `count` samples' answers, EOS included; packed into batches as `evaluate` packs them.
/// Only the batch at hand is in memory.
///
/// Throws `badData` where the model's output is no number.
public func answerLikelihoods(
  _ pass: InferencePass, count: Int, tokenBudget: Int = standardTokenBudget, progress: (Int) -> Void = { _ in },
  samples: (Int) throws -> Sample
) throws -> [Likelihood] {
  let plain = pass.compute.engine == .plain
  var results: [Likelihood] = []
  results.reserveCapacity(count)
  try overBatches(
    count, tokenBudget: plain ? 0 : tokenBudget, sharesPrefixes: !plain, for: pass.decoder, samples: samples
  ) {
    results += pass.likelihoods($1, in: $0)
    progress(results.count)
  }
  guard results.allSatisfy(\.loss.isFinite) else { throw Generation.notFinite }
  return results
}

extension InferencePass {
  /// `batch` is `samples` packed with their prefixes shared, or one sample alone.
  fileprivate func likelihoods(_ samples: [Sample], in batch: Batch) -> [Likelihood] {
    let rows = batch.supervisedRows
    var results = [Likelihood](repeating: Likelihood(), count: samples.count)
    guard !rows.isEmpty else { return results }
    let numbers = Dictionary(uniqueKeysWithValues: rows.enumerated().map { ($1, $0) })
    var targets = [[(sample: Int, token: Int32)]](repeating: [], count: rows.count)
    let paths = batch.rows(of: samples)
    for (index, sample) in samples.enumerated() {
      for position in sample.predicted.joined() {
        guard let number = numbers[paths[index][position - 1]] else { preconditionFailure("a target has no row") }
        targets[number].append((index, sample.tokens[position]))
      }
    }
    forEachLogits(batch, rows: rows) { number, logits in
      let normaliser = logSumExp(logits)
      for target in targets[number] { results[target.sample].add(target.token, logits, normaliser) }
    }
    return results
  }
}

extension Batch {
  /// The row of each token but the last of each sample: the way from a root whose tokens are the sample's.
  fileprivate func rows(of samples: [Sample]) -> [[Int]] {
    let children = Dictionary(grouping: segments.indices) { segments[$0].parent ?? -1 }
    return samples.map { sample in
      let isLong = isLong(sample.tokens.count)
      var rows: [Int] = []
      var parent = -1
      while rows.count < sample.tokens.count - 1 {
        let next = children[parent]?.first {
          segments[$0].isLong == isLong && tokens[segments[$0].rows.lowerBound] == sample.tokens[rows.count]
        }
        guard let next else { preconditionFailure("the batch does not hold the sample") }
        rows += segments[next].rows
        parent = next
      }
      // A sequence may end within a segment only where that is a longer one's.
      return rows
    }
  }
}
