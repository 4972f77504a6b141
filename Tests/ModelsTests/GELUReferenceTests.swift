import Core
import Files
import JSON
import Kernels
import Models
import Packing
import TestSupport
import Testing
import Weights

/// Models whose `config.json` asks for GELU in one form or the other, against transformers (`make_gelu.py`).
@Suite struct GELUReferenceTests {
  @Test(arguments: ["gpt2-tiny", "llama3-tiny", "phi3-tiny"], Engine.allCases)
  func eitherFormIsTransformers(_ name: String, _ engine: Engine) throws {
    let reference = try ReferenceCase(name)
    let expected = try #require(try parseJSONFile(fixturesFolder + "/gelu.json")[name])
    let (key, losses) = (try #require(expected["key"]?.string), try #require(expected["losses"]?.object))
    let tokens = try #require(reference.samples().first).sample.tokens
    #expect(losses.members.map(\.key) == ["gelu", "gelu_pytorch_tanh"])
    var found: Set<Double> = []
    for (activation, loss) in losses.members {
      let decoder = try withTemporaryFolder { folder in
        var config = try #require(try parseJSONFile(reference.model + "/config.json").object)
        config.members.removeAll { $0.key == key }
        config.members.append((key, .string(activation)))
        try writeAtomically(Array(JSONValue.object(config).serialized.utf8), to: folder + "/config.json")
        try writeAtomically(readFile(reference.model + "/model.safetensors"), to: folder + "/model.safetensors")
        return try Decoder(ModelCheckpoint(folder: folder))
      }
      let batch = Packer.pack([Sample(tokens: tokens, promptCount: 1)], sharesPrefixes: true)
      let totals = InferencePass(decoder, nil, Compute(engine: engine)).loss(batch)
      #expect(relativeError(totals.loss / totals.weight, loss.double ?? .nan) < 1e-6)
      found.insert(totals.loss)
    }
    #expect(found.count == 2)
  }
}
