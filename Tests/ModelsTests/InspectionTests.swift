import Core
import Kernels
import Models
import TestSupport
import Testing
import Weights

/// `InferencePass.inspect`, on every family.
@Suite struct InspectionTests {
  /// A part's values, its rows one after the other.
  private struct Shown {
    var layer: Int?
    var part: DecoderPart
    var width: Int
    var values: [Float]
  }

  private static func inspect(_ pass: InferencePass, _ tokens: [Int32]) -> [Shown] {
    var shown: [Shown] = []
    pass.inspect(tokens) { output in
      let rows = (0..<output.rows).flatMap { row in
        Array(UnsafeBufferPointer(start: output.values + row * output.stride, count: output.width))
      }
      if let last = shown.last, last.layer == output.layer, last.part == output.part {
        shown[shown.count - 1].values += rows
      } else {
        shown.append(Shown(layer: output.layer, part: output.part, width: output.width, values: rows))
      }
    }
    return shown
  }

  /// Those of a layer that its configuration names, in the order of the computation.
  private static func expectedParts(_ configuration: ModelConfiguration, _ layer: Int) -> [DecoderPart] {
    var absent: Set<DecoderPart> = [.embeddings, .finalNorm, .logits]
    if !configuration.normsInputs { absent.formUnion([.attentionInputNorm, .mlpInputNorm]) }
    if !configuration.normsOutputs { absent.formUnion([.attentionOutputNorm, .mlpOutputNorm]) }
    if configuration.headNorm == nil { absent.formUnion([.queriesNormed, .keysNormed]) }
    if configuration.blocks[layer].rotary == nil { absent.formUnion([.queriesRotated, .keysRotated]) }
    if !configuration.gatedMLP { absent.insert(.gate) }
    return DecoderPart.allCases.filter { !absent.contains($0) }
  }

  private static func check(_ decoder: Decoder, _ adapter: Adapter?, _ tokens: [Int32], _ engine: Engine) throws {
    let pass = InferencePass(decoder, adapter, Compute(engine: engine), memory: PassMemory(logits: 64))
    let configuration = decoder.configuration
    let segment = Batch.Segment(rows: 0..<tokens.count, startPosition: 0, parent: nil)
    let batch = Batch(tokens: tokens, segments: [segment], targets: [], recordTokens: tokens.count)
    let logits = pass.logits(batch, rows: Array(tokens.indices))
    let shown = inspect(pass, tokens)
    #expect(try sameBits(#require(shown.last).values, logits))
    #expect(shown.first?.part == .embeddings && shown.allSatisfy { $0.values.count == tokens.count * $0.width })
    var stream = try #require(shown.first).values
    for layer in 0..<configuration.layers {
      let parts = shown.filter { $0.layer == layer }
      #expect(parts.map(\.part) == expectedParts(configuration, layer))
      func values(_ part: DecoderPart) throws -> [Float] { try #require(parts.first { $0.part == part }).values }
      // What is shown of a branch adds up to the stream that the block itself has made.
      let branches: [(DecoderPart, normed: DecoderPart, after: DecoderPart)] = [
        (.attentionOutput, .attentionOutputNorm, .afterAttention), (.mlpOutput, .mlpOutputNorm, .afterMLP),
      ]
      for (output, normed, after) in branches {
        let added = try values(configuration.normsOutputs ? normed : output)
        let sum = zip(stream, added).map { $0 + Float(configuration.residualScale) * $1 }
        stream = try values(after)
        #expect(largestError(sum, stream) < 1e-5, "layer \(layer), \(after)")
      }
      // A rotation keeps lengths, but for what YaRN and its like multiply by.
      if configuration.blocks[layer].rotary != nil {
        let before = try values(configuration.headNorm == nil ? .queries : .queriesNormed)
        let after = try values(.queriesRotated)
        func length(_ x: [Float]) -> Double { x.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot() }
        #expect(relativeError(length(after), length(before)) < 1e-5)
        // The first token stands at 0, where nothing turns.
        #expect((largestError(after, before) > 1e-3) == (tokens.count > 1))
      }
    }
  }

  @Test(arguments: Architecture.allCases, Engine.allCases)
  func partsAddUpToWhatThePassComputes(_ family: Architecture, _ engine: Engine) throws {
    let model = RandomModel(family)
    let decoder = try model.decoder()
    let tokens = try #require(model.samples(1, seed: 6).first).tokens
    try Self.check(decoder, nil, tokens, engine)
    try Self.check(decoder, try model.adapter(LoRAConfiguration(rank: 3), for: decoder), tokens, engine)
  }

  @Test(arguments: ReferenceCase.families)
  func partsAddUpInTheReferenceCases(_ name: String) throws {
    let reference = try ReferenceCase(name)
    let decoder = try Decoder(ModelCheckpoint(folder: reference.model))
    let tokens = try #require(reference.samples().first).sample.tokens
    try Self.check(decoder, try AdapterFolder.read(reference.adapter, for: decoder), tokens, .auto)
    try Self.check(decoder, nil, Array(tokens.prefix(1)), .auto)
  }
}
