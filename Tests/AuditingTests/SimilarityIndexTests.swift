import Auditing
import Core
import Testing

/// The index against the comparison of all with all.
@Suite struct SimilarityIndexTests {
  /// Sets in families: random ones, each with kin that lacks some elements and has some others.
  private func families(_ seed: UInt64) -> [[UInt64]] {
    var random = SeededGenerator(seed: seed)
    var sets: [[UInt64]] = []
    for _ in 0..<60 {
      // Frequent elements among rare ones.
      let head = (0..<random.below(30)).map { _ in
        random.below(3) == 0 ? UInt64(random.below(20)) : UInt64(1000 + random.below(100_000))
      }
      for _ in 0..<(1 + random.below(5)) {
        let kept = head.filter { _ in random.below(12) > 0 }
        let added = (0..<random.below(4)).map { _ in UInt64(1000 + random.below(100_000)) }
        sets.append(Set(kept + added).sorted())
      }
    }
    return sets
  }

  private func similarity(_ a: [UInt64], _ b: [UInt64]) -> Double {
    let (a, b) = (Set(a), Set(b))
    return Double(a.intersection(b).count) / Double(max(1, a.union(b).count))
  }

  @Test(arguments: [0.5, 0.6, 0.75, 0.8, 1])
  func findsWhatComparingAllWithAllFinds(_ threshold: Double) {
    var found = 0
    for seed in UInt64(1)...5 {
      let sets = families(seed)
      var index = SimilarityIndex(sets, threshold: threshold)
      for number in sets.indices {
        var best: (set: Int, similarity: Double)?
        for other in 0..<number where !sets[number].isEmpty {
          let similarity = similarity(sets[number], sets[other])
          if similarity >= threshold - 1e-9, similarity > best?.similarity ?? 0 { best = (other, similarity) }
        }
        let nearest = index.nearest(to: number)
        #expect(nearest?.set == best?.set)
        #expect(nearest?.similarity == best?.similarity)
        found += best == nil ? 0 : 1
        index.add(number)
      }
      #expect(index.cutShort == 0)
    }
    #expect(found > 10)
  }

  @Test func countsWhatItCutsShort() {
    // Sets that have one element in common, and half of twenty that are more frequent, so that nothing rules them out.
    var random = SeededGenerator(seed: 3)
    let count = SimilarityIndex.candidateLimit + 10
    let sets = (0..<count).map { _ in [1] + random.permutation(20).prefix(10).map { UInt64(100 + $0) }.sorted() }
    let others = [[UInt64]](repeating: (0..<20).map { UInt64(100 + $0) }, count: count)
    var index = SimilarityIndex(sets + others, threshold: 0.5)
    for number in sets.indices {
      _ = index.nearest(to: number)
      index.add(number)
    }
    #expect(index.cutShort == 9)
  }
}
