import Core
import Kernels
import Quantizing
import Weights

/// One pre-norm decoder, composed from kernels and described by a `ModelConfiguration`.
///
/// N rows, C width, V vocabulary, F MLP width, H heads. Immutable, so any number of passes may share it; frozen weights stored
/// as float32 stay in the mapped file, and those that are trained are `TrainableWeights`'.
public final class Decoder: Sendable {
  public let configuration: ModelConfiguration
  /// [V, C]; nil where the head is the same table and laid out beforehand: its columns serve then.
  let tokenEmbedding: FloatTensor?
  /// [context, C].
  let positionEmbedding: FloatTensor
  let blocks: [Block]
  let finalNorm: Norm
  /// C → V; its weight is the token embedding where it is tied.
  let head: Linear

  /// The linears' module names, such as `transformer.h.0.attn.c_attn`, in the order of the computation.
  public let linears: [LinearDescription]

  /// `quantized` holds, by tensor name, weights to use in 4 bits instead of the checkpoint's own. With `packing` the other
  /// linears are laid out for many products of several rows, such as training does: the copies take the place of the
  /// mapped pages.
  ///
  /// Throws `badData` for a checkpoint that lacks a tensor or asks for something that the decoder does not have.
  public convenience init(
    _ checkpoint: ModelCheckpoint, quantized: [String: QuantizedMatrix] = [:], packing: Compute? = nil
  ) throws {
    try self.init(
      WeightSource(checkpoint.configuration, quantized: quantized, packing: packing) { name, shape in
        let tensor = try checkpoint.tensor(name, shape: shape)
        // Beside matrices that are laid out, norms and biases would keep much of the file resident.
        return packing == nil ? tensor : tensor.detached(upTo: 1 << 18)
      })
  }

  init(_ source: WeightSource) throws {
    let configuration = source.configuration
    self.configuration = configuration
    switch configuration.architecture {
    case .gpt2:
      let (width, vocabulary) = (configuration.width, configuration.vocabularySize)
      let embeddingName = "transformer.wte.weight"
      head = Linear(
        name: "lm_head", index: configuration.layers * 4, inputWidth: width, outputWidth: vocabulary,
        weight: try source.outputMajor(
          configuration.tiedHead ? embeddingName : ModelConfiguration.headName, width, vocabulary))
      switch head.weight {
      case .outputMajor(let weight) where configuration.tiedHead: tokenEmbedding = weight
      case .packed where configuration.tiedHead: tokenEmbedding = nil
      default: tokenEmbedding = try source.tensor(embeddingName, [vocabulary, width])
      }
      positionEmbedding = try source.tensor("transformer.wpe.weight", [configuration.contextLength, width])
      blocks = try (0..<configuration.layers).map { try Block(gpt2: source, layer: $0) }
      finalNorm = try Norm(gpt2: source, "transformer.ln_f")
    }
    linears = configuration.linears
    precondition(linears.map(\.name) == blocks.flatMap(\.linears).map(\.name))
  }

  /// Whether the blocks' linears are stored [in, out], which PEFT calls `fan_in_fan_out`: false for quantised ones.
  var storesInputMajor: Bool {
    blocks.contains { block in
      block.linears.contains {
        switch $0.weight {
        case .inputMajor, .packed: true
        case .outputMajor, .quantized: false
        }
      }
    }
  }

  /// Whether any linear is in 4 bits.
  public var isQuantized: Bool {
    blocks.contains { block in
      block.linears.contains { if case .quantized = $0.weight { true } else { false } }
    }
  }

  private var words: Embedding.Table {
    if let tokenEmbedding { return .rows(tokenEmbedding.pointer) }
    guard case .packed(let weight) = head.weight else { preconditionFailure("there is no token embedding") }
    return .columns(weight)
  }

  /// x[N, C] = token embedding + position embedding.
  func embed(_ tokens: [Int32], positions: [Int], _ x: MutableFloats) {
    precondition(positions.allSatisfy { $0 < configuration.contextLength }, "a position beyond the model's context")
    Embedding.forward(
      words: words, places: positionEmbedding.pointer, tokens: tokens, positions: positions, x,
      width: configuration.width)
  }

  /// Adds the embeddings' gradients, from dx[N, C].
  func embedBack(
    _ dx: Floats, _ tokens: [Int32], positions: [Int], gradients: WeightGradients, _ compute: Compute
  ) {
    guard let tokenEmbedding else { preconditionFailure("a frozen weight cannot be trained") }
    Embedding.backward(
      dx, tokens: tokens, positions: positions, dwords: gradients.of(tokenEmbedding),
      dplaces: gradients.of(positionEmbedding), width: configuration.width, compute)
  }

