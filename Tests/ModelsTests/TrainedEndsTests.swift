import Core
import Kernels
import Models
import Packing
import TestSupport
import Testing
import Weights

/// Token rows and whole modules that an adapter trains beside its pairs.
@Suite struct TrainedEndsTests {
  struct Setting: Sendable, CustomTestStringConvertible {
    var family: Architecture
    var tiedHead: Bool
    var lora: LoRAConfiguration
    var testDescription: String {
      "\(family.rawValue), \(tiedHead ? "tied" : "untied"), \(lora.moreWords.dropFirst(2)), layers \(lora.layers ?? [])"
    }

    /// What is trained as a whole has these names, or rows of tokens where there are none.
    init(_ family: Architecture, tied: Bool, _ modules: [String] = [], layers: [Int]? = nil, dropout: Double = 0) {
      (self.family, tiedHead) = (family, tied)
      lora = LoRAConfiguration(rank: 2, alpha: 4, dropout: dropout, layers: layers)
      if modules.isEmpty {
        // One that all samples have, the end, and one that they need not hold.
        let common = RandomModel().samples(1, seed: 3)[0].tokens[1]
        lora.tokens = [TrainedTokens([common, 0, common % 60 + 1])]
        if !tied {
          lora.tokens = [
            TrainedTokens(module: embedding, [common, 0, common % 60 + 1]), TrainedTokens(module: "lm_head", [5, 0]),
          ]
        }
      } else {
        lora.savedModules = modules
      }
    }

    private var embedding: String { family == .gpt2 ? "wte" : "embed_tokens" }

    var model: RandomModel {
      var model = RandomModel(family)
      model.tiedHead = tiedHead
      return model
    }

    func adapter(_ decoder: Decoder) throws -> Adapter {
      let adapter = try Adapter(lora, for: decoder)
      // Away from the base's values, where the two must not be taken for one another.
      for (index, value) in noise(adapter.count, seed: 5, scale: 0.2).enumerated() {
        adapter.parameters.pointer[index] += value
      }
      return adapter
    }
  }

  static let settings = [
    Setting(.gpt2, tied: true), Setting(.gpt2, tied: false), Setting(.gpt2, tied: true, layers: [2]),
    Setting(.gpt2, tied: true, ["wte", "lm_head"]), Setting(.gpt2, tied: true, ["lm_head", "ln_f"], layers: [1]),
    Setting(.gpt2, tied: false, ["wte", "lm_head", "ln_f"]), Setting(.gpt2, tied: false, ["wte"], dropout: 0.3),
    Setting(.llama, tied: true), Setting(.llama, tied: false), Setting(.llama, tied: false, ["lm_head", "model.norm"]),
    Setting(.gemma2, tied: true), Setting(.gemma2, tied: true, ["embed_tokens", "lm_head", "model.norm"]),
    Setting(.granite, tied: true), Setting(.granite, tied: false, ["embed_tokens", "lm_head"]),
  ]

  @Test(arguments: settings, Engine.allCases)
  func gradientsAgreeWithFiniteDifferences(_ setting: Setting, _ engine: Engine) throws {
    let model = setting.model
    let decoder = try model.decoder()
    let adapter = try setting.adapter(decoder)
    let pass = TrainingPass(decoder, .adapter(adapter), Compute(engine: engine))
    let batch = Packer.pack(model.samples(6, seed: 3), sharesPrefixes: setting.lora.dropout == 0)
    let scale = 1 / Float(batch.supervisedTokens)
    _ = pass.accumulate(batch, scale: scale, dropoutSeed: 77)
    let gradient = Array(UnsafeBufferPointer(start: pass.gradients.pointer, count: adapter.count))
    for tensor in adapter.tensors {
      let range = tensor.offset..<tensor.offset + tensor.count
      // A small step: few rows, which norms make steep.
      let (slope, norm) = ownSlope(range, of: adapter.parameters, gradient, step: 4e-3) {
        pass.accumulate(batch, scale: scale, dropoutSeed: 77).loss * Double(scale)
      }
      #expect(norm > 1e-4, "\(tensor.name)")
      #expect(abs(slope - norm) < 1e-3 * norm + 6e-5, "\(tensor.name): \(slope) against \(norm)")
    }
  }

  /// Both engines, several threads or one, packed or one at a time, kept or computed again, in one chunk of logits or several.
  @Test(arguments: settings.filter { $0.lora.dropout == 0 }) func waysOfComputingAgree(_ setting: Setting) throws {
    let model = setting.model
    let (stored, packed) = try (model.decoder(), model.decoder(panels: Compute(threads: 2)))
    let adapter = try setting.adapter(stored)
    let samples = model.samples(6, seed: 8)
    let count = Float(Packer.pack(samples, sharesPrefixes: false).supervisedTokens)
    func gradient(
      _ engine: Engine = .auto, threads: Int = 2, recomputed: Int = 0, logits: Int = 3 << 20,
      apart: Bool = false, usesPanels: Bool = false
    ) -> [Float] {
      let pass = TrainingPass(
        usesPanels ? packed : stored, .adapter(adapter), Compute(engine: engine, threads: threads),
        recomputed: recomputed, memory: PassMemory(logits: logits))
      for samples in apart ? samples.map({ [$0] }) : [samples] {
        _ = pass.accumulate(Packer.pack(samples, sharesPrefixes: true), scale: 1 / count, dropoutSeed: 0)
      }
      return Array(UnsafeBufferPointer(start: pass.gradients.pointer, count: adapter.count))
    }
    let expected = gradient()
    #expect(sameBits(expected, gradient(threads: 1)))
    #expect(sameBits(expected, gradient(recomputed: .max)))
    #expect(largestError(expected, gradient(.plain)) < 1e-5)
    #expect(largestError(expected, gradient(logits: 1)) < 1e-5)
    #expect(largestError(expected, gradient(apart: true)) < 1e-5)
    #expect(largestError(expected, gradient(usesPanels: true)) < 1e-5)
  }

