import Core
import Generating
import Files
import JSON
import Kernels
import Models
import TestSupport
import Testing
import Tokenizing
import Weights

/// Greedy continuations against those of transformers and peft.
@Suite struct GreedyTests {
  struct Loaded {
    let reference: ReferenceCase
    let pass: InferencePass
    let tokenizer: Tokenizer
    let prompts: [[Int32]]

    init(_ name: String, adapted: Bool, engine: Engine = .auto) throws {
      reference = try ReferenceCase(name)
      let decoder = try Decoder(ModelCheckpoint(folder: reference.model))
      let adapter = adapted ? try AdapterFolder.read(reference.adapter, for: decoder) : nil
      pass = InferencePass(decoder, adapter, Compute(engine: engine))
      tokenizer = try Tokenizer(folder: reference.model)
      prompts = try reference.samples().prefix(4).map { Array($0.sample.tokens.prefix($0.sample.promptCount)) }
    }
  }

  @Test(
    arguments: ReferenceCase.all,
    [("base", Engine.auto), ("adapter", .auto), ("base", .plain), ("adapter", .plain)])
  func continuationsAreTheReference(_ name: String, _ which: (String, Engine)) throws {
    let loaded = try Loaded(name, adapted: which.0 == "adapter", engine: which.1)
    let expected = (loaded.reference.expect[which.0 + "_greedy"]?.array ?? []).map {
      ($0.array ?? []).compactMap { $0.int.map(Int32.init) }
    }
    #expect(expected.count == 4 && loaded.prompts.count == 4)
    let generator = try Generator(loaded.pass, loaded.tokenizer)
    let ends = loaded.reference.endTokens
    #expect(!ends.isEmpty && Set(loaded.tokenizer.endTokens) == Set(ends))
    for (prompt, tokens) in zip(loaded.prompts, expected) {
      let result = try generator.generate(prompt, GenerationSettings(maxNewTokens: 24))
      // The reference's list has the end token where one was produced.
      let stopped = tokens.last.map(ends.contains) ?? false
      #expect(result.tokenIds == (stopped ? Array(tokens.dropLast()) : tokens))
      #expect(result.finishReason == (stopped ? .stop : .length))
      #expect(result.text == (try loaded.tokenizer.decode(result.tokenIds)))
    }
  }

  /// One text alone asks a shortlist for the largest logit after some tokens.
  @Test(arguments: ["llama3-bf16-tiny", "qwen3-bf16-tiny"], [true, false])
  func aShortlistChangesNothing(_ name: String, _ adapted: Bool) throws {
    let loaded = try Loaded(name, adapted: adapted)
    #expect(loaded.pass.shortlist(of: nil, excluding: []) != nil)
    for prompt in loaded.prompts {
      let settings = GenerationSettings(maxNewTokens: 60)
      let short = try Generator(loaded.pass, loaded.tokenizer).generate(prompt, settings)
      let all = try Generator(loaded.pass, loaded.tokenizer, makesShortlist: false).generate(prompt, settings)
      #expect(short == all)
    }
  }

  @Test(arguments: ReferenceCase.gpt2) func streamedPiecesAreTheText(_ name: String) throws {
    let loaded = try Loaded(name, adapted: true)
    let generator = try Generator(loaded.pass, loaded.tokenizer)
    for (index, prompt) in loaded.prompts.enumerated() {
      for temperature in [0, 1.5] {
        let settings = GenerationSettings(
          maxNewTokens: 40, sampling: SamplingSettings(temperature: temperature), seed: UInt64(index))
        var streamed = ""
        let result = try generator.generate(prompt, settings) { streamed += $0 }
        #expect(streamed == result.text && !result.tokenIds.isEmpty)
        #expect(result.text == (try loaded.tokenizer.decode(result.tokenIds)))
        // The seed decides; nothing is left in the generator from before.
        #expect(try generator.generate(prompt, settings) == result)
      }
    }
  }

