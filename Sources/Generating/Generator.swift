import Core
import Kernels
import Models
import Tokenizing

/// Continues texts and returns when they have ended: one at a time, or several in one pass, which reads the weights once for
/// all. The adapter is that of the pass.
public struct Generator {
  public let pass: InferencePass
  let batch: GenerationBatch
  private let endTokens: [Int32]

  var context: Int { pass.decoder.configuration.contextLength }
  var vocabulary: Continuation.Vocabulary { batch.vocabulary.of(endTokens) }

  /// `endTokens` end a text beside those of the model and its tokenizer, as what ends a turn in a chat template.
  ///
  /// `makesShortlist`: whether long greedy answers may take memory of a byte a weight of the head, which is kept with
  /// the model, to be faster. `retention`: what is kept of a text for those after it; everything, for a conversation. `width`:
  /// texts that are continued at once.
  ///
  /// Throws `badData` where the tokenizer has ids that the model does not.
  public init(
    _ pass: InferencePass, _ tokenizer: Tokenizer, endTokens: [Int32] = [], makesShortlist: Bool = true,
    retention: Retention = .nothing, width: Int = 1
  ) throws {
    self.pass = pass
    self.endTokens = endTokens
    var settings = GenerationBatch.Settings()
    settings.width = width
    settings.makesShortlist = makesShortlist
    settings.retention = retention
    // A conversation goes on from its last turn; of many prompts, what they have in common is in any of the last.
    settings.retained = retention == .everything ? 1 : width
    // Between parts of a long prompt a text may be given up.
    settings.promptRows = width > 1 ? 512 : 256
    batch = try GenerationBatch(pass, tokenizer, settings)
  }

  /// Continues `prompt`. `stream` gets the text as it grows, never half a character nor a part of a stop string; beam
  /// search knows the text only at its end. It is called at every step, with nothing where there is nothing new, and what it
  /// throws ends the text.
  ///
  /// Throws `badData` where the prompt is empty or leaves no room in the model's context.
  public func generate(
    _ prompt: [Int32], _ settings: GenerationSettings, stream: (String) throws -> Void = { _ in }
  ) throws -> Generation {
    try settings.validate()
    if settings.numBeams > 1 {
      try batch.check(prompt)
      let found = try beamSearch(prompt, settings) { try stream("") }
      try stream(found.text)
      return found
    }
    let id = try batch.add(GenerationRequest(prompt, settings, adapter: pass.adapter, endTokens: endTokens))
    do {
      while true {
        try stream("")
        for event in batch.step() {
          switch event {
          case .started: break
          case .grown(_, let text, _): if !text.isEmpty { try stream(text) }
          case .ended(_, let generation): return generation
          case .failed(_, let error): throw error
          }
        }
      }
    } catch {
      batch.cancel(id)
      throw error
    }
  }

  /// Continues each of `prompts`, as `generate` does one, some at a time: when one has ended, the next takes its place.
  /// What prompts begin with alike is computed once. Each text's end probability is measured. `progress` gets how many are
  /// done.
  public func generate(
    _ prompts: [[Int32]], _ settings: GenerationSettings, progress: (Int) -> Void = { _ in }
  ) throws -> [Generation] {
    try settings.validate()
    for prompt in prompts { try batch.check(prompt) }
    if settings.numBeams > 1 {
      return try prompts.enumerated().map { index, prompt in
        defer { progress(index + 1) }
        return try beamSearch(prompt, settings)
      }
    }
    var indices: [GenerationBatch.ID: Int] = [:]
    for (index, prompt) in prompts.enumerated() {
      let request = GenerationRequest(
        prompt, settings, adapter: pass.adapter, endTokens: endTokens, measuresEnd: true)
      indices[try batch.add(request)] = index
    }
    var generations = [Generation?](repeating: nil, count: prompts.count)
    do {
      while !batch.isEmpty {
        var ended = 0
        for event in batch.step() {
          switch event {
          case .started, .grown: break
          case .ended(let id, let generation):
            indices.removeValue(forKey: id).map { generations[$0] = generation }
            ended += 1
          case .failed(let id, let error):
            indices[id] = nil
            throw error
          }
        }
        if ended > 0 { progress(prompts.count - indices.count) }
      }
    } catch {
      for id in indices.keys { batch.cancel(id) }
      throw error
    }
    return generations.compactMap(\.self)
  }
}
