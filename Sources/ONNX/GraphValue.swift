/// The element types that graphs made here have.
public enum ElementType: Sendable, Hashable {
  case float32, int64

  var dataType: ONNXTensorProto.DataType {
    switch self {
    case .float32: .float
    case .int64: .int64
    }
  }
}

/// A size of an input or output of a graph.
public enum GraphDimension: Sendable, Hashable {
  case size(Int)
  /// Known when the graph is run; equal names are equal sizes.
  case named(String)
}

/// A value of a graph: an input, a weight, a constant or what a node gives. It goes by its name, which no other value of the
/// graph has.
public struct GraphValue: Sendable, Hashable {
  public let name: String
}

/// What an operator is told besides its inputs.
public enum GraphAttribute: Sendable, Hashable {
  case int(Int)
  case ints([Int])
  case float(Float)
}

/// A float32 tensor among a graph's initializers whose values are given when the file is written.
public struct GraphWeight: Sendable, Hashable {
  public let name: String
  /// Sizes, outermost first.
  public let shape: [Int]
}
