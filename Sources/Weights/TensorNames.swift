/// A tensor that a model must have.
public struct TensorSpecification: Sendable, Equatable {
  /// Canonical: as transformers' model class names it.
  public var name: String
  /// Sizes, outermost first, as stored.
  public var shape: [Int]

  public init(_ name: String, _ shape: [Int]) {
    self.name = name
    self.shape = shape
  }
}

/// What a tensor's name in a file stands for.
enum StoredName: Equatable {
  /// A tensor, by its canonical name.
  case tensor(String)
  /// Something that is not a weight, to be ignored.
  case buffer
}

extension ModelConfiguration {
  /// The head's weights: expected where it is not tied, and to be ignored where it is.
  public static let headName = "lm_head.weight"

  /// Every tensor of the model by canonical name, in the order of the computation. A tied head is not among them.
  public var expectedTensors: [TensorSpecification] {
    switch architecture {
    case .gpt2: gpt2Tensors
    }
  }

  /// The name and shape of the embedding table.
  public var embedding: TensorSpecification {
    switch architecture {
    case .gpt2: TensorSpecification("transformer.wte.weight", [vocabularySize, width])
    }
  }

  /// Whether the blocks' linears are stored [in, out] (GPT-2's `Conv1D`) rather than [out, in].
  public var storesInputMajor: Bool {
    switch architecture {
    case .gpt2: true
    }
  }

  /// What a name in a file of this architecture stands for.
  func storedName(_ name: String) -> StoredName {
    switch architecture {
    case .gpt2: gpt2Name(name)
    }
  }
}
