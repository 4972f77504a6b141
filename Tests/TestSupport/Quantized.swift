import Kernels
import Quantizing
import Weights

extension ModelCheckpoint {
  /// The blocks' linears in 4 bits, by tensor name.
  public func quantizedLinears() throws -> [String: QuantizedMatrix] {
    var matrices: [String: QuantizedMatrix] = [:]
    for linear in configuration.linears {
      matrices[linear.weightName] = try QuantizedMatrix(
        tensor(linear.weightName, shape: linear.shape), layout: linear.layout, name: linear.weightName,
        settings: QuantizationSettings(), Compute())
    }
    return matrices
  }
}

extension LinearDescription {
  /// Of the weight, as it is stored.
  public var shape: [Int] {
    switch orientation {
    case .inputsByOutputs: [inputWidth, outputWidth]
    case .outputsByInputs: [outputWidth, inputWidth]
    }
  }

  public var layout: FourBit.Layout { orientation == .inputsByOutputs ? .inputsByOutputs : .outputsByInputs }

  /// A weight that is given [out, in], as it is stored.
  public func stored(_ rows: [Float]) -> [Float] {
    guard orientation == .inputsByOutputs else { return rows }
    return (0..<rows.count).map { rows[$0 % outputWidth * inputWidth + $0 / outputWidth] }
  }
}
