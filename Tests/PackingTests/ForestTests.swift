import Core
import Packing
import Testing

/// What holds for every forest, on random records of few different tokens, so that much is shared.
@Suite struct ForestTests {
  static func samples(seed: UInt64) -> [Sample] {
    var generator = SeededGenerator(seed: seed)
    let preamble = (0..<generator.below(6)).map { _ in Int32(generator.below(3)) }
    var samples = (0..<1 + generator.below(12)).map { _ in
      let own = (0..<generator.below(9)).map { _ in Int32(generator.below(3)) }
      let tokens = preamble + own
      return Sample(tokens: tokens, supervised: ranges(of: tokens.count, &generator))
    }
    // One that stands twice, and one that is the beginning of another.
    samples.append(samples[0])
    let longest = samples.max { $0.tokens.count < $1.tokens.count } ?? samples[0]
    let half = longest.tokens.count / 2
    samples.append(Sample(tokens: Array(longest.tokens.prefix(half)), promptCount: min(half, 1)))
    return samples
  }

  /// Some of `count` positions, in runs.
  private static func ranges(of count: Int, _ generator: inout SeededGenerator) -> [Range<Int>] {
    var ranges: [Range<Int>] = []
    var start = generator.below(count + 1)
    while start < count {
      let end = start + 1 + generator.below(count - start)
      ranges.append(start..<end)
      start = end + 1 + generator.below(3)
    }
    return ranges
  }

  /// The child that goes on with `token`, or a root for nil.
  private func next(_ batch: Batch, after parent: Int?, token: Int32) -> Int? {
    batch.segments.indices.first { index in
      let segment = batch.segments[index]
      return segment.parent == parent && batch.tokens[segment.rows.lowerBound] == token
    }
  }

  /// Rows of a sequence, found by walking the forest.
  private func path(_ tokens: ArraySlice<Int32>, in batch: Batch) -> [Int]? {
    var (rows, parent, rest): ([Int], Int?, ArraySlice<Int32>) = ([], nil, tokens)
    while let token = rest.first {
      guard let segment = next(batch, after: parent, token: token) else { return nil }
      for row in batch.segments[segment].rows {
        guard let expected = rest.first else { return rows }
        guard batch.tokens[row] == expected else { return nil }
        rows.append(row)
        rest = rest.dropFirst()
      }
      parent = segment
    }
    return rows
  }

  @Test(arguments: 0..<200 as Range<UInt64>) func everySequenceIsAPath(_ seed: UInt64) throws {
    let samples = Self.samples(seed: seed)
    let batch = Packer.pack(samples, sharesPrefixes: true)
    var weights: [[Int32: Float]] = batch.tokens.map { _ in [:] }
    for sample in samples where sample.tokens.count >= 2 {
      let rows = try #require(path(sample.tokens.dropLast(), in: batch))
      #expect(rows.count == sample.tokens.count - 1)
      for (position, row) in rows.enumerated() {
        #expect(batch.positions[row] == position)
        if sample.labels[position + 1] >= 0 { weights[row][sample.tokens[position + 1], default: 0] += 1 }
      }
    }
    // Each target is there once, in order, with the number of sequences that have it.
    let expected = weights.enumerated().flatMap { row, tokens in
      tokens.sorted { $0.key < $1.key }.map { Batch.Target(row: row, token: $0.key, weight: $0.value) }
    }
    #expect(batch.targets == expected)
    #expect(batch.supervisedTokens == samples.reduce(0) { $0 + $1.supervisedCount })
    #expect(batch.recordTokens == samples.reduce(0) { $0 + $1.tokens.count })
  }

  @Test(arguments: 0..<100 as Range<UInt64>) func theForestIsWellFormed(_ seed: UInt64) {
    let samples = Self.samples(seed: seed)
    for shares in [false, true] {
      let batch = Packer.pack(samples, sharesPrefixes: shares)
      #expect(batch.segments.flatMap { Array($0.rows) } == Array(batch.tokens.indices))
      for (index, segment) in batch.segments.enumerated() {
        #expect(!segment.rows.isEmpty && segment.parent ?? -1 < index)
        let start = segment.parent.map { batch.segments[$0].startPosition + batch.segments[$0].rows.count } ?? 0
        #expect(segment.startPosition == start)
      }
      // As few rows as there are different beginnings, if shared; as many as there are tokens, if not.
      let inputs = samples.map { $0.tokens.dropLast() }
      let prefixes = inputs.flatMap { input in input.indices.map { Array(input[...$0]) } }
      #expect(batch.tokens.count == (shares ? Set(prefixes).count : prefixes.count))
    }
  }

  /// Nothing depends on the order in which dictionaries are walked, nor, when sharing, on that of the records.
  @Test(arguments: 0..<50 as Range<UInt64>) func packingRepeats(_ seed: UInt64) {
    let samples = Self.samples(seed: seed)
    let batch = Packer.pack(samples, sharesPrefixes: true)
    for _ in 0..<5 { #expect(Packer.pack(samples, sharesPrefixes: true) == batch) }
    var generator = SeededGenerator(seed: seed &+ 1)
    let shuffled = generator.permutation(samples.count).map { samples[$0] }
    #expect(Packer.pack(shuffled, sharesPrefixes: true) == batch)
  }
}
