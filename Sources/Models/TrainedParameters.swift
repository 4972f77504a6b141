import Kernels
import Weights

/// One of the tensors that a flat memory of trained parameters holds, row-major.
public struct ParameterTensor: Sendable, Equatable {
  public var name: String
  public var shape: [Int]
  public var offset: Int

  public init(name: String, shape: [Int], offset: Int) {
    self.name = name
    self.shape = shape
    self.offset = offset
  }

  public var count: Int { shape.reduce(1, *) }
}

/// What is trained, in one flat float32 memory: an adapter beside a frozen decoder, or all the weights of one.
public enum TrainedParameters {
  case adapter(Adapter)
  case weights(TrainableWeights)

  /// They lie one after the other.
  public var tensors: [ParameterTensor] {
    switch self {
    case .adapter(let adapter): adapter.tensors
    case .weights(let weights): weights.tensors
    }
  }

  /// How many parameters there are.
  public var count: Int {
    switch self {
    case .adapter(let adapter): adapter.count
    case .weights(let weights): weights.count
    }
  }

  public var parameters: FloatBuffer {
    switch self {
    case .adapter(let adapter): adapter.parameters
    case .weights(let weights): weights.parameters
    }
  }

  public var adapter: Adapter? { if case .adapter(let adapter) = self { adapter } else { nil } }
  public var weights: TrainableWeights? { if case .weights(let weights) = self { weights } else { nil } }
}

/// The gradients of trained weights: each lies in their flat memory where its weight lies in the weights'.
struct WeightGradients {
  private let weights: Floats
  private let count: Int
  private let gradients: MutableFloats

  init(_ weights: TrainableWeights, _ gradients: MutableFloats) {
    self.weights = Floats(weights.parameters.pointer)
    self.gradients = gradients
    count = weights.count
  }

  func of(_ weight: FloatTensor) -> MutableFloats {
    let offset = weight.pointer - weights
    precondition(offset >= 0 && offset + weight.count <= count, "the decoder does not use the weights that are trained")
    return gradients + offset
  }
}
