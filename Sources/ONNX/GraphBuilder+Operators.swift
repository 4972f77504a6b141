/// Operators of set 17 that a decoder needs, as expressions. Shapes broadcast as NumPy's do.
extension GraphBuilder {
  // MARK: - Arithmetic

  public mutating func sum(_ a: GraphValue, _ b: GraphValue) -> GraphValue { add("Add", [a, b]) }
  public mutating func difference(_ a: GraphValue, _ b: GraphValue) -> GraphValue { add("Sub", [a, b]) }
  public mutating func product(_ a: GraphValue, _ b: GraphValue) -> GraphValue { add("Mul", [a, b]) }
  public mutating func quotient(_ a: GraphValue, _ b: GraphValue) -> GraphValue { add("Div", [a, b]) }

  /// factor · x; x itself where the factor is 1.
  public mutating func scaled(_ x: GraphValue, by factor: Float) -> GraphValue {
    factor == 1 ? x : product(x, constant(factor))
  }

  /// limit · tanh(x / limit).
  public mutating func softCapped(_ x: GraphValue, at limit: Float) -> GraphValue {
    let limit = constant(limit)
    let bounded = add("Tanh", [quotient(x, limit)])
    return product(bounded, limit)
  }

  /// The sum of each row of x[M, N], [M, 1].
  public mutating func rowSums(of x: GraphValue) -> GraphValue {
    add("ReduceSum", [x, constant([1])], ["keepdims": .int(1)])
  }

  // MARK: - Products

  /// x[N, in] · weight + bias. The weight is [in, out], or [out, in] where it is `transposed`.
  public mutating func linear(
    _ x: GraphValue, _ weight: GraphValue, transposed: Bool, bias: GraphValue?
  ) -> GraphValue {
    add("Gemm", [x, weight] + (bias.map { [$0] } ?? []), ["transB": .int(transposed ? 1 : 0)])
  }

  /// a[…, M, K] · b[…, K, N].
  public mutating func matrixProduct(_ a: GraphValue, _ b: GraphValue) -> GraphValue { add("MatMul", [a, b]) }

  // MARK: - Shapes

  /// `shape` may hold 0, for the size that x has there, and one -1, for what is left.
  public mutating func reshaped(_ x: GraphValue, _ shape: [Int]) -> GraphValue {
    add("Reshape", [x, constant(shape)])
  }

  public mutating func reshaped(_ x: GraphValue, to shape: GraphValue) -> GraphValue { add("Reshape", [x, shape]) }

  public mutating func transposed(_ x: GraphValue, _ permutation: [Int]) -> GraphValue {
    add("Transpose", [x], ["perm": .ints(permutation)])
  }

  /// x with dimensions of size 1 at these places of the result.
  public mutating func expanded(_ x: GraphValue, at axes: [Int]) -> GraphValue {
    add("Unsqueeze", [x, constant(axes)])
  }

  public mutating func concatenated(_ parts: [GraphValue], axis: Int, name: String? = nil) -> GraphValue {
    add("Concat", parts, ["axis": .int(axis)], name: name)
  }

  /// x in parts of these sizes.
  public mutating func split(_ x: GraphValue, _ sizes: [Int], axis: Int) -> [GraphValue] {
    add("Split", [x, constant(sizes)], ["axis": .int(axis)], outputs: sizes.count)
  }

  /// One size of x, an int64 scalar.
  public mutating func size(of x: GraphValue, axis: Int) -> GraphValue {
    let shape = add("Shape", [x])
    return add("Gather", [shape, constant(axis)], ["axis": .int(0)])
  }

  /// start, start + 1, … below end: an int64 vector.
  public mutating func range(from start: GraphValue, to end: GraphValue) -> GraphValue {
    add("Range", [start, end, constant(1)])
  }

  /// The rows of table[V, …] that the indices name.
  public mutating func rows(of table: GraphValue, _ indices: GraphValue) -> GraphValue {
    add("Gather", [table, indices], ["axis": .int(0)])
  }

  // MARK: - Conversions and conditions

  public mutating func converted(_ x: GraphValue, to type: ElementType) -> GraphValue {
    add("Cast", [x], ["to": .int(type.dataType.rawValue)])
  }

  /// Whether each number is not 0.
  public mutating func isNonzero(_ x: GraphValue) -> GraphValue {
    // BOOL, which no input, output or initializer is.
    add("Cast", [x], ["to": .int(9)])
  }

  public mutating func isGreater(_ a: GraphValue, than b: GraphValue) -> GraphValue { add("Greater", [a, b]) }
  public mutating func isAtMost(_ a: GraphValue, _ b: GraphValue) -> GraphValue { add("LessOrEqual", [a, b]) }
  public mutating func both(_ a: GraphValue, _ b: GraphValue) -> GraphValue { add("And", [a, b]) }

  public mutating func choice(_ condition: GraphValue, _ a: GraphValue, else b: GraphValue) -> GraphValue {
    add("Where", [condition, a, b])
  }
}
