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
  private let tokenEmbedding: EmbeddingRows
  /// [context, C]; nil where positions are rotations.
  private let positionEmbedding: FloatTensor?
  let rotaries: [Rotary]
  let blocks: [Block]
  let finalNorm: Norm
  /// C → V; its weight is the token embedding where it is tied.
  let head: Linear

  private let shortlists = ShortlistCache()

  /// The blocks' linears in the order of the computation.
  public let linears: [LinearDescription]

  /// `quantized` holds, by tensor name, weights to use in 4 bits instead of the checkpoint's own. With `packing` linears stored
  /// as float32 are laid out for many products of several rows, such as training does: the copies take the place of the
  /// mapped pages.
  ///
  /// Throws `badData` for a checkpoint that lacks a tensor.
  public convenience init(
    _ checkpoint: ModelCheckpoint, quantized: [String: QuantizedMatrix] = [:], packing: Compute? = nil
  ) throws {
    try self.init(
      WeightSource(
        checkpoint.configuration, quantized: quantized, packing: packing, halves: checkpoint.halves
      ) { name, shape in
        let tensor = try checkpoint.tensor(name, shape: shape)
        // Beside matrices that are laid out, norms and biases would keep much of the file resident.
        return packing == nil ? tensor : tensor.detached(upTo: 1 << 18)
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
    head = Linear(
      name: "lm_head", index: linears.count, slot: 0, inputWidth: configuration.width,
      outputWidth: configuration.vocabularySize, orientation: .outputsByInputs, weight: try source.weight(table))
    switch head.weight {
    case .outputMajor(let weight) where configuration.tiedHead: tokenEmbedding = .floats(weight)
    case .half(let weight) where configuration.tiedHead: tokenEmbedding = .half(weight)
    case .packed(let weight) where configuration.tiedHead: tokenEmbedding = .head(weight)
    default: tokenEmbedding = try source.embedding()
    }
    positionEmbedding = try source.tensor(.positionEmbedding)
    rotaries = configuration.rotaries.map {
      Rotary(frequencies: $0.frequencies, long: $0.longFrequencies, amplitude: $0.amplitude)
    }
    var builder = BlockBuilder(source, linears)
    blocks = try (0..<configuration.layers).map { try builder.block($0) }
    finalNorm = try builder.norm(.finalNorm(.weight), .finalNorm(.bias))
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

  /// x[N, C] = scale · token embedding (+ position embedding).
  func embed(_ tokens: [Int32], positions: [Int], _ x: MutableFloats) {
    precondition(positions.allSatisfy { $0 < configuration.contextLength }, "a position beyond the model's context")
    Embedding.forward(
      words: tokenEmbedding.table, places: positionEmbedding?.pointer, tokens: tokens, positions: positions,
      scale: Float(configuration.embeddingScale), x, width: configuration.width)
  }

  /// Adds the embeddings' gradients, from dx[N, C].
  func embedBack(
    _ dx: Floats, _ tokens: [Int32], positions: [Int], gradients: WeightGradients, _ compute: Compute
  ) {
    guard case .floats(let words) = tokenEmbedding else { preconditionFailure("a frozen weight cannot be trained") }
    Embedding.backward(
      dx, tokens: tokens, positions: positions, scale: Float(configuration.embeddingScale),
      dwords: gradients.of(words), dplaces: positionEmbedding.map { gradients.of($0) }, width: configuration.width,
      compute)
  }

  /// What the rows at these positions turn by, for each of the model's rotations.
  func angles(_ positions: [Int], isLong: [Bool]?, _ buffers: [FloatBuffer]) -> [RotaryAngles] {
    zip(rotaries, buffers).map { $0.angles(positions, isLong: isLong, into: $1) }
  }

  func angles(_ batch: Batch, _ buffers: [FloatBuffer]) -> [RotaryAngles] {
    precondition(batch.shortLength == configuration.shortLength, "the batch was packed for another model")
    return angles(batch.positions, isLong: batch.areLong, buffers)
  }

  /// logits[rows, V] = h[rows, C] · headᵀ, before any cap.
  func project(_ h: Floats, _ logits: MutableFloats, rows: Int, panel: FloatBuffer, _ compute: Compute) {
    ProductSum(m: rows, n: head.outputWidth, head.forwardTerm(h)).profiled(as: .headForward)
      .compute(into: logits, stride: head.outputWidth, scratch: panel, compute)
  }

  /// For greedy decoding of one sequence, made at the first call and kept; it leaves some tokens out. nil where it does not
  /// apply: for heads that are not kept in 16 bits, and logits that are capped, as then equals may have come of others.
  public func shortlist(excluding tokens: [Int], _ compute: Compute) -> HeadShortlist? {
    guard case .half(let matrix) = head.weight, configuration.logitCap == nil, compute.engine == .auto else { return nil }
    return shortlists.shortlist(of: matrix, excluding: tokens, compute)
  }

  /// dh[rows, C] = dlogits[rows, V] · head.
  func projectBack(_ dlogits: Floats, _ dh: MutableFloats, rows: Int, panel: FloatBuffer, _ compute: Compute) {
    ProductSum(m: rows, n: head.inputWidth, head.backwardTerm(dlogits)).profiled(as: .headBackward)
      .compute(into: dh, stride: head.inputWidth, scratch: panel, compute)
  }

  /// Adds the head's gradient, dlogitsᵀ[V, rows] · h[rows, C]; a tied head's is the token embedding's.
  func projectWeights(
    _ dlogits: Floats, _ h: Floats, rows: Int, gradients: WeightGradients, panel: FloatBuffer, _ compute: Compute
  ) {
    let (width, classes) = (configuration.width, configuration.vocabularySize)
    guard case .outputMajor(let weight) = head.weight else { preconditionFailure("a frozen weight cannot be trained") }
    let dhead = gradients.of(weight)
    ProductSum(
      m: classes, n: width, ProductTerm(dlogits, rowStride: 1, step: classes, k: rows, .stored(h, stride: width)),
      addend: dhead, addendStride: width
    ).profiled(as: .weightGradients).compute(into: dhead, stride: width, scratch: panel, compute)
  }
}
