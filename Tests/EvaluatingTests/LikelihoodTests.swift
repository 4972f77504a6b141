import Core
import Evaluating
import Kernels
import Models
import Packing
import TestSupport
import Testing
import Weights

@Suite struct LikelihoodTests {
  @Test func likelihoodsAreTheLoss() throws {
    for name in ["gpt2-tiny", "gpt2-odd"] {
      for engine in Engine.allCases {
        let reference = try ReferenceCase(name)
        let decoder = try Decoder(ModelCheckpoint(folder: reference.model))
        let adapter = try AdapterFolder.read(reference.adapter, for: decoder)
        let pass = InferencePass(decoder, adapter, Compute(engine: engine))
        var total = Likelihood()
        for (sample, _) in try reference.samples() {
          let prompt = Array(sample.tokens.prefix(sample.promptCount))
          let answer = Array(sample.tokens.dropFirst(sample.promptCount))
          // With other continuations beside it, one of them a single token.
          let found = try pass.likelihoods(prompt, [[5], answer, Array(answer.prefix(2)), answer])
          let plain = pass.loss(Packer.pack([sample], sharesPrefixes: false))
          #expect(relativeError(found[1].loss, plain.loss) < 1e-5)
          #expect(Double(found[1].correct) == plain.correct && Double(found[1].tokens) == plain.weight)
          #expect(abs(found[3].loss - found[1].loss) < 1e-4 && found[0].tokens == 1 && found[2].tokens == 2)
          #expect(found[2].loss <= found[1].loss + 1e-6)
          total.loss += found[1].loss
          total.tokens += found[1].tokens
        }
        #expect(relativeError(total.loss / Double(total.tokens), reference.loss("adapter")) < 1e-5)
      }
    }
  }
}