  /// What is merged into the base's tensors gives what the adapter gives beside them.
  @Test(arguments: settings) func aMergedTensorIsTheAdapters(_ setting: Setting) throws {
    let model = setting.model
    let decoder = try model.decoder()
    let adapter = try setting.adapter(decoder)
    for end in adapter.ends {
      let merged = try #require(decoder.replacedTensor(end.name, with: adapter))
      let own = Array(adapter.values(end.tensor))
      guard let tokens = end.tokens else {
        #expect(merged.array == own)
        continue
      }
      #expect(merged.shape == [model.vocabulary, model.width])
      for (row, token) in tokens.enumerated() {
        let (place, width) = (Int(token) * model.width, model.width)
        #expect(Array(merged.array[place..<place + width]) == Array(own[row * width..<(row + 1) * width]))
      }
    }
    let isApart = setting.tiedHead && setting.lora.savedModules != nil
    #expect(decoder.unties(with: adapter) == isApart)
    #expect(decoder.replacedTensor("model.layers.0.mlp.up_proj.weight", with: adapter) == nil)
  }

  /// A fresh one has the base's values, so that it computes what the base does.
  @Test(arguments: settings, [false, true]) func aFreshOneChangesNothing(_ setting: Setting, _ usesPanels: Bool) throws
  {
    let model = setting.model
    let decoder = try model.decoder(panels: usesPanels ? Compute(threads: 2) : nil)
    let adapter = try Adapter(setting.lora, for: decoder)
    adapter.initialize(seed: 3)
    let batch = Packer.pack(model.samples(4, seed: 2), sharesPrefixes: true)
    let (own, base) = (
      InferencePass(decoder, adapter, Compute()).loss(batch), InferencePass(decoder, nil, Compute()).loss(batch)
    )
    #expect(relativeError(own.loss, base.loss) < 1e-6)
  }

  @Test func lowestTrainedLayerIsTheFirstWithTheEmbedding() throws {
    for setting in Self.settings where setting.lora.layers != nil {
      let adapter = try setting.adapter(try setting.model.decoder())
      #expect(adapter.trainsEmbedding == (setting.lora.tokens != nil))
      #expect(adapter.lowestLayer == (adapter.trainsEmbedding ? 0 : setting.lora.layers?.min()))
    }
  }

  @Test(
    arguments: [
      ([TrainedTokens([61])], nil, "there is no row 61 of transformer.wte to train: the model has rows 0 to 60"),
      ([TrainedTokens([-1])], nil, "there is no row -1 of transformer.wte to train: the model has rows 0 to 60"),
      ([TrainedTokens([3, 3])], nil, "the row 3 of transformer.wte is to be trained twice"),
      ([TrainedTokens([])], nil, "no rows of transformer.wte are named to train"),
      (
        [TrainedTokens([1]), TrainedTokens(module: "wte", [2])], nil, "rows of transformer.wte are named to train twice"
      ),
      ([TrainedTokens(module: "ln_f", [1])], nil, "transformer.ln_f has no rows of tokens to train"),
      ([TrainedTokens(module: "embed", [1])], nil, "no module of the model is named \"embed\""),
      (
        [TrainedTokens([1]), TrainedTokens(module: "lm_head", [2])], nil,
        "rows of lm_head are to be trained, which are those of transformer.wte in this model, but not the same ones "
          + "there"
      ),
      (nil, ["wte", "transformer.wte"], "the module transformer.wte is to be trained whole twice"),
      (nil, ["c_proj"], "\"c_proj\" names transformer.h.0.attn.c_proj, which is not trained whole here"),
      (nil, ["wpe"], "\"wpe\" names transformer.wpe, which is not trained whole here"),
      (nil, [""], "no module of the model is named \"\""),
      ([TrainedTokens([1])], ["wte"], "rows of transformer.wte are to be trained, and all of it"),
      (
        [TrainedTokens([1])], ["lm_head"],
        "rows of transformer.wte are to be trained, and lm_head, which has the same rows, as a whole"
      ),
    ] as [([TrainedTokens]?, [String]?, String)])
  func whatCannotBeTrainedIsRefused(_ tokens: [TrainedTokens]?, _ modules: [String]?, _ message: String) throws {
    let decoder = try RandomModel().decoder()
    let error = #expect(throws: SFTError.self) {
      try Adapter(LoRAConfiguration(tokens: tokens, savedModules: modules), for: decoder)
    }
    #expect(error?.message == message && error?.kind == .usage)
  }

  /// A head that is tied is named twice in some of PEFT's files.
  @Test func theSameRowsOfATiedHeadAreTheEmbeddings() throws {
    let decoder = try RandomModel().decoder()
    let tokens = [TrainedTokens(module: "lm_head", [2, 1]), TrainedTokens(module: "wte", [2, 1])]
    let adapter = try Adapter(LoRAConfiguration(tokens: tokens), for: decoder)
    #expect(adapter.ends.map(\.end) == [.embedding] && adapter.ends.first?.tokens == [2, 1])
  }
}
