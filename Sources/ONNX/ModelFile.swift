import Core
import Files
import SwiftProtobuf

/// Writes a graph as a model file. Weights that `external` holds are referred to; the others are asked for one after the other
/// and written as they come, so that none but the current one need be in memory.
///
/// A message around the weights can therefore not be serialized as a whole: what stands before them is, and their own fields
/// are written with lengths that are worked out beforehand.
///
/// Throws `badData` where the file would be larger than protocol buffers can be, `internalError` where a weight of the graph is
/// not given in its shape or gives the wrong number of bytes, `cannotCreate` and `inputOutput` where the file cannot be
/// written, and what a weight's closure throws.
public func writeModel(
  _ graph: Graph, _ weights: [WeightValues], external: ExternalData? = nil, metadata: [String: String] = [:],
  to path: String
) throws {
  let entries = try entries(graph, weights, external, path)
  let head: [UInt8] = try graph.message.serializedBytes()
  let graphLength = entries.reduce(head.count) { $0 + $1.length }
  let start = try model(metadata).serializedBytes() + fieldStart(graphField, length: graphLength)
  guard start.count + graphLength < fileLimit else {
    throw SFTError(
      .badData,
      "the model would be \(byteCount(start.count + graphLength)), and a file of this format is less than 2 GiB",
      file: path)
  }
  let output = try OutputFile(path)
  try output.write(start)
  try output.write(head)
  for entry in entries {
    try output.write(entry.start)
    if let source = entry.source { try source.write(entry.valueLength, to: output) }
  }
  try output.commit()
}

/// Protocol buffers' own bound of a message.
private let fileLimit = Int(Int32.max)
/// Fields of onnx.proto that are not written by their messages: a model's graph, a graph's initializer, a tensor's raw_data.
private let graphField = 7
private let initializerField = 5
private let valuesField = 9

private func model(_ metadata: [String: String]) -> ONNXModelProto {
  var model = ONNXModelProto()
  model.irVersion = Int64(Graph.formatVersion)
  model.producerName = "sft"
  var operators = ONNXOperatorSetIdProto()
  (operators.domain, operators.version) = ("", Int64(Graph.operatorSet))
  model.opsetImport = [operators]
  model.metadataProps = metadata.sorted { $0.key < $1.key }.map { ONNXStringStringEntryProto($0.key, $0.value) }
  return model
}

/// An initializer on its way into the file.
private struct Entry {
  /// Its field up to its values.
  var start: [UInt8]
  var valueLength: Int
  /// Of values that follow; nil where they are elsewhere.
  var source: WeightValues?

  var length: Int { start.count + (source == nil ? 0 : valueLength) }
}

/// The graph's weights as fields of it.
private func entries(
  _ graph: Graph, _ weights: [WeightValues], _ external: ExternalData?, _ path: String
) throws -> [Entry] {
  let sources = Dictionary(weights.map { ($0.name, $0) }) { first, _ in first }
  return try graph.weights.map { weight in
    guard let source = sources[weight.name], source.shape == weight.shape else {
      throw SFTError(
        .internalError, "the weight \(quoted(weight.name)) of shape \(weight.shape) is not given", file: path)
    }
    let length = try source.byteCount(in: path)
    var tensor = ONNXTensorProto(weight.name, .float32, weight.shape)
    if let external, let place = external.places[weight.name] {
      tensor.dataLocation = .external
      tensor.externalData = [("location", external.file), ("offset", "\(place.lowerBound)"), ("length", "\(length)")]
        .map { ONNXStringStringEntryProto($0, $1) }
      let bytes: [UInt8] = try tensor.serializedBytes()
      return Entry(start: fieldStart(initializerField, length: bytes.count) + bytes, valueLength: length)
    }
    let bytes = try tensor.serializedBytes() + fieldStart(valuesField, length: length)
    return Entry(
      start: fieldStart(initializerField, length: bytes.count + length) + bytes, valueLength: length, source: source)
  }
}

/// Tag and length of a field that is a message or bytes.
private func fieldStart(_ field: Int, length: Int) -> [UInt8] {
  varint(field << 3 | 2) + varint(length)
}

/// Seven bits a byte, the lowest first.
private func varint(_ value: Int) -> [UInt8] {
  var (bytes, rest): ([UInt8], Int) = ([], value)
  while rest >= 0x80 {
    bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
    rest >>= 7
  }
  return bytes + [UInt8(rest)]
}

extension ONNXStringStringEntryProto {
  fileprivate init(_ key: String, _ value: String) {
    self.init()
    (self.key, self.value) = (key, value)
  }
}
