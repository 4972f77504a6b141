import ONNX
import Weights

/// Norms, linears and the MLP. N rows, C width, F MLP width.
extension DecoderGraph {
  mutating func norm(
    _ x: GraphValue, _ weight: TensorRole, _ bias: TensorRole, _ layer: Int? = nil
  ) -> GraphValue {
    switch configuration.norm {
    case .layer:
      builder.layerNorm(
        x, weight: self.weight(weight, layer), bias: self.weight(bias, layer), epsilon: configuration.normEpsilon)
    case .rms: rmsNorm(x, self.weight(weight, layer))
    }
  }

  /// Over the last dimension, whose width the weight has.
  mutating func rmsNorm(_ x: GraphValue, _ weight: GraphValue) -> GraphValue {
    var weight = weight
    // The file keeps the model's own values; a runtime adds up constants once.
    if configuration.norm == .rms(unitOffset: true) { weight = builder.sum(weight, builder.constant(1 as Float)) }
    return builder.rmsNorm(x, weight: weight, epsilon: configuration.normEpsilon)
  }

  /// x[N, in] to [N, out].
  mutating func linear(_ x: GraphValue, _ kind: TensorRole.BlockLinear, _ layer: Int) -> GraphValue {
    builder.linear(
      x, weight(.linear(kind, .weight), layer), transposed: orientation == .outputsByInputs,
      bias: weights[TensorKey(role: .linear(kind, .bias), layer: layer)])
  }

  /// [N, C] to [N, C].
  mutating func mlp(_ x: GraphValue, _ layer: Int) -> GraphValue {
    guard configuration.gatedMLP else {
      let inner = linear(x, .up, layer)
      return linear(activated(inner), .mlpOutput, layer)
    }
    let (gate, up): (GraphValue, GraphValue)
    if configuration.fusedProjections {
      let parts = builder.split(linear(x, .gateUp, layer), [configuration.mlpWidth, configuration.mlpWidth], axis: -1)
      (gate, up) = (parts[0], parts[1])
    } else {
      (gate, up) = (linear(x, .gate, layer), linear(x, .up, layer))
    }
    return linear(builder.product(activated(gate), up), .mlpOutput, layer)
  }

  private mutating func activated(_ x: GraphValue) -> GraphValue {
    switch configuration.activation {
    case .geluTanh: builder.geluTanh(x)
    case .gelu: builder.gelu(x)
    case .silu: builder.silu(x)
    }
  }
}