  /// Every piece of the whole text as a stop string: the text ends before its first occurrence, and no part of it was
  /// streamed.
  @Test func stopStringsEndTheText() throws {
    let loaded = try Loaded("gpt2-tiny", adapted: true)
    let generator = try Generator(loaded.pass, loaded.tokenizer)
    let whole = try generator.generate(loaded.prompts[0], GenerationSettings(maxNewTokens: 24))
    let characters = Array(whole.text)
    #expect(characters.count > 20)
    for first in stride(from: 0, to: characters.count, by: 3) {
      for length in [1, 2, 5] where first + length <= characters.count {
        let stop = String(characters[first..<first + length])
        var streamed = ""
        let settings = GenerationSettings(maxNewTokens: 24, stop: ["never comes", stop])
        let result = try generator.generate(loaded.prompts[0], settings) { streamed += $0 }
        let at = try #require(firstIndex(of: Array(stop.utf8), in: Array(whole.text.utf8)))
        #expect(Array(result.text.utf8) == Array(whole.text.utf8.prefix(at)), "\(stop)")
        #expect(streamed == result.text)
        if result.finishReason == .stop { #expect(whole.tokenIds.starts(with: result.tokenIds)) }
      }
    }
    let unused = try generator.generate(
      loaded.prompts[0], GenerationSettings(maxNewTokens: 24, stop: [whole.text + "x", "never comes"]))
    #expect(unused == whole)
  }

  private func firstIndex(of part: [UInt8], in bytes: [UInt8]) -> Int? {
    guard part.count <= bytes.count else { return nil }
    return (0...bytes.count - part.count).first { bytes[$0..<$0 + part.count].elementsEqual(part) }
  }

  /// Every id that `config.json` names ends the text, and is no part of it.
  @Test func endTokensEndTheText() throws {
    let loaded = try Loaded("gpt2-tiny", adapted: false)
    let whole = try Generator(loaded.pass, loaded.tokenizer).generate(
      loaded.prompts[0], GenerationSettings(maxNewTokens: 24))
    // The first prompt's answer is twelve times 259, then 448.
    #expect(whole.tokenIds[11] == 259 && whole.tokenIds[12] == 448)
    try loaded.reference.withModel(endingAt: [0, 448]) { folder in
      let pass = InferencePass(try Decoder(ModelCheckpoint(folder: folder)), nil, Compute())
      let result = try Generator(pass, loaded.tokenizer).generate(loaded.prompts[0], GenerationSettings())
      #expect(result.tokenIds == [Int32](repeating: 259, count: 12) && result.finishReason == .stop)
      #expect(result.text == (try loaded.tokenizer.decode(result.tokenIds)))
    }
  }

  @Test func theContextIsTheLimit() throws {
    let loaded = try Loaded("gpt2-tiny", adapted: false)
    let generator = try Generator(loaded.pass, loaded.tokenizer)
    let context = loaded.pass.decoder.configuration.contextLength
    // Token 82 answers itself for long.
    let prompt = [Int32](repeating: 82, count: context - 3)
    let result = try generator.generate(prompt, GenerationSettings(maxNewTokens: 50))
    #expect(result.finishReason == .length && result.tokenIds.count == 3)
    for bad in [[], [Int32](repeating: 82, count: context)] {
      let error = #expect(throws: SFTError.self) { try generator.generate(bad, GenerationSettings()) }
      #expect(error?.kind == .badData)
    }
    for settings in [
      GenerationSettings(maxNewTokens: 0), GenerationSettings(stop: [""]),
      GenerationSettings(sampling: SamplingSettings(temperature: -1)),
      GenerationSettings(sampling: SamplingSettings(topK: 0)),
      GenerationSettings(sampling: SamplingSettings(topP: 1.1)),
    ] {
      let error = #expect(throws: SFTError.self) { try generator.generate(prompt, settings) }
      #expect(error?.kind == .usage)
    }
  }
}

extension ReferenceCase {
  /// A copy of the model's folder whose configuration names other end tokens than 0 alone.
  func withModel<Value>(endingAt ids: [Int], _ body: (String) throws -> Value) throws -> Value {
    try withTemporaryFolder { folder in
      for name in try directoryEntries(model) {
        try writeAtomically(try readFile(model + "/" + name), to: folder + "/" + name)
      }
      let text = String(decoding: try readFile(folder + "/config.json"), as: UTF8.self)
      let parts = text.split(separator: "\"eos_token_id\": 0", omittingEmptySubsequences: false)
      #expect(parts.count == 2)
      try writeAtomically(Array(parts.joined(separator: "\"eos_token_id\": \(ids)").utf8), to: folder + "/config.json")
      return try body(folder)
    }
  }
}
