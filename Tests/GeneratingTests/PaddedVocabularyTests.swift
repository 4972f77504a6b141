import Generating
import Files
import Kernels
import Models
import TestSupport
import Testing
import Weights

/// A head with more rows than the tokenizer has tokens.
@Suite struct PaddedVocabularyTests {
  /// The case's model with rows added that would win every choice: each is a token's own, four times as large.
  private func padded(_ reference: ReferenceCase) throws -> Decoder {
    let checkpoint = try ModelCheckpoint(folder: reference.model)
    let configuration = checkpoint.configuration
    return try withTemporaryFolder { folder in
      let text = String(decoding: try readFile(reference.model + "/config.json"), as: UTF8.self)
      let size = configuration.vocabularySize
      let widened = text.replacing("\"vocab_size\": \(size)", with: "\"vocab_size\": \(2 * size)")
      try writeAtomically(Array(widened.utf8), to: folder + "/config.json")
      let tensors = try configuration.expectedTensors.map { tensor in
        let values = try checkpoint.tensor(tensor.name, shape: tensor.shape)
        guard tensor.role == .tokenEmbedding else { return TensorOutput(tensor.name, values) }
        let rows = values.withValues { Array($0) }
        return TensorOutput(tensor.name, [2 * size, configuration.width], rows + rows.map { 4 * $0 })
      }
      try writeSafetensors(tensors, to: folder + "/model.safetensors")
      return try Decoder(ModelCheckpoint(folder: folder))
    }
  }

  @Test(arguments: [
    SamplingSettings(), SamplingSettings(temperature: 1.5), SamplingSettings(temperature: 1, topK: 100_000, topP: 0.99),
    SamplingSettings(repetitionPenalty: 1.3),
  ])
  func itsRowsTakeNoPartInWhatIsChosen(_ sampling: SamplingSettings) throws {
    let loaded = try GreedyTests.Loaded("gpt2-tiny", adapted: false)
    #expect(loaded.tokenizer.vocabularyCount == loaded.pass.decoder.configuration.vocabularySize)
    let plain = try Generator(loaded.pass, loaded.tokenizer)
    let wide = try Generator(InferencePass(try padded(loaded.reference), nil, Compute()), loaded.tokenizer)
    let settings = GenerationSettings(maxNewTokens: 16, sampling: sampling, seed: 3)
    for prompt in loaded.prompts {
      #expect(try wide.generate(prompt, settings).tokenIds == plain.generate(prompt, settings).tokenIds)
    }
    let together = try Generator(wide.pass, loaded.tokenizer, width: 3).generate(loaded.prompts, settings)
    #expect(try together.map(\.tokenIds) == loaded.prompts.map { try plain.generate($0, settings).tokenIds })
  }

  @Test func beamsDoNotFollowItsRows() throws {
    let loaded = try GreedyTests.Loaded("gpt2-tiny", adapted: false)
    let wide = try Generator(InferencePass(try padded(loaded.reference), nil, Compute()), loaded.tokenizer)
    for prompt in loaded.prompts {
      let found = try wide.generate(prompt, GenerationSettings(maxNewTokens: 8, numBeams: 3))
      #expect(found.tokenIds.allSatisfy { $0 < loaded.tokenizer.vocabularyCount })
      #expect(found.text == (try loaded.tokenizer.decode(found.tokenIds)))
    }
  }
}
