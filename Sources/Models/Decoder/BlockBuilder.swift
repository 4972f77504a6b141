import Core
import Kernels
import Weights

/// Composes blocks from the parts that a configuration names, with the weights of a source.
struct BlockBuilder {
  private let source: WeightSource
  private let configuration: ModelConfiguration
  private let linears: [LinearDescription]
  /// The next linear's place among the decoder's.
  private var next = 0
  private var slot = 0

  init(_ source: WeightSource, _ linears: [LinearDescription]) {
    self.source = source
    self.linears = linears
    configuration = source.configuration
  }

  mutating func block(_ layer: Int) throws -> Block {
    slot = 0
    let attention = try attention(layer)
    let mlp = try mlp(layer)
    return Block(
      attentionBranch: try branch(layer, .attentionInput, .attentionOutput), attention: attention,
      mlpBranch: try branch(layer, .mlpInput, .mlpOutput), mlp: mlp)
  }

  private mutating func attention(_ layer: Int) throws -> AttentionLayer {
    let kinds: [TensorRole.BlockLinear] = configuration.fusedProjections ? [.queryKeyValue] : [.query, .key, .value]
    let projections = LinearGroup(try kinds.map { try linear($0, layer) })
    let description = configuration.blocks[layer]
    return AttentionLayer(
      projections: projections, output: try linear(.attentionOutput, layer),
      queryNorm: try headNorm(.query, layer, heads: configuration.heads),
      keyNorm: try headNorm(.key, layer, heads: configuration.keyValueHeads), rotary: description.rotary,
      kernel: Attention(
        heads: configuration.heads, keyValueHeads: configuration.keyValueHeads, headWidth: configuration.headWidth,
        scale: configuration.attentionScale, cap: configuration.scoreCap.map { Float($0) }, window: description.window))
  }

  private mutating func mlp(_ layer: Int) throws -> MLPLayer {
    guard configuration.gatedMLP else {
      return MLPLayer(
        input: LinearGroup([try linear(.up, layer)]), output: try linear(.mlpOutput, layer),
        activation: .plain(configuration.activation == .gelu ? .erf : .tanh))
    }
    let kinds: [TensorRole.BlockLinear] = configuration.fusedProjections ? [.gateUp] : [.gate, .up]
    let gate: GatedActivation =
      switch configuration.activation {
      case .silu: .silu
      case .geluTanh: .geluTanh
      case .gelu: .geluErf
      }
    return MLPLayer(
      input: LinearGroup(try kinds.map { try linear($0, layer) }), output: try linear(.mlpOutput, layer),
      activation: .gated(gate))
  }

  private mutating func linear(_ kind: TensorRole.BlockLinear, _ layer: Int) throws -> Linear {
    let description = linears[next]
    guard description.kind == kind, description.layer == layer,
      let tensor = source.specification(.linear(kind, .weight), layer: layer)
    else { throw SFTError(.internalError, "the linears of layer \(layer) are not in the order of the computation") }
    defer { (next, slot) = (next + 1, slot + 1) }
    return Linear(
      name: description.name, index: next, slot: slot, inputWidth: description.inputWidth,
      outputWidth: description.outputWidth, orientation: description.orientation, weight: try source.weight(tensor),
      bias: try source.tensor(.linear(kind, .bias), layer: layer))
  }

  private func branch(
    _ layer: Int, _ input: TensorRole.BlockNorm, _ output: TensorRole.BlockNorm
  ) throws -> Branch {
    Branch(
      inputNorm: configuration.normsInputs ? try norm(.norm(input, .weight), .norm(input, .bias), layer: layer) : nil,
      outputNorm: configuration.normsOutputs
        ? try norm(.norm(output, .weight), .norm(output, .bias), layer: layer) : nil,
      scale: Float(configuration.residualScale))
  }

  func norm(_ weight: TensorRole, _ bias: TensorRole, layer: Int? = nil) throws -> Norm {
    let values = try source.required(weight, layer: layer)
    switch configuration.norm {
    case .layer:
      return Norm(
        weight: values, kind: .layer(bias: try source.required(bias, layer: layer)),
        epsilon: configuration.normEpsilon)
    case .rms(let unitOffset):
      let norm = RMSNorm(width: values.count, epsilon: configuration.normEpsilon, offset: unitOffset ? 1 : 0)
      return Norm(weight: values, kind: .rms(norm), epsilon: configuration.normEpsilon)
    }
  }

  private func headNorm(_ kind: TensorRole.BlockNorm, _ layer: Int, heads: Int) throws -> HeadNorm? {
    guard let form = configuration.headNorm else { return nil }
    let groups = form == .perHead ? heads : 1
    let width = form == .perHead ? configuration.headWidth : heads * configuration.headWidth
    let offset: Float = configuration.norm == .rms(unitOffset: true) ? 1 : 0
    return HeadNorm(
      weight: try source.required(.norm(kind, .weight), layer: layer),
      norm: RMSNorm(groups: groups, width: width, epsilon: configuration.normEpsilon, offset: offset))
  }
}
