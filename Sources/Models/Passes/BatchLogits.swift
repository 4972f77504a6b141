import Kernels

/// What the head makes of the last tokens of sequences that were extended together. Valid until the next call of the pass that
/// it is from.
public struct BatchLogits {
  private let pass: InferencePass
  /// [rows, C]: the stream after the last block, sorted by adapter.
  private let stream: Floats
  /// Where a sequence's row is, in the order of the call.
  private let places: [Int]
  private let shares: [AdapterShare]

  init(_ pass: InferencePass, _ stream: Floats, places: [Int], shares: [AdapterShare]) {
    (self.pass, self.stream, self.places, self.shares) = (pass, stream, places, shares)
  }

  /// Each sequence's logits [V], in the order of the call, valid until the pass's next call.
  public func all() -> [UnsafeBufferPointer<Float>] {
    let classes = pass.decoder.configuration.vocabularySize
    let logits = pass.logits(stream, rows: places.count, shares: shares, kernels: .byRow)
    return places.map { UnsafeBufferPointer(rebasing: logits[$0 * classes..<($0 + 1) * classes]) }
  }

  /// Of a single sequence, the first token with the largest logit of those that its adapter's shortlist does not leave out, and
  /// its logit, both as `all` has them; nil where they are to be taken from `all`.
  public func largest(_ shortlist: HeadShortlist) -> (token: Int, logit: Float)? {
    guard places.count == 1, let share = shares.first else { return nil }
    return pass.memory.head.largest(pass.decoder.ends(with: share.adapter), stream, shortlist, pass.compute)
      .map { ($0.row, $0.product) }
  }
}