  /// logits[rows, V] = h[rows, C] · headᵀ.
  func project(_ h: Floats, _ logits: MutableFloats, rows: Int, panel: FloatBuffer, _ compute: Compute) {
    ProductSum(m: rows, n: head.outputWidth, head.forwardTerm(h)).profiled(as: .headForward)
      .compute(into: logits, stride: head.outputWidth, scratch: panel, compute)
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

/// Where a decoder takes its weights from.
struct WeightSource {
  let configuration: ModelConfiguration
  /// By tensor name, those to use in 4 bits.
  let quantized: [String: QuantizedMatrix]
  /// By what to lay out the linears; nil to leave them as they are stored.
  let packing: Compute?
  let tensor: (_ name: String, _ shape: [Int]) throws -> FloatTensor

  init(
    _ configuration: ModelConfiguration, quantized: [String: QuantizedMatrix] = [:], packing: Compute? = nil,
    _ tensor: @escaping (_ name: String, _ shape: [Int]) throws -> FloatTensor
  ) {
    self.configuration = configuration
    self.quantized = quantized
    self.packing = packing
    self.tensor = tensor
  }

  /// A linear's weight that is stored [in, out].
  func inputMajor(_ name: String, _ inputs: Int, _ outputs: Int) throws -> LinearWeight {
    if let weight = quantized[name] { return .quantized(weight) }
    let weight = try tensor(name, [inputs, outputs])
    guard let packing else { return .inputMajor(weight) }
    defer { weight.releasePages() }
    return .packed(PackedMatrix(weight.pointer, stride: outputs, rows: inputs, columns: outputs, packing))
  }

  /// The same of one that is stored [out, in], such as a head.
  func outputMajor(_ name: String, _ inputs: Int, _ outputs: Int) throws -> LinearWeight {
    let weight = try tensor(name, [outputs, inputs])
    guard let packing else { return .outputMajor(weight) }
    return .packed(
      PackedMatrix(transposed: weight.pointer, stride: inputs, rows: inputs, columns: outputs, packing) {
        weight.releasePages(rows: $0)
      })
  }
}

/// What an adapter or a quantiser needs to know of one linear of the blocks.
public struct LinearDescription: Sendable, Equatable {
  /// Module name, such as `transformer.h.0.attn.c_attn`; the weight's tensor is `NAME.weight`.
  public var name: String
  public var layer: Int
  public var inputWidth: Int
  public var outputWidth: Int

  public var weightName: String { name + ".weight" }

  /// Whether `target` is this module's name, or the end of it at a dot, as PEFT matches.
  public func isNamed(_ target: String) -> Bool { name == target || name.hasSuffix("." + target) }
}

extension ModelConfiguration {
  /// The linears of the blocks, in the order of the computation.
  public var linears: [LinearDescription] {
    expectedTensors.compactMap { tensor in
      let parts = tensor.name.split(separator: ".")
      guard tensor.shape.count == 2, parts.last == "weight", let h = parts.firstIndex(of: "h"), h + 1 < parts.count,
        let layer = Int(parts[h + 1])
      else { return nil }
      return LinearDescription(
        name: String(tensor.name.dropLast(".weight".count)), layer: layer,
        inputWidth: tensor.shape[storesInputMajor ? 0 : 1], outputWidth: tensor.shape[storesInputMajor ? 1 : 0])
    }
  }
}

extension Norm {
  init(gpt2 source: WeightSource, _ name: String) throws {
    let width = source.configuration.width
    weight = try source.tensor(name + ".weight", [width])
    bias = try source.tensor(name + ".bias", [width])
    epsilon = source.configuration.normEpsilon
  }
}

extension Block {
  /// GPT-2's description of a block: q|k|v side by side in one linear, a plain MLP, `Conv1D` weights.
  init(gpt2 source: WeightSource, layer: Int) throws {
    let configuration = source.configuration
    let name = "transformer.h.\(layer)."
    let (width, mlpWidth) = (configuration.width, configuration.mlpWidth)
    func linear(_ slot: Int, _ module: String, _ inputs: Int, _ outputs: Int) throws -> Linear {
      Linear(
        name: name + module, index: layer * 4 + slot, inputWidth: inputs, outputWidth: outputs,
        weight: try source.inputMajor(name + module + ".weight", inputs, outputs),
        bias: try source.tensor(name + module + ".bias", [outputs]))
    }
    attentionNorm = try Norm(gpt2: source, name + "ln_1")
    attentionInput = try linear(0, "attn.c_attn", width, 3 * width)
    attentionOutput = try linear(1, "attn.c_proj", width, width)
    mlpNorm = try Norm(gpt2: source, name + "ln_2")
    mlpInput = try linear(2, "mlp.c_fc", width, mlpWidth)
    mlpOutput = try linear(3, "mlp.c_proj", mlpWidth, width)
    attention = Attention(
      heads: configuration.heads, keyValueHeads: configuration.keyValueHeads, headWidth: configuration.headWidth)
  }
}
