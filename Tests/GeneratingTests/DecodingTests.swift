import Core
import Generating
import Glibc
import JSON
import Kernels
import Models
import TestSupport
import Testing
import Tokenizing
import Weights

/// Beam search and the repetition penalty against transformers, and several texts at once against one at a time.
@Suite struct DecodingTests {
  /// See `Fixtures/make_decoding.py`.
  @Test(arguments: ["gpt2-tiny", "gpt2-odd"]) func continuationsAreTransformers(_ name: String) throws {
    let loaded = try GreedyTests.Loaded(name, adapted: false)
    let cases = try #require(
      try parseJSONFile(loaded.reference.folder + "/decoding.json")["continuations"]?.array)
    #expect(cases.count == 26)
    for example in cases {
      let ends = (example["eos_token_id"]?.array ?? [.integer(0)]).compactMap(\.int)
      let settings = GenerationSettings(
        maxNewTokens: example["max_new_tokens"]?.int ?? 0,
        sampling: SamplingSettings(repetitionPenalty: example["repetition_penalty"]?.double ?? 1),
        numBeams: example["num_beams"]?.int ?? 0)
      let expected = (example["answers"]?.array ?? []).map { ($0.array ?? []).compactMap { $0.int.map(Int32.init) } }
      try loaded.reference.withModel(endingAt: ends) { folder in
        let decoder = try Decoder(ModelCheckpoint(folder: folder))
        let adapter =
          example["model"]?.string == "adapter" ? try AdapterFolder.read(loaded.reference.adapter, for: decoder) : nil
        let generator = try Generator(InferencePass(decoder, adapter, Compute()), loaded.tokenizer, width: 3)
        let together = try generator.generate(loaded.prompts, settings)
        for (index, tokens) in expected.enumerated() {
          let found = try generator.generate(loaded.prompts[index], settings)
          let ended = tokens.last.map { ends.contains(Int($0)) } ?? false
          #expect(
            found.tokenIds == (ended ? Array(tokens.dropLast()) : tokens), "\(example["num_beams"] as Any), \(ends)")
          #expect(found.ending == (ended ? .endOfText : .limit))
          #expect(together[index].tokenIds == found.tokenIds && together[index].ending == found.ending)
          #expect(found.text == (try loaded.tokenizer.decode(found.tokenIds)))
        }
      }
    }
  }

  static let settings = [
    GenerationSettings(maxNewTokens: 20), GenerationSettings(maxNewTokens: 20, stop: ["e", "Write"]),
    GenerationSettings(maxNewTokens: 30, sampling: SamplingSettings(temperature: 0.9), seed: 3),
    GenerationSettings(
      maxNewTokens: 12, sampling: SamplingSettings(temperature: 1.3, topP: 0.9, minP: 0.02, repetitionPenalty: 1.2)),
    GenerationSettings(maxNewTokens: 1), GenerationSettings(maxNewTokens: 10, numBeams: 3, stop: ["rr"]),
  ]

  @Test(arguments: settings, Engine.allCases)
  func severalAtOnceAreOneAtATime(_ settings: GenerationSettings, _ engine: Engine) throws {
    let loaded = try GreedyTests.Loaded("gpt2-tiny", adapted: true, engine: engine)
    let prompts = try loaded.reference.samples().map { Array($0.sample.tokens.prefix($0.sample.promptCount)) }
    let generator = try Generator(loaded.pass, loaded.tokenizer)
    let alone = try prompts.map { try generator.generate($0, settings) }
    #expect(Set(alone.map(\.text)).count > 2)
    for width in engine == .auto ? [1, 3, 8, 100] : [3] {
      var counts: [Int] = []
      let together = try Generator(loaded.pass, loaded.tokenizer, width: width)
        .generate(prompts, settings) { counts.append($0) }
      #expect(together.map(\.text) == alone.map(\.text))
      #expect(together.map(\.tokenIds) == alone.map(\.tokenIds))
      #expect(together.map(\.ending) == alone.map(\.ending))
      #expect(counts == counts.sorted() && counts.last == prompts.count)
    }
  }

  /// What is said of the end is what a plain pass over prompt and answer says.
  @Test(arguments: [1, 4]) func endProbabilitiesAreThoseOfTheWholeText(_ beams: Int) throws {
    let loaded = try GreedyTests.Loaded("gpt2-tiny", adapted: true)
    try loaded.reference.withModel(endingAt: [0, 82, 297]) { folder in
      let decoder = try Decoder(ModelCheckpoint(folder: folder))
      let pass = InferencePass(decoder, try AdapterFolder.read(loaded.reference.adapter, for: decoder), Compute())
      let settings = GenerationSettings(maxNewTokens: 16, numBeams: beams, stop: ["th"])
      let found = try Generator(pass, loaded.tokenizer, width: 4).generate(loaded.prompts, settings)
      #expect(found.count == 4 && Set(found.map { "\($0.ending)" }).count > 1)
      for (prompt, generation) in zip(loaded.prompts, found) {
        let tokens = prompt + generation.tokenIds
        let segment = Batch.Segment(rows: 0..<tokens.count, startPosition: 0, parent: nil)
        let batch = Batch(tokens: tokens, segments: [segment], targets: [], recordTokens: tokens.count)
        let logits = pass.logits(batch, rows: [tokens.count - 1]).map { Double($0) }
        let largest = logits.max() ?? 0
        let weights = logits.map { exp($0 - largest) }
        let expected = [0, 82, 297].reduce(0) { $0 + weights[$1] } / weights.reduce(0, +)
        #expect(abs((generation.endProbability ?? .nan) - expected) < 1e-5)
      }
    }
  }
}
