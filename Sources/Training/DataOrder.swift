import Core

/// Which records each update takes: a function of seed and update alone, so nothing need be saved to resume.
///
/// The records run in an endless stream of epochs, each a new permutation (or the prepared order, without shuffling).
/// Updates take it piece by piece: update s of B records takes s·B ..< (s+1)·B of it; updates of N tokens each take records
/// until their tokens reach N, one at least, and the next update goes on after the last of them.
public struct DataOrder: Sendable {
  private let count: Int
  private let seed: UInt64?
  /// Tokens of each record; only updates of so many tokens need them.
  private let lengths: [Int]
  private var epoch = -1
  private var permutation: [Int] = []
  /// The next update of so many tokens, and where in the stream it begins.
  private var next = (step: 0, position: 0, tokens: 0)

  /// `seed` nil keeps the prepared order.
  public init(count: Int, seed: UInt64?, lengths: [Int] = []) {
    precondition(count > 0 && (lengths.isEmpty || lengths.count == count))
    self.count = count
    self.seed = seed
    self.lengths = lengths
  }

  /// Record indices of the 0-based update `step` with `batch` records.
  public mutating func records(step: Int, batch: Int) -> [Int] {
    (step * batch..<(step + 1) * batch).map { record(at: $0) }
  }

  /// Record indices of the 0-based update `step`, each of `tokens` tokens or a few more. Asked out of turn, it goes through
  /// the updates before it.
  public mutating func records(step: Int, tokens: Int) -> [Int] {
    if tokens != next.tokens || step < next.step { next = (0, 0, tokens) }
    while next.step < step { _ = take(tokens) }
    return take(tokens)
  }

  /// How many updates of `tokens` tokens it takes until `records` of the stream have been taken.
  public mutating func updates(taking records: Int, tokens: Int) -> Int {
    next = (0, 0, tokens)
    while next.position < records { _ = take(tokens) }
    return next.step
  }

  private mutating func take(_ tokens: Int) -> [Int] {
    var taken: [Int] = []
    var sum = 0
    while sum < tokens {
      let record = record(at: next.position)
      taken.append(record)
      sum += max(1, lengths[record])
      next.position += 1
    }
    next.step += 1
    return taken
  }

  private mutating func record(at position: Int) -> Int {
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
