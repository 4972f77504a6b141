import Core
import Packing
import Testing

/// How the records of an update are divided among its micro-batches.
@Suite struct MicroBatchTests {
  private static let cost = Packer.Cost(supervisedToken: 0.5)

  /// By what is really packed.
  private static func cost(_ group: [Int], _ samples: [Sample], _ shares: Bool) -> Double {
    let batch = Packer.pack(group.map { samples[$0] }, sharesPrefixes: shares)
    return Double(batch.tokens.count) + 0.5 * Double(batch.supervisedTokens)
  }

  /// `count` samples with one of three preambles; lengths differ by a factor of ten.
  private static func samples(_ count: Int, seed: UInt64) -> [Sample] {
    var generator = SeededGenerator(seed: seed, stream: 1)
    return (0..<count).map { _ in
      let preamble = (0..<12).map { Int32($0 % 5) }
      let kind = Int32(generator.below(3))
      let prompt = [kind] + preamble + (0..<generator.below(20)).map { _ in Int32(generator.below(50)) }
      let answer = (0...generator.below(30)).map { _ in Int32(generator.below(50)) }
      return Sample(tokens: prompt + answer + [99], promptCount: prompt.count)
    }
  }

  @Test(arguments: 0..<8 as Range<UInt64>, [true, false]) func theDearestIsAsCheapAsCanBe(
    _ seed: UInt64, _ shares: Bool
  ) {
    let samples = Self.samples(9, seed: seed)
    let groups = Packer.microBatches(samples, count: 3, sharesPrefixes: shares, cost: Self.cost)
    #expect(groups.count <= 3 && groups.flatMap { $0 }.sorted() == Array(0..<9))
    #expect(groups.allSatisfy { $0 == $0.sorted() && !$0.isEmpty })
    let order =
      shares
      ? (0..<9).sorted { samples[$0].tokens.dropLast().lexicographicallyPrecedes(samples[$1].tokens.dropLast()) }
      : Array(0..<9)
    var best = Double.infinity
    for first in 1..<8 {
      for second in first + 1..<9 {
        let parts = [order[..<first], order[first..<second], order[second...]]
        best = min(best, parts.map { Self.cost(Array($0), samples, shares) }.max() ?? 0)
      }
    }
    let dearest = groups.map { Self.cost($0, samples, shares) }.max() ?? 0
    // Costs are rounded to 1/256.
    #expect(abs(dearest - best) < 0.1)
  }

  @Test(arguments: [true, false]) func theyCostAboutTheSame(_ shares: Bool) {
    let samples = Self.samples(64, seed: 3)
    let groups = Packer.microBatches(samples, count: 4, sharesPrefixes: shares, cost: Self.cost)
    let costs = groups.map { Self.cost($0, samples, shares) }
    let longest = samples.indices.map { Self.cost([$0], samples, shares) }.max() ?? 0
    #expect(groups.count == 4)
    #expect((costs.max() ?? 0) - (costs.min() ?? 0) < longest)
    // As in-order chunks of 16 they would hold more rows.
    let inOrder = (0..<4).map { Self.cost(Array($0 * 16..<$0 * 16 + 16), samples, shares) }
    if shares { #expect(costs.reduce(0, +) < inOrder.reduce(0, +)) }
    #expect((costs.max() ?? 0) <= (inOrder.max() ?? 0))
  }

  /// As few as each stay within so many rows, and still of about the same cost; but never more than were asked for.
  @Test(arguments: [true, false]) func smallOnesAreJoined(_ shares: Bool) {
    let samples = Self.samples(64, seed: 3)
    func costs(_ rows: Int, count: Int = 16) -> [Double] {
      let groups = Packer.microBatches(
        samples, count: count, sharesPrefixes: shares, cost: Self.cost, joinedRows: rows)
      #expect(groups.flatMap { $0 }.sorted() == Array(samples.indices))
      return groups.map { Self.cost($0, samples, shares) }
    }
    let longest = samples.indices.map { Self.cost([$0], samples, shares) }.max() ?? 0
    let all = costs(1 << 30)
    #expect(all.count == 1)
    #expect(costs(0).count == 16 && costs(1).count == 16)
    for parts in [2.0, 3, 5] {
      let limit = all[0] / parts + longest
      let some = costs(Int(limit))
      // Costs are rounded to 1/256.
      #expect(some.count < 16 && some.count >= 2 && (some.max() ?? 0) <= limit + 0.3)
      #expect((some.max() ?? 0) - (some.min() ?? 0) <= longest * 2)
    }
    #expect(costs(1, count: 4).count == 4)
  }

  /// Two templates, taking turns: each micro-batch gets one of them.
  @Test func samplesThatBeginAlikeStayTogether() {
    let samples = (0..<8).map { index in
      let preamble = [Int32](repeating: Int32(index % 2), count: 20)
      return Sample(tokens: preamble + [Int32(10 + index), 30, 99], promptCount: 21)
    }
    let groups = Packer.microBatches(samples, count: 2, sharesPrefixes: true, cost: Self.cost)
    #expect(groups == [[0, 2, 4, 6], [1, 3, 5, 7]])
    #expect(
      Packer.microBatches(samples, count: 2, sharesPrefixes: false, cost: Self.cost) == [[0, 1, 2, 3], [4, 5, 6, 7]])
  }

