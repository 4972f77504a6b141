import Core
import Files
import JSON
import Kernels
import Models
import Packing
import TestSupport
import Testing
import Weights

/// Adapters with token rows and whole modules, as PEFT writes and computes them: see `Fixtures/make_ends.py`.
@Suite struct PEFTEndsTests {
  @Test(arguments: EndsCase.all, Engine.allCases) func lossLogitsAndGradientsArePEFTs(
    _ name: String, _ engine: Engine
  ) throws {
    let fixture = try EndsCase(name)
    let decoder = try Decoder(ModelCheckpoint(folder: fixture.reference.model))
    let adapter = try AdapterFolder.read(fixture.adapter, for: decoder)
    let samples = try fixture.reference.samples().map(\.sample)
    let inference = InferencePass(decoder, adapter, Compute(engine: engine))
    let totals = inference.loss(Packer.pack(samples, sharesPrefixes: true))
    #expect(abs(totals.loss / totals.weight - fixture.loss) < 1e-5)

    let record = Sample(tokens: samples[0].tokens, promptCount: samples[0].tokens.count - 1)
    let batch = Packer.pack([record], sharesPrefixes: true)
    let logits = inference.logits(batch, rows: [batch.tokens.count - 1])
    #expect(logits.count == fixture.logits.count && largestError(logits, fixture.logits) < 1e-4)
    let cache = KeyValueCache(decoder, capacity: 256)
    #expect(largestError(Array(inference.extend(cache, with: record.tokens.dropLast())), fixture.logits) < 1e-4)

    let pass = TrainingPass(decoder, .adapter(adapter), Compute(engine: engine))
    let first = Packer.pack(Array(samples.prefix(4)), sharesPrefixes: true)
    _ = pass.accumulate(first, scale: 1 / Float(first.supervisedTokens), dropoutSeed: 0)
    #expect(Set(adapter.tensors.map(\.name)) == Set(fixture.gradients.keys))
    for tensor in adapter.tensors {
      let gradient = UnsafeBufferPointer(start: pass.gradients.pointer + tensor.offset, count: tensor.count)
      let norm = gradient.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
      #expect(relativeError(norm, try #require(fixture.gradients[tensor.name])) < 1e-4, "\(tensor.name)")
    }
  }

  /// What is written has the tensors and the settings that were read.
  @Test(arguments: EndsCase.all) func writingAgainKeepsWhatPEFTWrote(_ name: String) throws {
    let fixture = try EndsCase(name)
    let decoder = try Decoder(ModelCheckpoint(folder: fixture.reference.model))
    let adapter = try AdapterFolder.read(fixture.adapter, for: decoder)
    try withTemporaryFolder { folder in
      try AdapterFolder.write(adapter, for: decoder, to: folder, baseModel: nil, baseDigest: nil)
      let (theirs, own) = try (
        SafetensorsFile(fixture.adapter + "/" + AdapterFolder.weightsFile),
        SafetensorsFile(folder + "/" + AdapterFolder.weightsFile)
      )
      #expect(Set(own.names) == Set(theirs.names))
      for tensor in own.names {
        #expect(try Array(own.bytes(of: tensor)) == Array(theirs.bytes(of: tensor)), "\(tensor)")
      }
      let files = [fixture.adapter, folder].map { $0 + "/" + AdapterFolder.configurationFile }
      let configurations = try files.map { try parseJSONFile($0) }
      for key in ["trainable_token_indices", "modules_to_save", "target_modules", "r", "fan_in_fan_out"] {
        func value(_ index: Int) -> String {
          guard case .object(let object)? = configurations[index][key] else {
            return configurations[index][key]?.serialized ?? "null"
          }
          return object.members.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value.serialized)" }.joined()
        }
        #expect(value(0) == value(1), "\(key)")
      }
    }
  }

  @Test(arguments: [
    (#""trainable_token_indices": [1, 1]"#, "the row 1 of model.embed_tokens is to be trained twice"),
    (#""trainable_token_indices": [1, 512]"#, "there is no row 512 of model.embed_tokens to train"),
    (#""trainable_token_indices": [1, -2]"#, "'trainable_token_indices' holds something that is no token id"),
    (#""trainable_token_indices": ["a"]"#, "'trainable_token_indices' holds something that is no token id"),
    (#""trainable_token_indices": [99999999999]"#, "'trainable_token_indices' holds something that is no token id"),
    (#""trainable_token_indices": "all""#, "'trainable_token_indices' is not a list of token ids"),
    (#""trainable_token_indices": {"norm": [1]}"#, "\"norm\" names model.layers.0."),
    (#""trainable_token_indices": [1, 2, 3]"#, "shape"),
    (#""modules_to_save": ["embed_tokens"]"#, "tensor 'base_model.model.model.embed_tokens.weight' is missing"),
    (#""modules_to_save": "embed_tokens""#, "'modules_to_save' is not a list of module names"),
    (#""modules_to_save": ["q_proj"]"#, "\"q_proj\" names model.layers.0.self_attn.q_proj, which is not trained whole"),
    (#""modules_to_save": ["lm_head"], "ensure_weight_tying": true"#, "'ensure_weight_tying' is set beside"),
    (#""modules_to_save": null"#, "is not one this model's adapter would have"),
  ]) func anAdapterThatDoesNotFitIsRefused(_ member: String, _ message: String) throws {
    let fixture = try EndsCase("tokens-gemma3-tiny")
    let decoder = try Decoder(ModelCheckpoint(folder: fixture.reference.model))
    try withTemporaryFolder { folder in
      for file in try directoryEntries(fixture.adapter) {
        try writeAtomically(try readFile(fixture.adapter + "/" + file), to: folder + "/" + file)
      }
      try writeAtomically(
        #"{"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj", "v_proj"], \#(member)}"#,
        to: folder + "/" + AdapterFolder.configurationFile)
      let error = #expect(throws: SFTError.self) { try AdapterFolder.read(folder, for: decoder) }
      #expect(error?.kind == .badData && error?.message.contains(message) == true, "\(error?.message ?? "")")
    }
  }
}
