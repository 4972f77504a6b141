import CKernels
import Core

/// Dropout on attention weights. Which are kept is a function of seed, head, query row and key row, so the backward pass
/// finds the same.
public struct AttentionDropout: Sendable {
  public var probability: Float
  public var seed: UInt64

  public init(probability: Float, seed: UInt64) {
    self.probability = probability
    self.seed = seed
  }

  /// For one head and the queries of one run.
  package func ofHead(_ head: Int, _ run: AttentionRun) -> sft_attention_dropout {
    sft_attention_dropout(
      seed: SeededGenerator.mix(seed &+ UInt64(head &+ 1) &* 0x9e37_79b9_7f4a_7c15), first_row: UInt64(run.queryRow),
      p: probability)
  }
}
