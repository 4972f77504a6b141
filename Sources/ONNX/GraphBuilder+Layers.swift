/// Norms and activation functions, from operators of set 17 in the forms that ONNX Runtime knows and fuses.
extension GraphBuilder {
  /// (x − mean) / √(variance + ε) · weight + bias over the last dimension.
  public mutating func layerNorm(
    _ x: GraphValue, weight: GraphValue, bias: GraphValue, epsilon: Float
  ) -> GraphValue {
    add("LayerNormalization", [x, weight, bias], ["axis": .int(-1), "epsilon": .float(epsilon)])
  }

  /// x / √(mean(x²) + ε) · weight over the last dimension.
  public mutating func rmsNorm(_ x: GraphValue, weight: GraphValue, epsilon: Float) -> GraphValue {
    let squares = add("Pow", [x, constant(2 as Float)])
    let mean = add("ReduceMean", [squares], ["axes": .ints([-1]), "keepdims": .int(1)])
    let shifted = sum(mean, constant(epsilon))
    let deviation = add("Sqrt", [shifted])
    return product(quotient(x, deviation), weight)
  }

  public mutating func softmax(_ x: GraphValue) -> GraphValue { add("Softmax", [x], ["axis": .int(-1)]) }

  /// x · sigmoid(x).
  public mutating func silu(_ x: GraphValue) -> GraphValue {
    let gate = add("Sigmoid", [x])
    return product(x, gate)
  }

  /// x · Φ(x).
  public mutating func gelu(_ x: GraphValue) -> GraphValue {
    let error = add("Erf", [quotient(x, constant(Float(2).squareRoot()))])
    let shifted = sum(error, constant(1 as Float))
    return product(product(x, shifted), constant(0.5 as Float))
  }

  /// x · (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2.
  public mutating func geluTanh(_ x: GraphValue) -> GraphValue {
    let cube = add("Pow", [x, constant(3 as Float)])
    let inner = sum(x, product(cube, constant(0.044715 as Float)))
    let bounded = add("Tanh", [product(inner, constant((2 / Float.pi).squareRoot()))])
    let shifted = sum(bounded, constant(1 as Float))
    return product(product(x, constant(0.5 as Float)), shifted)
  }
}
