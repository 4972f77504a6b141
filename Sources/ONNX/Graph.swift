/// A graph whose weights are not written yet.
public struct Graph: Sendable {
  /// Without the weights.
  package let message: ONNXGraphProto
  /// In the order in which the graph asks for them.
  public let weights: [GraphWeight]

  /// The operator set whose operators `GraphBuilder` adds.
  ///
  /// 17, of 2022, is the first with `LayerNormalization`. What later sets bring (`Attention`, `RMSNormalization`,
  /// `RotaryEmbedding`, from 23 on) older runtimes do not know, and what is made of simple operators is fused by those that
  /// can.
  package static let operatorSet = 17
  /// The version of the file format that came with that operator set: ONNX Runtime loads it from 1.12 on.
  package static let formatVersion = 8

  /// Bytes of a weight; nil for a shape that cannot be.
  package static func byteCount(_ shape: [Int]) -> Int? {
    shape.reduce(4 as Int?) { product, size in
      guard let product, size >= 0 else { return nil }
      let (result, overflow) = product.multipliedReportingOverflow(by: size)
      return overflow ? nil : result
    }
  }
}

/// What gives a weight its values when a file is written.
public struct WeightValues {
  /// Takes the next bytes of a weight.
  public typealias Sink = (UnsafeRawBufferPointer) throws -> Void

  public let name: String
  /// Sizes, outermost first.
  public let shape: [Int]
  /// Hands the weight's values, little-endian float32, to the sink, in as many parts as it likes. It may be called more than
  /// once.
  public let write: (_ sink: Sink) throws -> Void

  public init(_ name: String, _ shape: [Int], write: @escaping (_ sink: Sink) throws -> Void) {
    (self.name, self.shape, self.write) = (name, shape, write)
  }
}
