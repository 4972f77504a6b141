import Core
import Kernels
import Quantizing
import Weights

/// The frozen base: one pre-norm decoder, composed from kernels and described by a `ModelConfiguration`.
///
/// N rows, C width, V vocabulary, F MLP width, H heads. Immutable, so any number of passes may share it; weights stored as
/// float32 stay in the mapped file.
public final class Decoder: Sendable {
  public let configuration: ModelConfiguration
  /// [V, C].
  let tokenEmbedding: FloatTensor
  /// [context, C].
  let positionEmbedding: FloatTensor
  let blocks: [Block]
  let finalNorm: Norm
  /// [V, C]: the token embedding where it is tied.
  let head: FloatTensor

  /// The linears' module names, such as `transformer.h.0.attn.c_attn`, in the order of the computation.
  public let linears: [LinearDescription]

  /// `quantized` holds, by tensor name, weights to use in 4 bits instead of the checkpoint's own.
  ///
  /// Throws `badData` for a checkpoint that lacks a tensor or asks for something that the decoder does not have.
  public init(_ checkpoint: ModelCheckpoint, quantized: [String: QuantizedMatrix] = [:]) throws {
    let configuration = checkpoint.configuration
    self.configuration = configuration
    switch configuration.architecture {
    case .gpt2:
      let (width, vocabulary) = (configuration.width, configuration.vocabularySize)
      tokenEmbedding = try checkpoint.tensor("transformer.wte.weight", shape: [vocabulary, width])
      positionEmbedding = try checkpoint.tensor("transformer.wpe.weight", shape: [configuration.contextLength, width])
      blocks = try (0..<configuration.layers).map { try Block(gpt2: checkpoint, layer: $0, quantized) }
      finalNorm = try Norm(gpt2: checkpoint, "transformer.ln_f")
      head =
        configuration.tiedHead
        ? tokenEmbedding : try checkpoint.tensor(ModelConfiguration.headName, shape: [vocabulary, width])
    }
    linears = configuration.linears
    precondition(linears.map(\.name) == blocks.flatMap(\.linears).map(\.name))
  }

  /// Whether the blocks' linears are stored [in, out], which PEFT calls `fan_in_fan_out`: false for quantised ones.
  var storesInputMajor: Bool {
    blocks.contains { block in
      block.linears.contains { if case .inputMajor = $0.weight { true } else { false } }
    }
  }

  /// x[N, C] = token embedding + position embedding.
  func embed(_ tokens: [Int32], positions: [Int], _ x: MutableFloats) {
    let width = configuration.width
    for (row, token) in tokens.enumerated() {
      precondition(positions[row] < configuration.contextLength, "a position beyond the model's context")
      let word = tokenEmbedding.pointer + Int(token) * width
      let position = positionEmbedding.pointer + positions[row] * width
      let output = x + row * width
      for i in 0..<width { output[i] = word[i] + position[i] }
    }
  }

  /// logits[rows, V] = h[rows, C] · headᵀ.
  func project(_ h: Floats, _ logits: MutableFloats, rows: Int, panel: FloatBuffer, _ compute: Compute) {
    let (width, classes) = (configuration.width, configuration.vocabularySize)
    ProductSum(
      m: rows, n: classes, ProductTerm(h, rowStride: width, k: width, .transposed(head.pointer, stride: width))
    ).profiled(as: .headForward).compute(into: logits, stride: classes, scratch: panel, compute)
  }

  /// dh[rows, C] = dlogits[rows, V] · head.
  func projectBack(_ dlogits: Floats, _ dh: MutableFloats, rows: Int, panel: FloatBuffer, _ compute: Compute) {
    let (width, classes) = (configuration.width, configuration.vocabularySize)
    ProductSum(
      m: rows, n: width, ProductTerm(dlogits, rowStride: classes, k: classes, .stored(head.pointer, stride: width))
    ).profiled(as: .headBackward).compute(into: dh, stride: width, scratch: panel, compute)
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
  init(gpt2 checkpoint: ModelCheckpoint, _ name: String) throws {
    let width = checkpoint.configuration.width
    weight = try checkpoint.tensor(name + ".weight", shape: [width])
    bias = try checkpoint.tensor(name + ".bias", shape: [width])
    epsilon = checkpoint.configuration.normEpsilon
  }
}

extension Block {
  /// GPT-2's description of a block: q|k|v side by side in one linear, a plain MLP, `Conv1D` weights.
  init(gpt2 checkpoint: ModelCheckpoint, layer: Int, _ quantized: [String: QuantizedMatrix]) throws {
    let configuration = checkpoint.configuration
    let name = "transformer.h.\(layer)."
    let (width, mlpWidth) = (configuration.width, configuration.mlpWidth)
    func linear(_ slot: Int, _ module: String, _ inputs: Int, _ outputs: Int) throws -> Linear {
      let weightName = name + module + ".weight"
      return Linear(
        name: name + module, index: layer * 4 + slot, inputWidth: inputs, outputWidth: outputs,
        weight: try quantized[weightName].map { .quantized($0) }
          ?? .inputMajor(try checkpoint.tensor(weightName, shape: [inputs, outputs])),
        bias: try checkpoint.tensor(name + module + ".bias", shape: [outputs]))
    }
    attentionNorm = try Norm(gpt2: checkpoint, name + "ln_1")
    attentionInput = try linear(0, "attn.c_attn", width, 3 * width)
    attentionOutput = try linear(1, "attn.c_proj", width, width)
    mlpNorm = try Norm(gpt2: checkpoint, name + "ln_2")
    mlpInput = try linear(2, "mlp.c_fc", width, mlpWidth)
    mlpOutput = try linear(3, "mlp.c_proj", mlpWidth, width)
    attention = Attention(
      heads: configuration.heads, keyValueHeads: configuration.keyValueHeads, headWidth: configuration.headWidth)
  }
}
