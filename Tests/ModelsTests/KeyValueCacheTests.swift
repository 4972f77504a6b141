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
