import Core

/// Puts a graph together, node after node. Names of nodes and values follow from the order in which they are added, so that
/// the same calls give the same graph.
public struct GraphBuilder {
  /// Stands before the names of the nodes that are added, such as `layers.0/attention`; empty for none.
  public var scope = ""
  private var graph = ONNXGraphProto()
  private var weights: [GraphWeight] = []
  private var constants: [Constant: GraphValue] = [:]
  /// Nodes of each scope and operator so far.
  private var counts: [String: Int] = [:]
  private var names: Set<String> = []

  private enum Constant: Hashable {
    case float(Float)
    case floats(String, [Float])
    case integer(Int)
    case integers([Int])
  }

  public init(name: String) { graph.name = name }

  // MARK: - Inputs, outputs, weights

  /// An input of the graph. Its name must be new, as with everything that is given a name here.
  public mutating func input(_ name: String, _ type: ElementType, _ shape: [GraphDimension]) -> GraphValue {
    graph.input.append(valueInfo(name, type, shape))
    return value(name)
  }

  /// Makes a value that a node gives one of the graph's outputs.
  public mutating func output(_ value: GraphValue, _ type: ElementType, _ shape: [GraphDimension]) {
    precondition(names.contains(value.name), "\(value.name) is no value of this graph")
    graph.output.append(valueInfo(value.name, type, shape))
  }

  /// A float32 tensor, whose values are asked for when the graph is written.
  public mutating func weight(_ name: String, _ shape: [Int]) -> GraphValue {
    weights.append(GraphWeight(name: name, shape: shape))
    return value(name)
  }

  private func valueInfo(_ name: String, _ type: ElementType, _ shape: [GraphDimension]) -> ONNXValueInfoProto {
    var info = ONNXValueInfoProto()
    info.name = name
    info.type.tensorType.elemType = Int32(type.dataType.rawValue)
    info.type.tensorType.shape.dim = shape.map { dimension in
      var result = ONNXTensorShapeProto.Dimension()
      switch dimension {
      case .size(let size): result.dimValue = Int64(size)
      case .named(let name): result.dimParam = name
      }
      return result
    }
    return info
  }

  private mutating func value(_ name: String) -> GraphValue {
    precondition(names.insert(name).inserted, "two values of the graph have the name \(name)")
    return GraphValue(name: name)
  }

  // MARK: - Constants

  /// A float32 scalar. Equal constants are one initializer.
  public mutating func constant(_ number: Float) -> GraphValue {
    constant(.float(number), "float.\(number)") { ONNXTensorProto($0, .float32, [], [number.bitPattern]) }
  }

  /// A float32 vector under a name of its own.
  public mutating func constant(_ name: String, _ numbers: [Float]) -> GraphValue {
    constant(.floats(name, numbers), name) { ONNXTensorProto($0, .float32, [numbers.count], numbers.map(\.bitPattern)) }
  }

  /// An int64 scalar.
  public mutating func constant(_ number: Int) -> GraphValue {
    constant(.integer(number), "int.\(number)") { ONNXTensorProto($0, .int64, [], [Int64(number)]) }
  }

  /// An int64 vector, such as a shape.
  public mutating func constant(_ numbers: [Int]) -> GraphValue {
    constant(.integers(numbers), "ints." + numbers.map(String.init).joined(separator: ",")) {
      ONNXTensorProto($0, .int64, [numbers.count], numbers.map { Int64($0) })
    }
  }

  private mutating func constant(
    _ key: Constant, _ name: String, _ make: (_ name: String) -> ONNXTensorProto
  ) -> GraphValue {
    if let known = constants[key] { return known }
    let constant = value(name)
    graph.initializer.append(make(name))
    constants[key] = constant
    return constant
  }

  // MARK: - Nodes

  /// A node with one output, which is called `name` where that is given, else after the node; and that is called `label`, which
  /// runtimes show where it fails, else after scope, operator and number.
  @discardableResult
  public mutating func add(
    _ operation: String, _ inputs: [GraphValue], _ attributes: KeyValuePairs<String, GraphAttribute> = [:],
    name: String? = nil, label: String? = nil
  ) -> GraphValue {
    let node = append(operation, inputs, attributes, label: label)
    let output = value(name ?? node + "_output")
    graph.node[graph.node.count - 1].output = [output.name]
    return output
  }

  /// A node with several outputs.
  public mutating func add(
    _ operation: String, _ inputs: [GraphValue], _ attributes: KeyValuePairs<String, GraphAttribute> = [:],
    outputs count: Int
  ) -> [GraphValue] {
    let node = append(operation, inputs, attributes)
    let outputs = (0..<count).map { value("\(node)_output_\($0)") }
    graph.node[graph.node.count - 1].output = outputs.map(\.name)
    return outputs
  }

  /// Appends a node without outputs and returns its name.
  private mutating func append(
    _ operation: String, _ inputs: [GraphValue], _ attributes: KeyValuePairs<String, GraphAttribute>,
    label: String? = nil
  ) -> String {
    for input in inputs { precondition(names.contains(input.name), "\(input.name) is no value of this graph") }
    let part = label ?? operation
    let path = scope.isEmpty ? part : scope + "/" + part
    let number = counts[path, default: 0]
    counts[path] = number + 1
    var node = ONNXNodeProto()
    node.name = number == 0 ? path : "\(path)_\(number)"
    node.opType = operation
    node.input = inputs.map(\.name)
    node.attribute = attributes.map { ONNXAttributeProto($0.key, $0.value) }
    graph.node.append(node)
    return node.name
  }

  /// The graph as it stands.
  public func build() -> Graph { Graph(message: graph, weights: weights) }
}

extension ONNXTensorProto {
  /// A tensor without values.
  init(_ name: String, _ type: ElementType, _ shape: [Int]) {
    self.init()
    self.name = name
    dataType = Int32(type.dataType.rawValue)
    dims = shape.map { Int64($0) }
  }

  /// A tensor of floats' bit patterns, or of integers.
  fileprivate init(_ name: String, _ type: ElementType, _ shape: [Int], _ numbers: [some FixedWidthInteger]) {
    self.init(name, type, shape)
    for number in numbers { withUnsafeBytes(of: number.littleEndian) { rawData.append(contentsOf: $0) } }
  }
}

extension ONNXAttributeProto {
  fileprivate init(_ name: String, _ value: GraphAttribute) {
    self.init()
    self.name = name
    switch value {
    case .int(let value): (i, type) = (Int64(value), .int)
    case .ints(let values): (ints, type) = (values.map { Int64($0) }, .ints)
    case .float(let value): (f, type) = (value, .float)
    }
  }
}
