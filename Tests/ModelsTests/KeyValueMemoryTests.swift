import Core
import Kernels
import Models
import TestSupport
import Testing
import Weights

/// What a cache keeps, seen from outside: its memory, and that it makes no difference to the bits.
@Suite struct KeyValueMemoryTests {
  private static func model(_ family: Architecture, context: Int) -> RandomModel {
    var model = RandomModel(family)
    model.context = context
    return model
  }

  private static func tokens(_ count: Int) -> [Int32] {
    var generator = SeededGenerator(seed: 31)
    return (0..<count).map { _ in Int32(1 + generator.below(60)) }
  }

  /// Mistral's layers all have a window of 6; Gemma 3's but for every second one.
  @Test func memoryGrowsWithWhatIsKept() throws {
    for (family, fullLayers) in [(Architecture.llama, 3), (.gemma3Text, 1), (.mistral, 0)] {
      let decoder = try Self.model(family, context: 100_000).decoder()
      let pass = InferencePass(decoder, nil, Compute())
      let cache = KeyValueCache(decoder, capacity: 100_000)
      let row = 2 * decoder.configuration.keyValueWidth * MemoryLayout<Float>.stride
      #expect(cache.bytes == 0)
      let tokens = Self.tokens(1500)
      _ = pass.extend(cache, with: Array(tokens.prefix(700)))
      for token in tokens[700...] { _ = pass.extend(cache, with: [token]) }
      let full = fullLayers * row
      #expect(cache.bytes >= 1500 * full && cache.bytes <= 2 * 1536 * full + (3 - fullLayers) * 512 * row, "\(family)")
    }
  }

  /// A window of 6 lets go of keys a tile at a time.
  @Test(arguments: [Architecture.mistral, .gemma3Text, .gemma2], [[1], [64, 1], [7, 130, 1, 1, 64]])
  func lettingGoChangesNoBits(_ family: Architecture, _ chunks: [Int]) throws {
    let decoder = try Self.model(family, context: 1000).decoder()
    let pass = InferencePass(decoder, nil, Compute())
    let tokens = Self.tokens(400)
    let cache = KeyValueCache(decoder, capacity: 1000)
    let whole = KeyValueCache(decoder, capacity: 1000, keepsAll: true)
    let copy = KeyValueCache(decoder, capacity: 1000)
    var index = 0
    while cache.count < tokens.count {
      let count = min(chunks[index % chunks.count], tokens.count - cache.count)
      let next = Array(tokens[cache.count..<cache.count + count])
      copy.copy(cache)
      let logits = Array(pass.extend(cache, with: next))
      #expect(sameBits(logits, Array(pass.extend(whole, with: next))))
      #expect(sameBits(logits, Array(pass.extend(copy, with: next))))
      index += 1
    }
    let expected = pass.logits(Batch(sequence: tokens + [5], shortLength: nil), rows: [400])
    #expect(largestError(Array(pass.extend(cache, with: [5])), expected) < 1e-5)
  }

  /// A shared beginning whose rows the window has let go in part.
  @Test func sharingALongBeginningChangesNoBits() throws {
    let decoder = try Self.model(.mistral, context: 1000).decoder()
    let pass = InferencePass(decoder, nil, Compute())
    let tokens = Self.tokens(300)
    func logits(keepsAll: Bool) -> [[Float]] {
      let root = KeyValueCache(decoder, capacity: 200, keepsAll: keepsAll)
      for start in stride(from: 0, to: 200, by: 10) { _ = pass.extend(root, with: Array(tokens[start..<start + 10])) }
      let cache = KeyValueCache(continuing: root, capacity: 1000, decoder)
      return tokens[200...].map { Array(pass.extend(cache, with: [$0])) }
    }
    for (kept, whole) in zip(logits(keepsAll: false), logits(keepsAll: true)) { #expect(sameBits(kept, whole)) }
  }

  @Test func goingBackBehindAWindowForgetsAll() throws {
    let decoder = try Self.model(.mistral, context: 1000).decoder()
    let pass = InferencePass(decoder, nil, Compute())
    let cache = KeyValueCache(decoder, capacity: 1000)
    let tokens = Self.tokens(300)
    let whole = KeyValueCache(decoder, capacity: 1000, keepsAll: true)
    for token in tokens { _ = pass.extend([cache, whole], with: [[token], [token]]) }
    whole.truncate(to: 20)
    #expect(whole.count == 20)
    cache.truncate(to: 299)
    #expect(cache.count == 299)
    let logits = Array(pass.extend(cache, with: [tokens[299]]))
    #expect(largestError(logits, pass.logits(Batch(sequence: tokens, shortLength: nil), rows: [299])) < 1e-5)
    cache.truncate(to: 20)
    #expect(cache.count == 0)
    let fresh = Array(pass.extend(cache, with: [3]))
    #expect(largestError(fresh, pass.logits(Batch(sequence: [3], shortLength: nil), rows: [0])) < 1e-5)
  }
}
