import Core
import Evaluating
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
    let generator = try Generator(loaded.pass, loaded.tokenizer)
    var prompt = loaded.prompts[0]
    for turn in 0..<4 {
      let answer = try generator.generate(prompt, settings, continuing: true)
      let alone = try Generator(loaded.pass, loaded.tokenizer).generate(prompt, settings)
      #expect(answer.tokenIds == alone.tokenIds && answer.text == alone.text, "\(turn)")
      #expect(answer.finishReason == alone.finishReason)
      // Twice on, once with another end of the answer, once from an earlier place.
      prompt = turn == 2 ? loaded.prompts[1] : prompt + answer.tokenIds.dropLast(turn) + loaded.prompts[2].suffix(4)
    }
  }

  @Test func onlyWhatIsNewIsComputed() throws {
    let loaded = try GreedyTests.Loaded("gpt2-tiny", adapted: false)
    let kept = KeptSequence(loaded.pass.decoder)
    _ = kept.extend(loaded.pass, with: [5, 6, 7, 8])
    kept.keep([5, 6, 7, 8, 9])
    #expect(kept.count == 4)
    kept.keep([5, 6, 9, 8, 9])
    #expect(kept.count == 2)
    _ = kept.extend(loaded.pass, with: [9])
    kept.keep([5, 6, 9, 8])
    #expect(kept.count == 3)
    kept.keep([])
    #expect(kept.count == 0)
  }

  @Test func whatStopsAnAnswerLeavesTheNextAsItIs() throws {
    struct Stop: Error {}
    let loaded = try GreedyTests.Loaded("gpt2-tiny", adapted: false)
    let generator = try Generator(loaded.pass, loaded.tokenizer)
    let settings = GenerationSettings(maxNewTokens: 12)
    let expected = try generator.generate(loaded.prompts[0], settings)
    for steps in [0, 1, 2, 5] {
      var left = steps
      #expect(throws: Stop.self) {
        try generator.generate(loaded.prompts[0], settings, continuing: true) { _ in
          left -= 1
          if left < 0 { throw Stop() }
        }
      }
      #expect(try generator.generate(loaded.prompts[0], settings, continuing: true) == expected)
    }
  }
}
