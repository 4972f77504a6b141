import Core
import Glibc
import Models

/// Beam search as transformers does it with `length_penalty=1` and `early_stopping=False`: of all continuations of the
/// running beams by one token, the likeliest (1 + end tokens) · beams are looked at; those of them among the first `beams`
/// that end are kept by log-probability per token, end token included; the likeliest others run on. It is over when no
/// running beam, at its present length, scores better than the worst of `beams` finished ones, or none can run on.
struct BeamSearch {
  struct Beam: Equatable {
    var tokens: [Int32] = []
    var logProbability = 0.0
    /// Log-probability per token once finished.
    var score = 0.0
    var ending: Generation.Ending?
    /// Of an end token at its last step.
    var endProbability: Double?
    /// Which of the beams before it continues.
    var source = 0
  }

  let beams: Int
  let endTokens: Set<Int32>
  /// New tokens at most, an end token included.
  let limit: Int
  /// Whether tokens hold a stop string.
  let isStopped: ([Int32]) -> Bool
  private(set) var running = [Beam()]
  private(set) var finished: [Beam] = []
  private(set) var isOver = false

  /// Takes log-probabilities [V] after each running beam, a penalty applied, and what softmax gave to an end token.
  mutating func step(_ scores: [(logProbabilities: [Float], end: Double)]) {
    let candidates = best((1 + max(1, endTokens.count)) * beams, scores)
    let ended = candidates.prefix(beams).filter { $0.ending != nil }
    finished = Array((finished + ended).sorted { $0.score > $1.score }.prefix(beams))
    running = Array(candidates.filter { $0.ending == nil }.prefix(beams))
    guard let first = running.first else {
      isOver = true
      return
    }
    let reachable = first.logProbability / Double(first.tokens.count)
    isOver = finished.count == beams && reachable <= (finished.last?.score ?? -.infinity)
  }

  /// The likeliest continuations by one token, the likeliest first, of equals that of the earlier beam and token.
  private func best(_ count: Int, _ scores: [(logProbabilities: [Float], end: Double)]) -> [Beam] {
    var top: [(logProbability: Double, beam: Int, token: Int)] = []
    for (beam, score) in scores.enumerated() {
      let soFar = running[beam].logProbability
      for (token, value) in score.logProbabilities.enumerated() {
        let logProbability = soFar + Double(value)
        // No answer may hold it.
        if logProbability == -.infinity { continue }
        if top.count == count, logProbability <= top[count - 1].logProbability { continue }
        let place = top.firstIndex { $0.logProbability < logProbability } ?? top.count
        top.insert((logProbability, beam, token), at: place)
        if top.count > count { top.removeLast() }
      }
    }
    return top.map { candidate in
      var beam = running[candidate.beam]
      beam.tokens.append(Int32(candidate.token))
      beam.logProbability = candidate.logProbability
      beam.score = candidate.logProbability / Double(beam.tokens.count)
      beam.source = candidate.beam
      if endTokens.contains(Int32(candidate.token)) {
        beam.ending = .endOfText
        beam.endProbability = scores[candidate.beam].end
      } else if isStopped(beam.tokens) {
        beam.ending = .stopString
      } else if beam.tokens.count == limit {
        beam.ending = .limit
      }
      return beam
    }
  }
}

extension Generator {
  /// Continues `prompt` by beam search. The beams share the prompt's keys and values. What `each` step throws ends it.
  func beamSearch(
    _ prompt: [Int32], _ settings: GenerationSettings, each: () throws -> Void = {}
  ) throws -> Generation {
    let limit = min(settings.maxNewTokens, context - prompt.count)
    let kept = batch.retained.longest(prompt.dropLast(), pass.adapter)
    let prefix =
      kept.map { KeyValueCache(continuing: $0.cache, upTo: $0.count, capacity: prompt.count, pass.decoder) }
      ?? KeyValueCache(pass.decoder, capacity: prompt.count, pool: batch.pool)
    var search = BeamSearch(beams: settings.numBeams, endTokens: vocabulary.endTokens, limit: limit) { tokens in
      settings.stop.isEmpty ? false : (try? stoppedText(tokens, settings))?.isStopped ?? false
    }
    var logits = pass.extend(prefix, with: Array(prompt[prefix.count...]))
    batch.retained.keep(
      KeyValueCache(continuing: prefix, capacity: prompt.count, pass.decoder), promptCount: prompt.count, pass.adapter)
    func makeCaches() -> [KeyValueCache] {
      (0..<settings.numBeams).map { _ in
        KeyValueCache(continuing: prefix, capacity: prompt.count + limit, pass.decoder)
      }
    }
    // A beam's cache is copied from its source's: two sets, taken in turns.
    var (caches, spare) = (makeCaches(), makeCaches())
    while true {
      try each()
      try search.step(scores(logits, search.running, prompt, settings.sampling))
      if search.isOver { break }
      for (index, beam) in search.running.enumerated() where beam.tokens.count > 1 {
        spare[index].copy(caches[beam.source])
      }
      swap(&caches, &spare)
      let count = search.running.count
      logits = pass.extend(Array(caches.prefix(count)), with: search.running.map { Array($0.tokens.suffix(1)) })
    }
    guard let best = search.finished.first else {
      throw SFTError(.internalError, "beam search has found no continuation")
    }
    let tokens = best.ending == .endOfText ? Array(best.tokens.dropLast()) : best.tokens
    let text = try stoppedText(tokens, settings).text
    return Generation(
      text: text, tokens: tokens, ending: best.ending ?? .limit,
      endProbability: best.endProbability ?? endProbability(after: tokens, prefix))
  }

  private func scores(
    _ logits: UnsafeBufferPointer<Float>, _ beams: [BeamSearch.Beam], _ prompt: [Int32], _ sampling: SamplingSettings
  ) throws -> [(logProbabilities: [Float], end: Double)] {
    let classes = pass.decoder.configuration.vocabularySize
    return try beams.enumerated().map { index, beam in
      let row = UnsafeBufferPointer(rebasing: logits[index * classes..<(index + 1) * classes])
      let normaliser = logSumExp(row)
      guard normaliser.isFinite else { throw Generation.notFinite }
      var values = row.map { Float(Double($0) - normaliser) }
      values.withUnsafeMutableBufferPointer {
        vocabulary.excludePadding($0)
        sampling.penalise($0, Set(prompt + beam.tokens))
      }
      return (values, vocabulary.endProbability(row))
    }
  }

  private func endProbability(after tokens: [Int32], _ prefix: KeyValueCache) -> Double {
    let cache = KeyValueCache(continuing: prefix, capacity: prefix.count + tokens.count, pass.decoder)
    return vocabulary.endProbability(pass.extend(cache, with: tokens))
  }

  /// The text of whole tokens up to the first stop string.
  private func stoppedText(_ tokens: [Int32], _ settings: GenerationSettings) throws -> StoppingText {
    var text = StoppingText(
      decoder: vocabulary.tokenizer.makeDecoder(skipSpecialTokens: true), stops: settings.stop)
    for token in tokens where !text.isStopped { _ = try text.push(token) }
    _ = text.finish()
    return text
  }
}
