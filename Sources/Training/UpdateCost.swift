import Core
import Models
import Packing

extension ValidationCost {
  /// Updates that stand for all.
  private static let examples = 8

  /// What an update costs on average, in rows through all blocks: the mean of the first ones, packed as they will be.
  /// `lowestLayer` is the lowest block in which anything is trained.
  public static func update(
    _ settings: TrainingSettings, _ decoder: Decoder, lowestLayer: Int, count: Int,
    samples: @escaping @Sendable (Int) -> Sample
  ) -> Double {
    let head = decoder.batchCost.supervisedToken
    let layers = Double(max(1, decoder.configuration.layers))
    // Gradients end at the lowest trained block; below it there may be stored outputs.
    let trained = (layers - Double(lowestLayer)) / layers
    // Inputs' gradients, and weights' where these are trained.
    let ways: Double = settings.lora == nil ? 2 : 1
    let again = max(0, Double(settings.recomputedBlocks(of: decoder.configuration.layers) - lowestLayer)) / layers
    let blocks = (settings.trunkLayer == nil ? 1 : trained) + trained * ways + again
    let updates = UpdateQueue(settings, count: count, for: decoder, trunk: nil, samples: samples)
    let taken = min(settings.steps, examples)
    let total = (0..<taken).reduce(0.0) { sum, step in
      updates.take(step).batches.reduce(sum) { sum, batch in
        sum + Double(batch.tokens.count) * blocks + Double(batch.supervisedRows.count) * head * (1 + ways)
      }
    }
    return total / Double(max(1, taken))
  }

  /// What a batch costs on the way forward alone.
  public static func forward(_ batch: Batch, _ decoder: Decoder) -> Double {
    Double(batch.tokens.count) + Double(batch.supervisedRows.count) * decoder.batchCost.supervisedToken
  }

  /// What a token costs that is generated, where a row of a batch costs 1: all weights are read for it alone, which takes as
  /// long as a dozen rows do (measured with 2 M and 124 M parameters, in float32 and in 4 bits).
  public static func generatedToken(_ decoder: Decoder) -> Double { 12 * (1 + decoder.batchCost.supervisedToken) }
}
