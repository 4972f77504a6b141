import Core
import Files
import Generating
import Kernels
import Models
import Quantizing
import TestSupport
import Testing
import Tokenizing
import Weights

/// Texts that are entered and left while others run.
@Suite struct BatchTests {
  /// What came of a text, with the probabilities of its tokens: they have a bit for each of the logits'.
  private struct Answer: Equatable {
    var text = ""
    var tokens: [ChosenToken] = []
    var generation: Generation?
    var failure: String?
  }

  /// Drives a batch, adding some requests before each step, and cancelling the ones with the numbers given there.
  private static func run(
    _ batch: GenerationBatch, _ schedule: [[GenerationRequest]], cancelling: [Int: [Int]] = [:],
    each: (Int) -> Void = { _ in }
  ) throws -> [Answer] {
    var ids: [GenerationBatch.ID] = []
    var answers: [Answer] = []
    var step = 0
    while step < schedule.count || !batch.isEmpty {
      for request in step < schedule.count ? schedule[step] : [] {
        ids.append(try batch.add(request))
        answers.append(Answer())
      }
      for number in cancelling[step] ?? [] { batch.cancel(ids[number]) }
      for event in batch.step() {
        func answer(_ id: GenerationBatch.ID, _ change: (inout Answer) -> Void) throws {
          change(&answers[try #require(ids.firstIndex(of: id))])
        }
        switch event {
        case .started: break
        case .grown(let id, let text, let token):
          try answer(id) {
            $0.text += text
            $0.tokens += [token].compactMap(\.self)
          }
        case .ended(let id, let generation): try answer(id) { $0.generation = generation }
        case .failed(let id, let error): try answer(id) { $0.failure = error.message }
        }
      }
      each(step)
      step += 1
    }
    return answers
  }

  private struct Model {
    let pass: InferencePass
    let tokenizer: Tokenizer
    let adapters: [Adapter?]
    let prompts: [[Int32]]

    init(_ name: String, quantized: Bool) throws {
      let reference = try ReferenceCase(name)
      let checkpoint = try ModelCheckpoint(folder: reference.model)
      let decoder =
        quantized
        ? try Decoder(checkpoint, quantized: try checkpoint.quantizedLinears()) : try Decoder(checkpoint)
      let adapter = try AdapterFolder.read(reference.adapter, for: decoder)
      let other = try RandomModel().adapter(LoRAConfiguration(rank: 5), for: decoder)
      pass = InferencePass(decoder, nil, Compute())
      tokenizer = try Tokenizer(folder: reference.model)
      adapters = [nil, adapter, other]
      prompts = try reference.samples().map { Array($0.sample.tokens.prefix($0.sample.promptCount)) }
    }

    func batch(width: Int = 1, _ retention: Retention = .nothing, promptRows: Int = 512) throws -> GenerationBatch {
      var settings = GenerationBatch.Settings()
      (settings.width, settings.retention, settings.promptRows) = (width, retention, promptRows)
      return try GenerationBatch(pass, tokenizer, settings)
    }
  }

  private static let models = [
    ("gpt2-tiny", false), ("gpt2-tiny", true), ("llama3-tiny", true), ("llama3-bf16-tiny", false),
    ("mistral-tiny", false),
    ("qwen3-bf16-tiny", false), ("gemma3-tiny", false), ("phi3-tiny", false), ("olmo2-tiny", true),
  ]

  /// Requests of different adapters and settings, alone and mixed with what else there is, sharing what prompts have in common or
  /// not, with prompts taken in in parts: to the bit.
  @Test(arguments: models) func aTextDoesNotDependOnTheOthers(_ name: String, _ quantized: Bool) throws {
    let model = try Model(name, quantized: quantized)
    let preamble = Array(repeating: model.prompts[0], count: 4).flatMap(\.self)
    var random = SeededGenerator(seed: 9)
    let requests = (0..<24).map { index in
      let prompt = model.prompts[index % model.prompts.count]
      return GenerationRequest(
        index % 3 == 0 ? prompt : Array(preamble.prefix(20 + random.below(70))) + prompt,
        GenerationSettings(
          maxNewTokens: 3 + random.below(30), sampling: SamplingSettings(temperature: index % 4 == 0 ? 0 : 0.8),
          seed: UInt64(index)),
        adapter: model.adapters[index % 3], likeliest: 2)
    }
    let alone = try requests.map { try Self.run(try model.batch(), [[$0]])[0] }
    #expect(Set(alone.map(\.text)).count > 8 && alone.allSatisfy { $0.generation != nil && !$0.tokens.isEmpty })
    // OpenBLAS multiplies several rows by other kernels than one.
    let isExact = LinearAlgebra.report(threads: 1).kernels != "portable"
    for (width, retention, promptRows) in [(3, Retention.nothing, 512), (24, .prompts, 512), (10, .prompts, 40)] {
      var schedule: [[GenerationRequest]] = []
      var rest = requests[...]
      while !rest.isEmpty {
        let count = random.below(4)
        schedule.append(Array(rest.prefix(count)))
        rest = rest.dropFirst(count)
      }
      let together = try Self.run(try model.batch(width: width, retention, promptRows: promptRows), schedule)
      for (index, (together, alone)) in zip(together, alone).enumerated() {
        if isExact {
          #expect(together == alone, "\(index)")
        } else {
          #expect(together.generation?.tokenIds.first == alone.generation?.tokenIds.first, "\(index)")
        }
      }
    }
  }

  /// What a prompt leaves for one that goes on from it is what that would compute itself.
  @Test(arguments: ["llama3-bf16-tiny", "gpt2-tiny"]) func aPromptThatGoesOnFromAnotherIsAsIfItWereAlone(_ name: String)
    throws
  {
    let model = try Model(name, quantized: true)
    let batch = try model.batch(width: 2, .prompts)
    var prompt = model.prompts[0]
    for turn in 0..<4 {
      let request = GenerationRequest(prompt, GenerationSettings(maxNewTokens: 9), likeliest: 3)
      let alone = try Self.run(try model.batch(), [[request]])[0]
      // While the first of two alike runs, and after both.
      let both = try Self.run(batch, [[request], [], [request]])
      if LinearAlgebra.report(threads: 1).kernels != "portable" { #expect(both == [alone, alone], "\(turn)") }
      prompt += (alone.generation?.tokenIds ?? []) + model.prompts[turn + 1].suffix(5)
    }
  }

  /// Those that stay are not disturbed, and a place is free at the next step.
  @Test func cancelledTextsLeaveTheOthers() throws {
    let model = try Model("llama3-tiny", quantized: false)
    let requests = (0..<6).map { index in
      GenerationRequest(
        model.prompts[index % model.prompts.count], GenerationSettings(maxNewTokens: 12),
        adapter: model.adapters[index % 3],
        likeliest: 0)
    }
    let alone = try requests.map { try Self.run(try model.batch(), [[$0]])[0] }
    let batch = try model.batch(width: 3)
    var running: [Int] = []
    // The first after some tokens, the fifth while it waits.
    let together = try Self.run(batch, [requests], cancelling: [3: [0], 1: [4]]) { _ in
      running.append(batch.runningCount)
    }
    for index in [1, 2, 3, 5] { #expect(together[index] == alone[index]) }
    #expect(together[0].generation == nil && !together[0].tokens.isEmpty && together[0].tokens.count < 12)
    #expect(together[4] == Answer())
    #expect(running[3] == 3 && batch.runningCount == 0 && batch.waitingCount == 0)
  }

  @Test func textsThatBeginAlikeComputeThatOnce() throws {
    let model = try Model("llama3-tiny", quantized: false)
    let preamble = (0..<70).map { Int32($0 % 50 + 3) }
    let prompts = model.prompts.prefix(4).map { preamble + $0 }
    let batch = try model.batch(width: 8, .prompts)
    var shared: [Int] = []
    for prompt in prompts { _ = try batch.add(GenerationRequest(prompt, GenerationSettings(maxNewTokens: 4))) }
    while !batch.isEmpty {
      for case .started(_, let count) in batch.step() { shared.append(count) }
    }
    #expect(shared.count == 4 && shared[0] == 0 && shared[1...].allSatisfy { $0 >= 70 })
    // With another adapter nothing is the same.
    _ = try batch.add(
      GenerationRequest(prompts[0], GenerationSettings(maxNewTokens: 6), adapter: model.adapters[1]))
    let events = batch.step()
    #expect(events.contains { if case .started(_, 0) = $0 { true } else { false } })
    let before = batch.pool.bytes
    #expect(before > 0)
    if let adapter = model.adapters[1] {
      #expect(batch.uses(adapter))
      while !batch.isEmpty { _ = batch.step() }
      #expect(!batch.uses(adapter))
      batch.forget(adapter)
      #expect(batch.pool.bytes < before)
    }
  }

  /// A limit of memory has texts wait, never fail, and what is kept of ended ones goes first.
  @Test func memoryHasALimit() throws {
    let model = try Model("llama3-tiny", quantized: false)
    let need = KeyValuePool.bytes(of: 64, model.pass.decoder)
    var settings = GenerationBatch.Settings()
    (settings.width, settings.memory, settings.retention) = (10, 3 * need, .prompts)
    let batch = try GenerationBatch(model.pass, model.tokenizer, settings)
    let requests = (0..<7).map { index in
      GenerationRequest([Int32(3 + index)] + model.prompts[index].prefix(20), GenerationSettings(maxNewTokens: 8))
    }
    var (most, bytes) = (0, 0)
    let answers = try Self.run(batch, [requests]) { _ in
      most = max(most, batch.runningCount)
      bytes = max(bytes, batch.pool.bytes)
    }
    #expect(answers.allSatisfy { $0.generation != nil } && most == 3 && bytes <= 3 * need)
    let error = #expect(throws: SFTError.self) {
      try batch.add(
        GenerationRequest([Int32](repeating: 3, count: 100), GenerationSettings(maxNewTokens: 100)))
    }
    #expect(error?.kind == .usage)
  }

  /// Blocks that several share are counted as long as one of them is there.
  @Test func sharedBlocksCountForTheLimit() throws {
    let model = try Model("llama3-tiny", quantized: false)
    let block = KeyValuePool.bytes(of: 64, model.pass.decoder)
    var settings = GenerationBatch.Settings()
    (settings.width, settings.memory, settings.retention) = (16, 9 * block, .prompts)
    let batch = try GenerationBatch(model.pass, model.tokenizer, settings)
    var random = SeededGenerator(seed: 4)
    let prompts = (0..<6).map { _ in (0..<100).map { _ in Int32(3 + random.below(300)) } }
    var most = 0
    for round in 0..<30 {
      // Some go on from what is kept, which others push out.
      let prompt = prompts[random.below(prompts.count)]
      for length in [70, 99] where round % 3 != 0 || length == 99 {
        _ = try batch.add(
          GenerationRequest(Array(prompt.prefix(length)), GenerationSettings(maxNewTokens: 1 + random.below(12))))
      }
      if round % 5 == 4 {
        while !batch.isEmpty {
          most = max(
            most,
            {
              _ = batch.step(); return batch.pool.bytes
            }())
        }
      }
    }
    while !batch.isEmpty {
      _ = batch.step()
      most = max(most, batch.pool.bytes)
    }
    #expect(most > 3 * block && most <= 9 * block)
  }

  @Test func aTextThatCannotGoOnEndsAlone() throws {
    let model = try Model("llama3-tiny", quantized: false)
    let broken = try RandomModel().adapter(LoRAConfiguration(rank: 2), for: model.pass.decoder)
    for index in 0..<broken.count { broken.parameters.pointer[index] = .nan }
    let requests = [nil, broken, nil].enumerated().map { index, adapter in
      GenerationRequest(model.prompts[index], GenerationSettings(maxNewTokens: 6), adapter: adapter)
    }
    let answers = try Self.run(try model.batch(width: 3), [requests])
    #expect(answers[0].generation != nil && answers[2].generation != nil)
    #expect(answers[1].generation == nil && answers[1].failure == Generation.notFinite.message)
    let error = #expect(throws: SFTError.self) {
      try model.batch().add(GenerationRequest([3, -1], GenerationSettings()))
    }
    #expect(error?.kind == .badData)
  }

  /// The likeliest tokens and the chosen one have the probabilities that softmax gives them.
  @Test func probabilitiesAreThoseOfTheLogits() throws {
    let model = try Model("qwen3-tiny", quantized: false)
    let prompt = model.prompts[1]
    let request = GenerationRequest(
      prompt, GenerationSettings(maxNewTokens: 5, sampling: SamplingSettings(temperature: 2), seed: 7), likeliest: 4)
    let answer = try Self.run(try model.batch(), [[request]])[0]
    let tokens = try #require(answer.generation?.tokenIds)
    #expect(answer.tokens.map(\.chosen.token) == tokens)
    let whole = Batch(sequence: prompt + tokens, shortLength: nil)
    let rows = (0..<tokens.count).map { prompt.count - 1 + $0 }
    let logits = model.pass.logits(whole, rows: rows)
    let classes = model.pass.decoder.configuration.vocabularySize
    for (index, token) in answer.tokens.enumerated() {
      let row = Array(logits[index * classes..<(index + 1) * classes])
      let normaliser = row.withUnsafeBufferPointer { logSumExp($0) }
      let sorted = row.indices.sorted { (row[$1], $0) < (row[$0], $1) }
      #expect(token.likeliest.map { Int($0.token) } == Array(sorted.prefix(4)))
      for probability in token.likeliest + [token.chosen] {
        let expected = Double(row[Int(probability.token)]) - normaliser
        #expect(abs(probability.logProbability - expected) < 1e-4)
      }
    }
  }
}
