import Core
import Files
import JSON
import Kernels
import Models
import Packing
import TestSupport
import Testing
import Weights

/// LongRoPE, which rotates a sequence that is longer than the original context otherwise from its first token on: against what
/// transformers makes of each sequence by itself (`make_longrope.py`).
@Suite struct LongRoPETests {
  private let decoder: Decoder
  private let sequences: [(tokens: [Int32], loss: Double, logits: [Double])]
  private let prompt: [Int32]
  private let greedy: [Int32]

  init() throws {
    let expected = try parseJSONFile(fixturesFolder + "/longrope.json")
    func tokens(_ value: JSONValue?) -> [Int32] { (value?.array ?? []).compactMap { $0.int.map(Int32.init) } }
    (prompt, greedy) = (tokens(expected["prompt"]), tokens(expected["greedy"]))
    sequences = (expected["sequences"]?.array ?? []).map { sequence in
      (
        tokens(sequence["tokens"]), sequence["loss"]?.double ?? .nan,
        (sequence["logits"]?.array ?? []).compactMap(\.double)
      )
    }
    let model = try ReferenceCase("phi3-tiny").model
    decoder = try withTemporaryFolder { folder in
      let config = try #require(expected["config"]).serialized
      try writeAtomically(Array(config.utf8), to: folder + "/config.json")
      try writeAtomically(readFile(model + "/model.safetensors"), to: folder + "/model.safetensors")
      return try Decoder(ModelCheckpoint(folder: folder))
    }
  }

  private var samples: [Sample] { sequences.map { Sample(tokens: $0.tokens, promptCount: 1) } }

  private func pack(_ samples: [Sample], sharesPrefixes: Bool = true) -> Batch {
    Packer.pack(samples, sharesPrefixes: sharesPrefixes, shortLength: decoder.configuration.shortLength)
  }

  @Test func theCaseLiesOnBothSides() {
    #expect(decoder.configuration.contextLength == 256 && decoder.configuration.shortLength == 20)
    #expect(sequences.map(\.tokens.count) == [12, 19, 20, 21, 33, 60])
    #expect(prompt.count < 20 && prompt.count + greedy.count > 20)
  }

  @Test(arguments: Engine.allCases) func eachSequenceIsTransformers(_ engine: Engine) throws {
    let pass = InferencePass(decoder, nil, Compute(engine: engine))
    for (sequence, sample) in zip(sequences, samples) {
      let totals = pass.loss(pack([sample]))
      #expect(relativeError(totals.loss / totals.weight, sequence.loss) < 1e-5)
      let batch = Batch(sequence: sequence.tokens, shortLength: 20)
      let logits = pass.logits(batch, rows: [sequence.tokens.count - 1])
      for (own, theirs) in zip(logits, sequence.logits) { #expect(abs(Double(own) - theirs) < 1e-4) }
    }
  }

  /// What else is in a batch has no part in it, although all sequences begin alike.
  @Test(arguments: [true, false]) func aBatchIsItsSequences(_ sharesPrefixes: Bool) throws {
    let batch = pack(samples, sharesPrefixes: sharesPrefixes)
    let totals = InferencePass(decoder, nil, Compute()).loss(batch)
    let expected = sequences.reduce(0) { $0 + $1.loss * Double($1.tokens.count - 1) }
    #expect(relativeError(totals.loss, expected) < 1e-5)
    if sharesPrefixes {
      // One tree on either side.
      let roots = batch.segments.filter { $0.parent == nil }
      #expect(roots.map(\.isLong) == [false, true])
      for sample in samples {
        let path = batch.path(of: sample.tokens.dropLast())
        #expect(path.reduce(0) { $0 + batch.segments[$1].rows.count } == sample.tokens.count - 1)
        #expect(path.allSatisfy { batch.segments[$0].isLong == (sample.tokens.count > 20) })
      }
    }
  }

  @Test func gradientsOfABatchAreItsSequences() throws {
    let adapter = try RandomModel().adapter(LoRAConfiguration(rank: 3), for: decoder)
    func gradient(_ batches: [Batch]) -> [Float] {
      let pass = TrainingPass(decoder, .adapter(adapter), Compute())
      for batch in batches { _ = pass.accumulate(batch, scale: 0.01, dropoutSeed: 0) }
      return Array(UnsafeBufferPointer(start: pass.gradients.pointer, count: adapter.count))
    }
    #expect(largestError(gradient([pack(samples)]), gradient(samples.map { pack([$0]) })) < 2e-5)
  }

  private func best(_ logits: UnsafeBufferPointer<Float>) -> Int32 {
    Int32(logits.indices.max { logits[$0] < logits[$1] } ?? 0)
  }

  /// A continuation that passes the original context, by itself, behind a cache that it shares, and with another beside it that
  /// has passed it already; a copy goes on like what it was copied from.
  @Test func aContinuationIsComputedAnewWhereItBecomesLong() throws {
    let pass = InferencePass(decoder, nil, Compute())
    let root = KeyValueCache(decoder, capacity: 9)
    _ = pass.extend(root, with: Array(prompt.prefix(9)))
    let caches = [KeyValueCache(decoder, capacity: 40), KeyValueCache(continuing: root, capacity: 40, decoder)]
    let long = KeyValueCache(decoder, capacity: 100)
    _ = pass.extend(long, with: Array(sequences[5].tokens.prefix(30)))
    var found: [[Int32]] = [[], []]
    var pending = [prompt, Array(prompt[9...])]
    for step in 0..<greedy.count {
      let classes = decoder.configuration.vocabularySize
      let logits = pass.extend(caches + [long], with: pending + [[sequences[5].tokens[30 + step]]])
      for index in 0..<2 {
        let token = best(UnsafeBufferPointer(rebasing: logits[index * classes..<(index + 1) * classes]))
        found[index].append(token)
        pending[index] = [token]
      }
    }
    #expect(found == [greedy, greedy])
    let copy = KeyValueCache(continuing: root, capacity: 60, decoder)
    copy.copy(caches[1])
    #expect(best(pass.extend(copy, with: pending[1])) == best(pass.extend(caches[0], with: pending[0])))
    // Back among the short ones nothing is left that would be of use.
    caches[0].truncate(to: 25)
    #expect(caches[0].count == 25)
    caches[0].truncate(to: 14)
    #expect(caches[0].count == 0)
    #expect(best(pass.extend(caches[0], with: prompt)) == greedy[0])
  }
}
