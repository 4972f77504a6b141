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

  /// Its values as a tensor: what is written to them is seen there.
  func view(of parameters: FloatBuffer) -> FloatTensor {
    FloatTensor(viewing: parameters.pointer + offset, shape: shape, keptBy: parameters)
  }
}

/// What is trained, in one flat float32 memory: an adapter beside a frozen decoder, or all the weights of one.
public enum TrainedParameters {
  case adapter(Adapter)
  case weights(TrainableWeights)

  /// The trained tensors, which lie one after the other in the flat memory.
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

  /// For each of the decoder's blocks from where on the gradient is final once the backward pass is through with it, and after
  /// the last from where on it is before the first of them: `count` where nothing is.
  func finalPlaces(blocks: Int) -> [Int] {
    // The block with which a tensor's gradient is final: `blocks` before all, -1 after all.
    let ends: [(offset: Int, block: Int)] =
      switch self {
      case .adapter(let adapter):
        adapter.pairs.map { ($0.aOffset, $0.layer) } + adapter.ends.map { ($0.tensor.offset, -1) }
      case .weights(let weights):
        zip(weights.tensors, weights.configuration.expectedTensors).map { tensor, expected in
          switch expected.role {
          case .finalNorm, .head: (tensor.offset, blocks)
          default: (tensor.offset, expected.layer ?? -1)
          }
        }
      }
    return (0...blocks).map { block in
      ends.reversed().prefix { $0.block >= block }.last?.offset ?? count
    }
  }

  public var adapter: Adapter? { if case .adapter(let adapter) = self { adapter } else { nil } }
  public var weights: TrainableWeights? { if case .weights(let weights) = self { weights } else { nil } }
}

/// The gradients of trained weights, or of those that an adapter has itself: each lies in their flat memory where its weight
/// lies in the weights'.
struct WeightGradients {
  private let weights: Floats
  private let count: Int
  private let gradients: MutableFloats

  init(_ weights: TrainableWeights, _ gradients: MutableFloats) {
    self.weights = Floats(weights.parameters.pointer)
    self.gradients = gradients
    count = weights.count
  }

  init(_ adapter: Adapter, _ gradients: MutableFloats) {
    weights = Floats(adapter.parameters.pointer)
    self.gradients = gradients
    count = adapter.count
  }

  func of(_ weight: FloatTensor) -> MutableFloats {
    guard let gradient = ifTrained(weight) else {
      preconditionFailure("the decoder does not use the weights that are trained")
    }
    return gradient
  }

  /// nil for a weight that is not among the trained ones.
  func ifTrained(_ weight: FloatTensor) -> MutableFloats? {
    let (start, memory) = (UInt(bitPattern: weight.pointer), UInt(bitPattern: weights))
    let size = UInt(MemoryLayout<Float>.stride)
    guard start >= memory, start + UInt(weight.count) * size <= memory + UInt(count) * size else { return nil }
    return gradients + Int((start - memory) / size)
  }
}
