import Core
import Exporting
import Files
import Models
import ONNX
import SwiftProtobuf
import TestSupport
import Weights

/// An ONNX export, read back.
struct ONNXFolder {
  let path: String
  /// Without a cache, and with one.
  let plain: ONNXModelProto
  let cached: ONNXModelProto

  init(_ path: String) throws {
    self.path = path
    plain = try ONNXModelProto(serializedBytes: readFile(path + "/" + ONNXLayout.modelWithoutCache))
    cached = try ONNXModelProto(serializedBytes: readFile(path + "/" + ONNXLayout.model))
  }

  /// Exports a model folder, and hands what was written to `body`.
  static func exporting<Result>(
    _ model: String, adapter: String? = nil, layout: ONNXLayout = ONNXLayout(), _ body: (ONNXFolder) throws -> Result
  ) throws -> Result {
    let checkpoint = try ModelCheckpoint(folder: model)
    let decoder = try Decoder(checkpoint)
    return try withTemporaryFolder { folder in
      try exportONNX(
        checkpoint, decoder, adapter: try adapter.map { try AdapterFolder.read($0, for: decoder) }, tokenizerFiles: [],
        to: folder + "/onnx", layout: layout, threads: 2)
      return try body(ONNXFolder(folder + "/onnx"))
    }
  }

  static func exporting<Result>(_ model: RandomModel, _ body: (ONNXFolder) throws -> Result) throws -> Result {
    try withTemporaryFolder { folder in
      try model.write(to: folder)
      return try exporting(folder, body)
    }
  }
}

extension ONNXGraphProto {
  /// Operators, names and attributes of all nodes, as one text's digest.
  var nodeDigest: String {
    let lines = node.map { node in
      let attributes = node.attribute.map { "\($0.name)=\($0.i),\($0.f),\($0.ints)" }
      return "\(node.opType) \(node.name) \(node.input) \(node.output) \(attributes)"
    }
    return Digest(of: lines.joined(separator: "\n")).short
  }

  /// The float32 tensors that are weights of the model, and not constants of the graph.
  func weights(_ names: Set<String>) -> [ONNXTensorProto] { initializer.filter { names.contains($0.name) } }
}

extension ONNXValueInfoProto {
  /// Such as `logits: float [batch, sequence, 61]`.
  var text: String {
    let sizes = type.tensorType.shape.dim.map { size in
      switch size.value {
      case .dimValue(let number): String(number)
      case .dimParam(let name): name
      case nil: "?"
      }
    }
    let element = type.tensorType.elemType == 1 ? "float" : type.tensorType.elemType == 7 ? "int64" : "?"
    return "\(name): \(element) [\(sizes.joined(separator: ", "))]"
  }
}

extension ONNXTensorProto {
  func entry(_ key: String) -> String? { externalData.first { $0.key == key }?.value }

  /// The values' bytes, wherever they are.
  func bytes(in folder: String) throws -> [UInt8] {
    guard dataLocation == .external else { return Array(rawData) }
    guard let file = entry("location"), let offset = entry("offset").flatMap(Int.init),
      let length = entry("length").flatMap(Int.init)
    else { throw SFTError(.badData, "the tensor \(name) does not say where it is") }
    return Array(try readFile(folder + "/" + file)[offset..<offset + length])
  }
}

extension FloatTensor {
  var bytes: [UInt8] { withValues { Array(UnsafeRawBufferPointer($0)) } }
}
