/// Where a training pass keeps what the way back needs of each block.
///
/// Of the lowest `recomputed` blocks only the inputs are kept, and the rest is computed again on the way back, one block after
/// the other, in one place. The last block has that place first: it is done with it before anything is recomputed.
struct ActivationPlaces {
  /// From 0 to `blocks`.
  let recomputed: Int
  let blocks: Int

  init(recomputed: Int, blocks: Int) {
    self.recomputed = min(max(0, recomputed), blocks)
    self.blocks = blocks
  }

  func isRecomputed(_ layer: Int) -> Bool { layer < recomputed && layer < blocks - 1 }

  /// Whether a block has its place with others, and its input elsewhere.
  func isShared(_ layer: Int) -> Bool { recomputed > 0 && (layer < recomputed || layer == blocks - 1) }

  /// The number of a block's place.
  func place(_ layer: Int) -> Int {
    if isShared(layer) { return 0 }
    return recomputed == 0 ? layer : layer - recomputed + 1
  }
}
