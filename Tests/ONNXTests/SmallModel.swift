import Files
import ONNX
import SwiftProtobuf

/// The graph of `Fixtures/make_linear.py`, and its weights.
enum SmallModel {
  static var weights: [WeightValues] { [given("w", [3, 2], [0, 1, 2, 3, 4, 5]), given("b", [3], [1, 2, 3])] }

  static func given(_ name: String, _ shape: [Int], _ values: [Float]) -> WeightValues {
    WeightValues(name, shape) { sink in
      // In two parts.
      for part in [values.prefix(1), values.dropFirst()] { try Array(part).withUnsafeBytes { try sink($0) } }
    }
  }

  static func graph() -> Graph {
    var builder = GraphBuilder(name: "small")
    let x = builder.input("x", .float32, [.named("rows"), .size(2)])
    let (weight, bias) = (builder.weight("w", [3, 2]), builder.weight("b", [3]))
    builder.scope = "layer"
    let product = builder.scaled(builder.linear(x, weight, transposed: true, bias: bias), by: 0.5)
    let shape = builder.constant([-1, 3, 1])
    let sum = builder.sum(product, builder.constant("shift", [1.5, -2, 0.25]))
    let y = builder.add("Reshape", [sum, shape], name: "y")
    builder.output(y, .float32, [.named("rows"), .size(3), .size(1)])
    return builder.build()
  }

  static func read(_ path: String) throws -> ONNXModelProto { try ONNXModelProto(serializedBytes: readFile(path)) }
}

extension ONNXTensorProto {
  var floats: [Float] {
    let bytes = Array(rawData)
    return stride(from: 0, to: bytes.count, by: 4).map { start in
      Float(bitPattern: bytes[start..<start + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) })
    }
  }

  func entry(_ key: String) -> String? { externalData.first { $0.key == key }?.value }
}
