import Kernels

/// What the head makes of a sequence's last token: all logits, or the largest alone, which reads half as much. Valid until
/// the next call of the pass that it is from.
public struct NextLogits {
  private let pass: InferencePass
  /// [C]: the stream after the last block at that token.
  private let stream: Floats

  init(_ pass: InferencePass, _ stream: Floats) { (self.pass, self.stream) = (pass, stream) }

  /// [V], valid until the pass's next call.
  public func all() -> UnsafeBufferPointer<Float> { pass.logits(stream, rows: 1) }

  /// The first token with the largest logit of those that the pass's shortlist does not leave out, and its
  /// logit, both as `all` has them; nil where they are to be taken from `all`.
  public func largest(_ shortlist: HeadShortlist) -> (token: Int, logit: Float)? {
    pass.memory.head.largest(pass.ends, stream, shortlist, pass.compute).map { ($0.row, $0.product) }
  }
}
