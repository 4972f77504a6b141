/// What a tensor is for. Everything that is done with a tensor beyond computing follows from this: whether it is kept in 4
/// bits, may have an adapter, how it is initialised and what other formats call it.
public enum TensorRole: Sendable, Hashable {
  /// What a linear or a norm has: LayerNorm and some linears have biases.
  public enum Parameter: Sendable, Hashable { case weight, bias }

  /// The norms of a block. A branch is attention or MLP, with what stands before and after it.
  public enum BlockNorm: Sendable, Hashable {
    case attentionInput, attentionOutput, mlpInput, mlpOutput
    /// On queries or keys, after their projection and before their rotation.
    case query, key
  }

  /// The linears of a block, in the order of the computation. `queryKeyValue` and `gateUp` are one matrix for what others
  /// have apart; `up` is the first of a plain MLP too.
  public enum BlockLinear: Sendable, Hashable {
    case queryKeyValue, query, key, value, attentionOutput, gateUp, gate, up, mlpOutput
  }

  /// Token vectors, [V, C]; the head's too where it is tied.
  case tokenEmbedding
  /// Position vectors, [context, C].
  case positionEmbedding
  case norm(BlockNorm, Parameter)
  case linear(BlockLinear, Parameter)
  case finalNorm(Parameter)
  /// [V, C], where it is not tied.
  case head

  /// A matrix of the blocks: what may be kept in 4 bits and adapted.
  public var isBlockMatrix: Bool { if case .linear(_, .weight) = self { true } else { false } }

  /// The linears whose outputs are added to the stream.
  public var addsToStream: Bool {
    self == .linear(.attentionOutput, .weight) || self == .linear(.mlpOutput, .weight)
  }
}

/// How a linear's weight is stored.
public enum Orientation: Sendable, Equatable {
  /// [in, out], GPT-2's `Conv1D`.
  case inputsByOutputs
  /// [out, in], `torch.nn.Linear`.
  case outputsByInputs
}

/// A tensor that a model must have.
public struct TensorSpecification: Sendable, Equatable {
  public var role: TensorRole
  /// The block's number; nil outside the blocks.
  public var layer: Int?
  /// Canonical: as transformers' model class names it.
  public var name: String
  /// Sizes, outermost first, as stored.
  public var shape: [Int]
  /// Of a linear's weight.
  public var orientation: Orientation

  public init(
    _ role: TensorRole, layer: Int? = nil, _ name: String, _ shape: [Int],
    orientation: Orientation = .outputsByInputs
  ) {
    self.role = role
    self.layer = layer
    self.name = name
    self.shape = shape
    self.orientation = orientation
  }
}

/// What a tensor's name in a file stands for.
enum StoredName: Equatable {
  /// A tensor, by its canonical name.
  case tensor(String)
  /// Something that can be computed, to be ignored.
  case buffer
  /// A weight of another part of the model, such as its vision tower: ignored here, and to be kept where the model is
  /// written again.
  case otherPart
}

/// What an adapter or a quantiser needs to know of one linear of the blocks.
public struct LinearDescription: Sendable, Equatable {
  public var kind: TensorRole.BlockLinear
  /// Module name, such as `model.layers.0.self_attn.q_proj`; the weight's tensor is `NAME.weight`.
  public var name: String
  public var layer: Int
  public var inputWidth: Int
  public var outputWidth: Int
  public var orientation: Orientation

  public var weightName: String { name + ".weight" }

  /// The last part of the name, by which adapters' targets call it.
  public var module: String { String(name.split(separator: ".").last ?? "") }

  /// Whether `target` is this module's name, or the end of it at a dot, as PEFT matches.
  public func isNamed(_ target: String) -> Bool { name == target || name.hasSuffix("." + target) }
}

extension ModelConfiguration {
  /// Every tensor of the model, in the order of the computation. A tied head is not among them.
  public var expectedTensors: [TensorSpecification] { architecture.family.tensors(self) }

  /// The linears of the blocks, in the order of the computation.
  public var linears: [LinearDescription] {
    expectedTensors.compactMap { tensor in
      guard case .linear(let kind, .weight) = tensor.role, let layer = tensor.layer else { return nil }
      let isInputMajor = tensor.orientation == .inputsByOutputs
      return LinearDescription(
        kind: kind, name: String(tensor.name.dropLast(".weight".count)), layer: layer,
        inputWidth: tensor.shape[isInputMajor ? 0 : 1], outputWidth: tensor.shape[isInputMajor ? 1 : 0],
        orientation: tensor.orientation)
    }
  }

  /// The embedding table.
  public var embedding: TensorSpecification { expectedTensors[0] }

  /// The head's weights: expected where it is not tied, and to be ignored where it is.
  public var headName: String { architecture.family.headName }

  /// What a name in a file of this architecture stands for.
  func storedName(_ name: String) -> StoredName { architecture.family.storedName(name) }
}
