import Core
import Kernels
import Quantizing
import Weights

/// One decoder, composed of parts as a `ModelConfiguration` describes them; it knows no family.
///
/// N rows, C width, V vocabulary, F MLP width, H heads. Immutable, so any number of passes may share it; frozen weights stay in
/// the mapped file as they are stored, and those that are trained are `TrainableWeights`'.
public final class Decoder: Sendable {
  public let configuration: ModelConfiguration
  let rotaries: [Rotary]
  let blocks: [Block]
  /// What stands before and after the blocks.
  private let ends: DecoderEnds

  private let shortlists = ShortlistCache()

  /// The blocks' linears in the order of the computation.
  public let linears: [LinearDescription]

  /// `quantized` holds, by tensor name, weights to use in 4 bits instead of the checkpoint's own, and `blocks` those in ggml's
  /// blocks, [out, in]; nil for those that the checkpoint has so. With `panels` linears stored as float32 are laid out for many
  /// products of several rows, such as training does: the copies take the place of the mapped pages.
  ///
  /// Throws `badData` for a checkpoint that lacks a tensor.
  public convenience init(
    _ checkpoint: ModelCheckpoint, quantized: [String: QuantizedMatrix] = [:],
    blocks: [String: BlockMatrix]? = nil, panels: Compute? = nil
  ) throws {
    let blocks = try blocks ?? checkpoint.blockMatrices(except: Set(quantized.keys))
    try self.init(
      WeightSource(
        checkpoint.configuration, quantized: quantized, blocks: blocks, panels: panels, halves: checkpoint.halves
      ) { name, shape in
        let tensor = try checkpoint.tensor(name, shape: shape)
        // Beside matrices that are laid out, norms and biases would keep much of the file resident.
        return panels == nil ? tensor : tensor.detached(upTo: 1 << 18)
      })
  }

  init(_ source: WeightSource) throws {
    let configuration = source.configuration
    self.configuration = configuration
    let headRole: TensorRole = configuration.tiedHead ? .tokenEmbedding : .head
    guard let table = source.specification(headRole) else {
      throw SFTError(.internalError, "the model has no tensor for its head")
    }
    linears = configuration.linears
    let head = Linear(
      name: "lm_head", index: linears.count, slot: 0, inputWidth: configuration.width,
      outputWidth: configuration.vocabularySize, orientation: .outputsByInputs, weight: try source.weight(table))
    let rowsOfHead = configuration.tiedHead ? EmbeddingRows(head: head.weight) : nil
    let tokenEmbedding = try rowsOfHead ?? source.embedding()
    let positionEmbedding = try source.tensor(.positionEmbedding)
    rotaries = configuration.rotaries.map {
      Rotary(frequencies: $0.frequencies, long: $0.longFrequencies, amplitude: $0.amplitude)
    }
    var builder = BlockBuilder(source, linears)
    blocks = try (0..<configuration.layers).map { try builder.block($0) }
    ends = DecoderEnds(
      configuration, tokenEmbedding: tokenEmbedding, positionEmbedding: positionEmbedding,
      finalNorm: try builder.norm(.finalNorm(.weight), .finalNorm(.bias)), head: head)
    precondition(linears.map(\.name) == blocks.flatMap(\.linears).map(\.name))
  }

  /// Whether adapters say `fan_in_fan_out`, as PEFT does of linears stored [in, out]: not of those in 4 bits.
  var isFanInFanOut: Bool {
    blocks.contains { block in
      block.linears.contains {
        if case .quantized = $0.weight { false } else { $0.orientation == .inputsByOutputs }
      }
    }
  }

  /// Whether any linear is in 4 bits.
  public var isQuantized: Bool {
    blocks.contains { block in
      block.linears.contains { if case .quantized = $0.weight { true } else { false } }
    }
  }

  /// What stands before and after the blocks, with an adapter's own in its place.
  func ends(with adapter: Adapter?) -> DecoderEnds { adapter?.replacing(ends) ?? ends }

  /// What the rows at these positions turn by, for each of the model's rotations.
  func angles(_ positions: [Int], isLong: [Bool]?, _ buffers: [FloatBuffer], _ compute: Compute) -> [RotaryAngles] {
    zip(rotaries, buffers).map { $0.angles(positions, isLong: isLong, into: $1, compute) }
  }

  func angles(_ batch: Batch, _ buffers: [FloatBuffer], _ compute: Compute) -> [RotaryAngles] {
    precondition(batch.shortLength == configuration.shortLength, "the batch was packed for another model")
    return angles(batch.positions, isLong: batch.areLong, buffers, compute)
  }

  /// For greedy decoding of one sequence, made at the first call and kept; it leaves some tokens out. nil where it does not
  /// apply: for heads that are not kept in 16 bits or have rows of the adapter's, and logits that are capped, as then equals
  /// may have come of others.
  func shortlist(_ adapter: Adapter?, excluding tokens: [Int], _ compute: Compute) -> HeadShortlist? {
    let ends = ends(with: adapter)
    guard case .half(let matrix) = ends.head.weight, ends.headRows == nil, configuration.logitCap == nil,
      compute.engine == .auto
    else { return nil }
    return shortlists.shortlist(of: matrix, excluding: tokens, compute)
  }
}