  @Test func edges() {
    let samples = Self.samples(3, seed: 1)
    func groups(_ samples: [Sample], _ count: Int) -> [[Int]] {
      Packer.microBatches(samples, count: count, sharesPrefixes: true, cost: Self.cost)
    }
    #expect(groups([], 4) == [])
    #expect(groups(samples, 1) == [[0, 1, 2]])
    #expect(groups(Array(samples[..<1]), 4) == [[0]])
    let alone = groups(samples, 8)
    #expect(alone.flatMap { $0 }.sorted() == [0, 1, 2])
    // Nothing to compute on is not a reason to fail.
    let empty = [Sample](repeating: Sample(tokens: [7], promptCount: 1), count: 3)
    #expect(groups(empty, 2).flatMap { $0 } == [0, 1, 2])
  }

  // MARK: - Shares

  @Test(arguments: 0..<8 as Range<UInt64>, [true, false]) func sharesAreAllRecordsAndCostAboutTheSame(
    _ seed: UInt64, _ prefixes: Bool
  ) {
    let samples = Self.samples(24, seed: seed)
    for count in [1, 2, 3, 4, 6] {
      let shares = Packer.shares(samples, count: count, sharesPrefixes: prefixes, cost: Self.cost)
      #expect(shares.count == count && shares.flatMap { $0 }.sorted() == Array(0..<24))
      #expect(shares.allSatisfy { $0 == $0.sorted() })
      let costs = shares.map { Self.cost($0, samples, prefixes) }
      let runs = Packer.microBatches(samples, count: count, sharesPrefixes: prefixes, cost: Self.cost)
      // Never dearer than runs of the sorted records, and nearly level.
      let dearest = costs.max() ?? 0
      #expect(dearest <= (runs.map { Self.cost($0, samples, prefixes) }.max() ?? 0) + 0.1)
      #expect(dearest < 1.25 * costs.reduce(0, +) / Double(count), "\(costs)")
    }
  }

  /// Eight records in two shares: as level as any division of them, or nearly so.
  @Test(arguments: 0..<6 as Range<UInt64>, [true, false]) func fewRecordsAreDividedAboutAsWellAsCanBe(
    _ seed: UInt64, _ prefixes: Bool
  ) {
    let samples = Self.samples(8, seed: seed)
    func dearest(_ shares: [[Int]]) -> Double { shares.map { Self.cost($0, samples, prefixes) }.max() ?? 0 }
    let all = (1..<128).map { bits in
      [true, false].map { side in (0..<8).filter { (bits >> $0 & 1 == 1) == side } }
    }
    let least = all.map(dearest).min() ?? 0
    let found = dearest(Packer.shares(samples, count: 2, sharesPrefixes: prefixes, cost: Self.cost))
    #expect(found <= 1.03 * least, "\(found) where \(least) can be had")
  }

  @Test func thereMayBeMoreSharesThanRecords() {
    let samples = Self.samples(2, seed: 1)
    let shares = Packer.shares(samples, count: 4, sharesPrefixes: true, cost: Self.cost)
    #expect(shares.count == 4 && shares.flatMap { $0 }.sorted() == [0, 1])
    #expect(Packer.shares([], count: 2, sharesPrefixes: false, cost: Self.cost) == [[], []])
  }
}
