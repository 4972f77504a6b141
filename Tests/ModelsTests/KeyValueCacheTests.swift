import Core
import Kernels
import Models
import Packing
import TestSupport
import Testing

@Suite struct KeyValueCacheTests {
  private static func model() -> RandomModel {
    var model = RandomModel()
    model.context = 90
    return model
  }

  /// Logits [N][V] after each token, computed at once.
  private static func whole(_ pass: InferencePass, _ tokens: [Int32]) -> [[Float]] {
    let segment = Batch.Segment(rows: 0..<tokens.count, startPosition: 0, parent: nil)
    let batch = Batch(tokens: tokens, segments: [segment], targets: [], recordTokens: tokens.count)
    let logits = pass.logits(batch, rows: Array(tokens.indices))
    let classes = pass.decoder.configuration.vocabularySize
    return tokens.indices.map { Array(logits[$0 * classes..<($0 + 1) * classes]) }
  }

  private static let tokens = SeededGenerator.tokens(80)

  @Test(arguments: Engine.allCases, [[], [1], [7, 1, 40, 3], [64], [65, 2]])
  func extendingAgreesWithTheWhole(_ engine: Engine, _ chunks: [Int]) throws {
    let model = Self.model()
    let decoder = try model.decoder()
    // With an adapter and without.
    let adapter = chunks.count < 2 ? try model.adapter(LoRAConfiguration(rank: 3), for: decoder) : nil
    let pass = InferencePass(decoder, adapter, Compute(engine: engine))
    let expected = Self.whole(pass, Self.tokens)
    let cache = KeyValueCache(decoder, capacity: 80)
    // Chunks first, the rest one at a time.
    for count in chunks + [Int](repeating: 1, count: 80 - chunks.reduce(0, +)) {
      let logits = Array(pass.extend(cache, with: Array(Self.tokens[cache.count..<cache.count + count])))
      let wanted = expected[cache.count - 1]
      #expect(zip(logits, wanted).allSatisfy { abs($0 - $1) < 1e-4 })
      #expect(logits.count == wanted.count && largestError(logits, wanted) < 1e-5)
    }
    #expect(cache.count == 80)
  }

  /// Three sequences in one pass, of unequal lengths; two continue a third cache, one of those by another cache between.
  @Test(arguments: Engine.allCases) func severalAtOnceAgreeWithTheWhole(_ engine: Engine) throws {
    let decoder = try Self.model().decoder()
    let adapter = try Self.model().adapter(LoRAConfiguration(rank: 3), for: decoder)
    let pass = InferencePass(decoder, adapter, Compute(engine: engine))
    let tokens = Self.tokens
    let texts = [tokens, Array(tokens.prefix(20) + tokens.suffix(40)), Array(tokens.reversed().prefix(50))]
    let expected = texts.map { Self.whole(pass, $0) }
    let root = KeyValueCache(decoder, capacity: 20)
    _ = pass.extend(root, with: Array(tokens.prefix(20)))
    let middle = KeyValueCache(continuing: root, capacity: 33, decoder)
    _ = pass.extend(middle, with: Array(tokens[20..<33]))
    let caches = [
      KeyValueCache(continuing: middle, capacity: 80, decoder), KeyValueCache(continuing: root, capacity: 80, decoder),
      KeyValueCache(decoder, capacity: 80),
    ]
    #expect(caches.map(\.count) == [33, 20, 0])
    let classes = decoder.configuration.vocabularySize
    for counts in [[1, 5, 9], [7, 1, 1], [1, 1, 30], [2, 1, 1], [30, 3, 1]] {
      let added = zip(zip(texts, caches), counts).map { Array($0.0[$0.1.count..<$0.1.count + $1]) }
      let logits = Array(pass.extend(caches, with: added))
      for (index, cache) in caches.enumerated() {
        let own = Array(logits[index * classes..<(index + 1) * classes])
        #expect(largestError(own, expected[index][cache.count - 1]) < 1e-5)
      }
    }
    // What others share is theirs, whatever is written after it; and one takes over from another.
    root.truncate(to: 7)
    _ = pass.extend(root, with: Array(tokens.suffix(13)))
    caches[0].truncate(to: 0)
    #expect(caches[0].count == 0)
    let copy = KeyValueCache(continuing: root, capacity: 80, decoder)
    copy.copy(caches[1])
    let next = texts[1][copy.count]
    let logits = Array(pass.extend(copy, with: [next]))
    #expect(largestError(logits, expected[1][copy.count - 1]) < 1e-5)
    #expect(caches[1].count == copy.count - 1)
  }

  @Test func truncatingGoesBack() throws {
    let decoder = try Self.model().decoder()
    let pass = InferencePass(decoder, nil, Compute())
    let cache = KeyValueCache(decoder, capacity: 80)
    _ = pass.extend(cache, with: Array(Self.tokens[..<50]))
    cache.truncate(to: 60)
    #expect(cache.count == 50)
    cache.truncate(to: 20)
    #expect(cache.count == 20)
    let other = Array(Self.tokens.reversed().prefix(30))
    let expected = Self.whole(pass, Array(Self.tokens[..<20]) + other)
    #expect(largestError(Array(pass.extend(cache, with: other)), expected[49]) < 1e-5)
    cache.truncate(to: 0)
    let fresh = Array(pass.extend(cache, with: [3]))
    #expect(largestError(fresh, Self.whole(pass, [3])[0]) < 1e-5)
  }

  @Test func capacityEndsAtTheContext() throws {
    let decoder = try Self.model().decoder()
    #expect(KeyValueCache(decoder, capacity: 1000).capacity == 90)
    #expect(KeyValueCache(decoder, capacity: 10).capacity == 10)
  }
}

extension SeededGenerator {
  /// Tokens of the random model, without EOS.
  fileprivate static func tokens(_ count: Int) -> [Int32] {
    var generator = SeededGenerator(seed: 12)
    return (0..<count).map { _ in Int32(1 + generator.below(60)) }
  }
}
