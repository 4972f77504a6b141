import Core
import Generating
import Kernels
import Models
import TestSupport
import Testing
import Tokenizing
import Weights

/// Turns of a conversation that go on from what is computed already.
@Suite struct ContinuingTests {
  private static let families = ["gpt2-tiny", "llama3-tiny", "qwen3-tiny", "gemma3-tiny", "phi3-tiny", "mistral-tiny"]

  @Test(arguments: families, [1, 3]) func aTurnIsAnsweredAsIfItCameAlone(_ name: String, _ beams: Int) throws {
    let loaded = try GreedyTests.Loaded(name, adapted: true)
    let settings = GenerationSettings(maxNewTokens: 6, numBeams: beams)
    let generator = try Generator(loaded.pass, loaded.tokenizer, retention: .everything)
    var prompt = loaded.prompts[0]
    for turn in 0..<4 {
      let answer = try generator.generate(prompt, settings)
      let alone = try Generator(loaded.pass, loaded.tokenizer).generate(prompt, settings)
      #expect(answer.tokenIds == alone.tokenIds && answer.text == alone.text, "\(turn)")
      #expect(answer.finishReason == alone.finishReason)
      // Twice on, once with another end of the answer, once from an earlier place.
      prompt = turn == 2 ? loaded.prompts[1] : prompt + answer.tokenIds.dropLast(turn) + loaded.prompts[2].suffix(4)
    }
  }

  /// Each prompt, and how many tokens of it are computed already: of the answers, of which the last token is in none, too where
  /// everything is kept.
  @Test(arguments: [(Retention.everything, [0, 8, 2, 4]), (.prompts, [0, 3, 2, 4]), (.nothing, [0, 0, 0, 0])])
  func onlyWhatIsNewIsComputed(_ retention: Retention, _ expected: [Int]) throws {
    let loaded = try GreedyTests.Loaded("gpt2-tiny", adapted: false)
    var batchSettings = GenerationBatch.Settings()
    batchSettings.retention = retention
    let batch = try GenerationBatch(loaded.pass, loaded.tokenizer, batchSettings)
    let settings = GenerationSettings(maxNewTokens: 5)
    let start: [Int32] = [5, 6, 7, 8]
    func answer(_ prompt: [Int32]) throws -> (shared: Int, tokens: [Int32]) {
      _ = try batch.add(GenerationRequest(prompt, settings))
      var (shared, tokens): (Int, [Int32]) = (-1, [])
      while !batch.isEmpty {
        for event in batch.step() {
          if case .started(_, let count) = event { shared = count }
          if case .ended(_, let generation) = event { tokens = generation.tokenIds }
        }
      }
      return (shared, tokens)
    }
    let first = try answer(start)
    #expect(first.tokens.count == 5)
    let others = try [start + first.tokens, [5, 6, 9, 8, 9], [5, 6, 9, 8, 3, 3]].map { try answer($0).shared }
    #expect([first.shared] + others == expected)
  }

  @Test func whatStopsAnAnswerLeavesTheNextAsItIs() throws {
    struct Stop: Error {}
    let loaded = try GreedyTests.Loaded("gpt2-tiny", adapted: false)
    let generator = try Generator(loaded.pass, loaded.tokenizer, retention: .everything)
    let settings = GenerationSettings(maxNewTokens: 12)
    let expected = try generator.generate(loaded.prompts[0], settings)
    for steps in [0, 1, 2, 5] {
      var left = steps
      #expect(throws: Stop.self) {
        try generator.generate(loaded.prompts[0], settings) { _ in
          left -= 1
          if left < 0 { throw Stop() }
        }
      }
      #expect(try generator.generate(loaded.prompts[0], settings) == expected)
    }
  }
}
