import Core
import Files
import JSON

/// A tensor to be written: its header entry, and what gives its bytes when their turn comes.
public struct TensorOutput {
  /// Takes the next bytes of a tensor.
  public typealias Sink = (UnsafeRawBufferPointer) throws -> Void

  public var name: String
  public var dtype: TensorType
  public var shape: [Int]
  /// Hands the tensor's little-endian bytes to the sink, in as many parts as it likes.
  public var write: (_ sink: Sink) throws -> Void

  public init(_ name: String, _ dtype: TensorType, _ shape: [Int], write: @escaping (_ sink: Sink) throws -> Void) {
    self.name = name
    self.dtype = dtype
    self.shape = shape
    self.write = write
  }

  /// Bytes of a mapped file as they are; pages are given back as they are written.
  public init(
    _ name: String, _ dtype: TensorType, _ shape: [Int], mapped bytes: @escaping () throws -> UnsafeRawBufferPointer
  ) {
    self.init(name, dtype, shape) { sink in
      let bytes = try bytes()
      let pieceLength = 1 << 22
      for start in stride(from: 0, to: bytes.count, by: pieceLength) {
        let piece = UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + pieceLength, bytes.count)])
        try sink(piece)
        adviseMapped(piece, .dontNeed)
      }
    }
  }

  /// A float32 tensor from memory.
  public init(_ name: String, _ shape: [Int], _ values: [Float]) {
    self.init(name, .f32, shape) { sink in try values.withUnsafeBytes { try sink($0) } }
  }

  /// A float32 tensor as it was read.
  public init(_ name: String, _ tensor: FloatTensor) {
    self.init(name, .f32, tensor.shape) { sink in try tensor.withValues { try sink(UnsafeRawBufferPointer($0)) } }
  }

  /// A float32 tensor, as it is or rounded to `dtype`: F32, F16 or BF16.
  public init(_ name: String, _ shape: [Int], as dtype: TensorType, _ values: @escaping () throws -> FloatTensor) {
    precondition([.f32, .f16, .bf16].contains(dtype), "floats are not written as \(dtype.rawValue)")
    self.init(name, dtype, shape) { sink in
      try values().withValues { values in
        if dtype == .f32 { return try sink(UnsafeRawBufferPointer(values)) }
        try (dtype == .f16 ? roundToHalf(values) : roundToBrainFloat(values)).withUnsafeBytes { try sink($0) }
      }
    }
  }
}

/// Writes a safetensors file as the reference implementation does: `__metadata__` first, tensors by dtype (widest first)
/// and then by name, the header padded with spaces to a multiple of 8 bytes. Tensors are asked for their bytes one after
/// the other, so none but the current one need be in memory. The file has its name only once it is whole and synced.
///
/// Throws `internalError` where two tensors have one name or one gives the wrong number of bytes, `cannotCreate` and
/// `inputOutput` where the file cannot be written, and what a tensor's closure throws.
public func writeSafetensors(
  _ tensors: [TensorOutput], metadata: [String: String] = ["format": "pt"], to path: String
) throws {
  let ordered = tensors.sorted { ($1.dtype.rank, $0.name) < ($0.dtype.rank, $1.name) }
  let lengths = try ordered.map { tensor in
    guard tensor.shape.allSatisfy({ $0 >= 0 }), let length = checkedProduct(tensor.shape + [tensor.dtype.size]) else {
      throw SFTError(
        .internalError, "tensor \(quoted(tensor.name)) has the impossible shape \(tensor.shape)", file: path)
    }
    return length
  }
  for (first, second) in zip(ordered.map(\.name).sorted(), ordered.map(\.name).sorted().dropFirst()) {
    guard first != second else {
      throw SFTError(.internalError, "two tensors have the name \(quoted(first))", file: path)
    }
  }
  let file = try OutputFile(path)
  let header = safetensorsHeader(ordered, lengths, metadata)
  try withUnsafeBytes(of: UInt64(header.count).littleEndian) { try file.write($0) }
  try file.write(header)
  for (tensor, length) in zip(ordered, lengths) {
    var written = 0
    try tensor.write { bytes in
      written += bytes.count
      try file.write(bytes)
    }
    guard written == length else {
      throw SFTError(
        .internalError, "tensor \(quoted(tensor.name)): expected \(length) bytes, was given \(written)", file: path)
    }
  }
  try file.commit()
}

/// The header's JSON without needless spaces, padded.
private func safetensorsHeader(_ tensors: [TensorOutput], _ lengths: [Int], _ metadata: [String: String]) -> [UInt8] {
  var members: [String] = []
  if !metadata.isEmpty {
    let pairs = metadata.sorted { $0.key < $1.key }.map {
      "\(JSONValue.string($0.key).serialized):\(JSONValue.string($0.value).serialized)"
    }
    members.append("\"__metadata__\":{\(pairs.joined(separator: ","))}")
  }
  var offset = 0
  for (tensor, length) in zip(tensors, lengths) {
    let shape = tensor.shape.map(String.init).joined(separator: ",")
    members.append(
      "\(JSONValue.string(tensor.name).serialized):{\"dtype\":\"\(tensor.dtype.rawValue)\",\"shape\":[\(shape)],"
        + "\"data_offsets\":[\(offset),\(offset + length)]}")
    offset += length
  }
  var header = Array("{\(members.joined(separator: ","))}".utf8)
  while header.count % 8 != 0 { header.append(UInt8(ascii: " ")) }
  return header
}
