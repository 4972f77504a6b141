import Core
import Files

/// Writes a GGUF file, version 3, little-endian, with the data aligned to 32 bytes or to the metadata's
/// `general.alignment`: keys and tensors in the order given, as gguf-py writes them. Tensors are asked for their values one
/// after the other, so none but the current one need be in memory. The file has its name only once it is whole and synced.
///
/// Throws `internalError` where two tensors have one name, or a key, a name, a shape or a type cannot be written, or a
/// tensor gives the wrong number of values, `cannotCreate` and `inputOutput` where the file cannot be written, and what a
/// tensor's closure throws.
public func writeGGUF(_ metadata: GGUFMetadata, _ tensors: [GGUFTensorOutput], to path: String) throws {
  let plan = try GGUFPlan(metadata, tensors, path)
  let file = try OutputFile(path)
  try file.write(plan.header)
  for (tensor, length) in zip(tensors, plan.lengths) {
    switch tensor.content {
    case .rows(let rows): try GGUFRowWriter(tensor, length, file).write(rows)
    case .stored(let stored):
      var written = 0
      try stored { bytes in
        guard bytes.count <= length - written else {
          throw plan.failure(tensor, "was given more than its \(length) bytes")
        }
        written += bytes.count
        try file.write(bytes)
      }
      guard written == length else { throw plan.failure(tensor, "expected \(length) bytes, was given \(written)") }
    }
    try file.write([UInt8](repeating: 0, count: -length & (plan.alignment - 1)))
  }
  try file.commit()
}

/// What is known of a file before any tensor's values are.
private struct GGUFPlan {
  /// llama.cpp's tensors have names of less than 64 bytes.
  static let longestName = 63
  static let longestKey = 65535

  let path: String
  var alignment = GGUFHeader.usualAlignment
  /// Bytes of each tensor, without padding.
  var lengths: [Int] = []
  /// Padded: the data start at its end.
  var header: [UInt8] = []

  init(_ metadata: GGUFMetadata, _ tensors: [GGUFTensorOutput], _ path: String) throws {
    self.path = path
    if let value = metadata[GGUFHeader.alignmentKey] {
      guard case .uint32(let number) = value, let checked = GGUFHeader.checkedAlignment(number) else {
        throw SFTError(.internalError, "data cannot be aligned to \(value.summary)", file: path)
      }
      alignment = checked
    }
    for key in metadata.keys where key.isEmpty || key.utf8.count > Self.longestKey {
      throw SFTError(.internalError, "the key \(quoted(key)) cannot be written", file: path)
    }
    var names = Set<String>()
    for tensor in tensors {
      guard !tensor.name.isEmpty, tensor.name.utf8.count <= Self.longestName else {
        throw failure(tensor, "a name is 1 to \(Self.longestName) bytes long")
      }
      guard names.insert(tensor.name).inserted else { throw failure(tensor, "another has the same name") }
      lengths.append(try length(tensor))
    }
    header = try header(metadata, tensors)
  }

  func failure(_ tensor: GGUFTensorOutput, _ message: String) -> SFTError {
    SFTError(.internalError, "tensor \(quoted(tensor.name)): \(message)", file: path)
  }

  private func length(_ tensor: GGUFTensorOutput) throws -> Int {
    let type = tensor.type
    guard (1...4).contains(tensor.shape.count), tensor.shape.allSatisfy({ $0 > 0 }) else {
      throw failure(tensor, "the shape \(tensor.shape) cannot be written")
    }
    guard (tensor.shape.last ?? 0) % type.blockElements == 0 else {
      throw failure(tensor, "rows of the shape \(tensor.shape) are not whole blocks of \(type.name)")
    }
    var count = 1
    for size in tensor.shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: size)
      guard !overflow else { throw failure(tensor, "the shape \(tensor.shape) cannot be written") }
      count = product
    }
    // Its values too must be countable in bytes while they are floats.
    guard count <= Int.max / 8, let length = type.byteCount(of: count) else {
      throw failure(tensor, "the shape \(tensor.shape) cannot be written")
    }
    if case .rows = tensor.content, !type.isEncodable { throw failure(tensor, "\(type.name) is not encoded") }
    return length
  }

  private func header(_ metadata: GGUFMetadata, _ tensors: [GGUFTensorOutput]) throws -> [UInt8] {
    var header = GGUFBytes()
    header.append(raw: "GGUF")
    header.append(UInt32(3))
    header.append(UInt64(tensors.count))
    header.append(UInt64(metadata.keys.count))
    for key in metadata.keys {
      guard let value = metadata[key] else { continue }
      header.append(key)
      header.append(value)
    }
    var offset = 0
    for (tensor, length) in zip(tensors, lengths) {
      header.append(tensor.name)
      header.append(UInt32(tensor.shape.count))
      for size in tensor.shape.reversed() { header.append(UInt64(size)) }
      header.append(tensor.type.rawValue)
      header.append(UInt64(offset))
      let (end, overflow) = offset.addingReportingOverflow(length)
      guard !overflow, end <= Int.max / 2 else { throw failure(tensor, "the file would be too long") }
      offset = end + (-end & (alignment - 1))
    }
    header.pad(to: alignment)
    return header.bytes
  }
}
