/// What a family with RMS norms and linears stored [out, in] calls the tensors of a block; Llama's names to begin with.
struct BlockNames {
  var prefix = "model."
  var embedding = "embed_tokens"
  var block = "layers"
  var finalNorm = "norm"
  var norms: [TensorRole.BlockNorm: String] = [
    .attentionInput: "input_layernorm", .mlpInput: "post_attention_layernorm",
  ]
  var queryNorm = "self_attn.q_norm"
  var keyNorm = "self_attn.k_norm"
  var linears: [TensorRole.BlockLinear: String] = [
    .queryKeyValue: "self_attn.qkv_proj", .query: "self_attn.q_proj", .key: "self_attn.k_proj",
    .value: "self_attn.v_proj", .attentionOutput: "self_attn.o_proj", .gateUp: "mlp.gate_up_proj",
    .gate: "mlp.gate_proj", .up: "mlp.up_proj", .mlpOutput: "mlp.down_proj",
  ]

  func blockTensors(_ configuration: ModelConfiguration, layer: Int) -> [TensorSpecification] {
    let path = "\(prefix)\(block).\(layer)."
    let width = configuration.width
    var tensors: [TensorSpecification] = []
    func addNorm(_ kind: TensorRole.BlockNorm, _ name: String?, _ width: Int) {
      guard let name else { return }
      tensors.append(TensorSpecification(.norm(kind, .weight), layer: layer, path + name + ".weight", [width]))
    }
    func addLinear(_ kind: TensorRole.BlockLinear, _ inputs: Int, _ outputs: Int, bias: Bool) {
      guard let name = linears[kind] else { preconditionFailure("a linear has no name") }
      tensors.append(
        TensorSpecification(.linear(kind, .weight), layer: layer, path + name + ".weight", [outputs, inputs]))
      if bias {
        tensors.append(TensorSpecification(.linear(kind, .bias), layer: layer, path + name + ".bias", [outputs]))
      }
    }
    addNorm(.attentionInput, norms[.attentionInput], width)
    let (queries, keys) = (configuration.queryWidth, configuration.keyValueWidth)
    if configuration.fusedProjections {
      addLinear(.queryKeyValue, width, queries + 2 * keys, bias: configuration.projectionBiases)
    } else {
      addLinear(.query, width, queries, bias: configuration.projectionBiases)
      addLinear(.key, width, keys, bias: configuration.projectionBiases)
      addLinear(.value, width, keys, bias: configuration.projectionBiases)
    }
    if let headNorm = configuration.headNorm {
      addNorm(.query, queryNorm, headNorm == .perHead ? configuration.headWidth : queries)
      addNorm(.key, keyNorm, headNorm == .perHead ? configuration.headWidth : keys)
    }
    addLinear(.attentionOutput, queries, width, bias: configuration.attentionOutputBias)
    addNorm(.attentionOutput, norms[.attentionOutput], width)
    addNorm(.mlpInput, norms[.mlpInput], width)
    let inner = configuration.mlpWidth
    if configuration.fusedProjections {
      addLinear(.gateUp, width, 2 * inner, bias: configuration.mlpBiases)
    } else {
      addLinear(.gate, width, inner, bias: configuration.mlpBiases)
      addLinear(.up, width, inner, bias: configuration.mlpBiases)
    }
    addLinear(.mlpOutput, inner, width, bias: configuration.mlpBiases)
    addNorm(.mlpOutput, norms[.mlpOutput], width)
    return tensors
  }
}
