import Core
import Models
import Packing

/// The data that output errors were measured over.
public struct ObservedData: Sendable, Equatable, Codable {
  /// Records shown to the model, of `total_records` that there were.
  public var records: Int
  public var totalRecords: Int
  /// Tokens that the linears got. The last of each record, which is only ever predicted, is not among them.
  public var tokens: Int
}

/// Shows `meter` as many whole samples as `tokenLimit` tokens allow (one at least), evenly spread over all of them. Each
/// counts in full, whatever it shares with others.
///
/// Throws `badData` where the model gives outputs that are not finite.
public func observe(_ meter: OutputErrorMeter, _ samples: [Sample], tokenLimit: Int) throws -> ObservedData {
  let chosen = evenlySpaced(samples.map { max(0, $0.tokens.count - 1) }, limit: tokenLimit)
  try overBatches(chosen.count, sharesPrefixes: false, for: meter.decoder, samples: { samples[chosen[$0]] }) {
    batch, _ in meter.add(batch)
  }
  guard meter.relativeErrors.allSatisfy({ $0?.isFinite ?? true }) else {
    throw SFTError(
      .badData, "a linear's outputs are not finite numbers: the weights of the model hold values that are too large")
  }
  return ObservedData(
    records: chosen.count, totalRecords: samples.count,
    tokens: chosen.reduce(0) { $0 + samples[$1].tokens.count - 1 })
}

/// Indices whose `lengths` add up to `limit` at most: each is taken as soon as the share of the limit that falls to what has
/// been passed allows it. The first alone where all are longer than the limit.
private func evenlySpaced(_ lengths: [Int], limit: Int) -> [Int] {
  let share = Double(limit) / Double(max(1, lengths.reduce(0, +)))
  var chosen: [Int] = []
  var (passed, taken) = (0, 0)
  for (index, length) in lengths.enumerated() {
    passed += length
    if Double(taken + length) <= share * Double(passed) {
      chosen.append(index)
      taken += length
    }
  }
  return chosen.isEmpty ? Array(lengths.indices.prefix(1)) : chosen
}
