import Core

/// Which records each update takes: a function of seed and update alone, so nothing need be saved to resume.
///
/// The records run in an endless stream of epochs, each a new permutation (or the prepared order, without shuffling); update
/// s takes s·B ..< (s+1)·B of it.
public struct DataOrder: Sendable {
  private let count: Int
  private let seed: UInt64?
  private var epoch = -1
  private var permutation: [Int] = []

  /// `seed` nil keeps the prepared order.
  public init(count: Int, seed: UInt64?) {
    precondition(count > 0)
    self.count = count
    self.seed = seed
  }

  /// Record indices of the 0-based update `step` with `batch` records.
  public mutating func records(step: Int, batch: Int) -> [Int] {
    (step * batch..<(step + 1) * batch).map { position in
      guard let seed else { return position % count }
      let wanted = position / count
      if wanted != epoch {
        epoch = wanted
        var generator = SeededGenerator(seed: seed, stream: UInt64(wanted) &+ 0x6f72_6465)
        permutation = generator.permutation(count)
      }
      return permutation[position % count]
    }
  }
}
