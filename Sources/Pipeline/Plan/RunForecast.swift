import Core
import Models
import Training

/// How a training's batches will be: packed as the run will pack them, and counted.
struct RunForecast {
  /// Updates whose batches are looked at, in tokens: of a longer run the first ones stand for all.
  private static let tokenLimit = 20_000_000

  /// Rows and supervised rows of an update, on average, over all its micro-batches.
  private(set) var rows = 0.0
  private(set) var supervised = 0.0
  private(set) var batches = 0.0
  /// Tokens whose vectors are looked at.
  var tokens: Set<Int32> { Set(isSeen.indices.filter { isSeen[$0] }.map { Int32($0) }) }
  private var isSeen: [Bool] = []
  /// Pairs of a query and a key it sees, on average.
  private(set) var pairs = 0.0

  /// Tells `footprint` of every batch.
  init(
    _ settings: TrainingSettings, _ decoder: Decoder, _ footprint: TrainingFootprint, count: Int,
    samples: @escaping @Sendable (Int) -> Sample
  ) {
    isSeen = [Bool](repeating: false, count: decoder.configuration.vocabularySize)
    let updates = forEachUpdate(
      settings, count: count, for: decoder, tokenLimit: Self.tokenLimit, samples: samples
    ) { batches, _ in
      for batch in batches {
        footprint.addUpdate(batch)
        for token in batch.tokens where isSeen.indices.contains(Int(token)) { isSeen[Int(token)] = true }
        rows += Double(batch.tokens.count)
        supervised += Double(batch.supervisedRows.count)
        pairs += Self.pairs(batch)
        self.batches += 1
      }
    }
    let each = 1 / Double(max(1, updates))
    (rows, supervised, pairs, batches) = (rows * each, supervised * each, pairs * each, batches * each)
  }

  /// Of one batch.
  init(_ batch: Batch) {
    (rows, supervised, batches) = (Double(batch.tokens.count), Double(batch.supervisedRows.count), 1)
    pairs = Self.pairs(batch)
  }

  /// A row sees itself and all before it in its sequences.
  private static func pairs(_ batch: Batch) -> Double {
    batch.segments.reduce(0.0) { sum, segment in
      let (first, count) = (Double(segment.startPosition), Double(segment.rows.count))
      return sum + count * first + count * (count + 1) / 2
    }
  }
}
