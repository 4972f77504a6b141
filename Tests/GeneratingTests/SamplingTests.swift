import Core
import Generating
import Glibc
import JSON
import TestSupport
import Testing

@Suite struct SamplingTests {
  private static func choose(
    _ settings: SamplingSettings, _ logits: [Float], _ generator: inout SeededGenerator
  ) -> Int {
    logits.withUnsafeBufferPointer { settings.choose($0, &generator) }
  }

  /// The distribution, worked out plainly: softmax at the temperature, the k most likely of it, and of these the fewest
  /// that together have p of what is left.
  private static func distribution(_ settings: SamplingSettings, _ logits: [Float]) -> [Double] {
    let scaled = logits.map { Double($0) / settings.temperature }
    let largest = scaled.max() ?? 0
    func normalised(_ weights: [Double]) -> [Double] {
      let total = weights.reduce(0, +)
      return weights.map { $0 / total }
    }
    var probabilities = normalised(scaled.map { exp($0 - largest) })
    func keep(_ tokens: some Sequence<Int>) {
      let kept = Set(tokens)
      probabilities = normalised(probabilities.indices.map { kept.contains($0) ? probabilities[$0] : 0 })
    }
    let ranked = logits.indices.sorted { (logits[$1], $0) < (logits[$0], $1) }
    if let k = settings.topK { keep(ranked.prefix(k)) }
    if let p = settings.topP {
      var (sum, count) = (0.0, 0)
      while count < ranked.count, sum < p - 1e-12 {
        sum += probabilities[ranked[count]]
        count += 1
      }
      keep(ranked.prefix(count))
    }
    if let minP = settings.minP {
      let most = probabilities.max() ?? 0
      keep(probabilities.indices.filter { probabilities[$0] >= minP * most })
    }
    return probabilities
  }

  static let settings: [SamplingSettings] = [0.3, 1, 2.5].flatMap { temperature in
    [(nil, nil), (1, nil), (5, nil), (1000, nil), (nil, 0.5), (nil, 0.9), (nil, 1), (6, 0.7)].map { topK, topP in
      SamplingSettings(temperature: temperature, topK: topK, topP: topP)
    }
      + [(nil, nil, 0.2), (nil, nil, 0), (8, nil, 0.4), (nil, 0.9, 0.1), (12, 0.8, 1)].map { topK, topP, minP in
        SamplingSettings(temperature: temperature, topK: topK, topP: topP, minP: minP)
      }
  }

  @Test(arguments: settings) func frequenciesAreTheDistribution(_ settings: SamplingSettings) {
    let logits = noise(20, seed: 4, scale: 1.3)
    let expected = Self.distribution(settings, logits)
    var generator = SeededGenerator(seed: 99)
    var counts = [Int](repeating: 0, count: 20)
    let draws = 20_000
    for _ in 0..<draws { counts[Self.choose(settings, logits, &generator)] += 1 }
    for token in 0..<20 {
      let deviation = (Double(draws) * expected[token] * (1 - expected[token])).squareRoot()
      #expect(abs(Double(counts[token]) - Double(draws) * expected[token]) <= 5 * deviation + 1e-6, "token \(token)")
    }
  }

  /// What is drawn has transformers' own distribution: see `Fixtures/make_decoding.py`.
  @Test func frequenciesAreTransformers() throws {
    let reference = try parseJSONFile(ReferenceCase("gpt2-tiny").folder + "/decoding.json")
    let cases = try #require(reference["distributions"]?.array)
    #expect(cases.count == 10)
    for example in cases {
      let settings = SamplingSettings(
        temperature: example["temperature"]?.double ?? .nan, topK: example["top_k"]?.int,
        topP: example["top_p"]?.double, minP: example["min_p"]?.double,
        repetitionPenalty: example["repetition_penalty"]?.double ?? .nan)
      var logits = (example["logits"]?.array ?? []).compactMap { $0.double.map(Float.init) }
      let expected = (example["probabilities"]?.array ?? []).compactMap(\.double)
      let seen = Set((example["seen"]?.array ?? []).compactMap { $0.int.map(Int32.init) })
      logits.withUnsafeMutableBufferPointer { settings.penalise($0, seen) }
      var generator = SeededGenerator(seed: 17)
      var counts = [Int](repeating: 0, count: logits.count)
      let draws = 20_000
      for _ in 0..<draws { counts[Self.choose(settings, logits, &generator)] += 1 }
      for (token, probability) in expected.enumerated() {
        let deviation = (Double(draws) * probability * (1 - probability)).squareRoot()
        #expect(
          abs(Double(counts[token]) - Double(draws) * probability) <= 5 * deviation + 1e-6,
          "\(settings), token \(token)")
        // What is excluded is never drawn.
        if probability == 0 { #expect(counts[token] == 0) }
      }
    }
  }

  @Test func whatHasNoEffectIsNamed() {
    #expect(
      SamplingSettings(temperature: 0, topK: 5, topP: 0.5, minP: 0.1).ineffective == [.topK, .topP, .minP])
    #expect(SamplingSettings(temperature: 0, repetitionPenalty: 2).ineffective == [])
    #expect(SamplingSettings(temperature: 0.1, topK: 5).ineffective == [])
  }

  /// Equals at the edge of the k go by their place in the vocabulary.
  @Test func tiesAtTheEdge() {
    var generator = SeededGenerator(seed: 1)
    let logits: [Float] = [0, 2, 1, 2, 1, 1]
    let three = SamplingSettings(temperature: 1, topK: 3)
    #expect(Set((0..<500).map { _ in Self.choose(three, logits, &generator) }) == [1, 2, 3])
    // Each has a quarter: half of it is exactly the first two.
    let half = SamplingSettings(temperature: 1, topP: 0.5)
    #expect(Set((0..<500).map { _ in Self.choose(half, [7, 7, 7, 7], &generator) }) == [0, 1])
    let little = SamplingSettings(temperature: 1, topP: 1e-9)
    #expect(Set((0..<50).map { _ in Self.choose(little, logits, &generator) }) == [1])
  }

  @Test func greedyTakesTheFirstOfEqualsAndDrawsNothing() {
    var generator = SeededGenerator(seed: 5)
    let before = generator
    #expect(Self.choose(SamplingSettings(), [1, 3, 2, 3], &generator) == 1)
    #expect(Self.choose(SamplingSettings(temperature: 0, topK: 1, topP: 0.1), [-4, -3], &generator) == 1)
    #expect(generator == before)
  }

  /// Near 0 it becomes greedy; huge logits do not overflow.
  @Test func extremes() {
    var generator = SeededGenerator(seed: 6)
    let cold = SamplingSettings(temperature: 1e-4)
    let logits = noise(50, seed: 8, scale: 100)
    let best = logits.indices.max { logits[$0] < logits[$1] }
    for _ in 0..<100 { #expect(Self.choose(cold, logits, &generator) == best) }
    let huge: [Float] = [1e38, 1e38, -1e38]
    let drawn = Set((0..<200).map { _ in Self.choose(SamplingSettings(temperature: 1), huge, &generator) })
    #expect(drawn == [0, 1])
  }
}
