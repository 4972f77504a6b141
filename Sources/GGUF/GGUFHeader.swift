import Core

/// The header of a GGUF file, parsed and checked against the file's length.
///
/// Format (ggml's docs/gguf.md), little-endian: `GGUF`; the version, 32 bits; the numbers of tensors and of keys, 64 bits
/// each; the keys, each a text, the number of its kind and a value; the tensors, each a text, the number of dimensions,
/// their sizes from the fastest to the slowest, the number of its type and its offset in the data section; padding to the
/// alignment; the data section.
package struct GGUFHeader {
  /// Bytes that the data are aligned to where no key says otherwise.
  static let usualAlignment = 32
  static let alignmentKey = "general.alignment"

  package var version: Int
  package var alignment = usualAlignment
  package var metadata = GGUFMetadata()
  /// In the order of the file.
  package var tensors: [GGUFTensorInfo] = []

  /// Throws `badData`, naming the file, and the key or the tensor where it is about one.
  package init(_ bytes: UnsafeRawBufferPointer, file: String) throws {
    var cursor = GGUFCursor(bytes, file: file)
    version = try Self.version(&cursor)
    // An entry of a tensor has at least a name's length, a dimension and its numbers; that of a key a length and a kind.
    let tensorCount = try cursor.count(least: 32, "the number of tensors")
    let keyCount = try cursor.count(least: 13, "the number of keys")
    try readMetadata(keyCount, &cursor)
    metadata.file = file
    if let value = metadata[Self.alignmentKey] { alignment = try Self.alignment(value, cursor) }
    try readTensors(tensorCount, &cursor)
  }

  private static func version(_ cursor: inout GGUFCursor) throws -> Int {
    guard cursor.remaining >= 8 else {
      throw cursor.failure("is \(cursor.remaining) bytes long: too short for a GGUF file")
    }
    guard Array(cursor.bytes.prefix(4)) == Array("GGUF".utf8) else {
      throw cursor.failure("does not start with 'GGUF'", advice: "It is probably not a GGUF file")
    }
    let _: UInt32 = try cursor.integer("the magic")
    let version: UInt32 = try cursor.integer("the version")
    switch version {
    case 2, 3: return Int(version)
    case 1: throw cursor.failure("is a GGUF file of version 1, expected 2 or 3", advice: "Convert the model anew")
    case let other where (1...0xffff).contains(other.byteSwapped):
      throw cursor.failure(
        "is a big-endian GGUF file (version \(other.byteSwapped)), expected a little-endian one",
        advice: "gguf-py's gguf-convert-endian makes one of it")
    default: throw cursor.failure("is a GGUF file of version \(version), expected 2 or 3")
    }
  }

  private mutating func readMetadata(_ count: Int, _ cursor: inout GGUFCursor) throws {
    for index in 0..<count {
      let key = try cursor.string("the name of key \(index) of \(count)")
      guard !key.isEmpty else { throw cursor.failure("key \(index) of \(count) has an empty name") }
      guard metadata[key] == nil else { throw cursor.failure("has the key \(quoted(key)) twice") }
      metadata[key] = try cursor.value(of: key)
    }
  }

  private static func alignment(_ value: GGUFValue, _ cursor: GGUFCursor) throws -> Int {
    guard case .uint32(let number) = value, let alignment = checkedAlignment(number) else {
      throw cursor.failure(
        "the key \(quoted(alignmentKey)) is \(value.summary), "
          + "expected a uint32 that is a power of two from 8 to \(largestAlignment)")
    }
    return alignment
  }

  private static let largestAlignment: UInt32 = 1 << 20

  /// nil for what the data cannot be aligned to.
  static func checkedAlignment(_ number: UInt32) -> Int? {
    number >= 8 && number <= largestAlignment && number & (number - 1) == 0 ? Int(number) : nil
  }

  private mutating func readTensors(_ count: Int, _ cursor: inout GGUFCursor) throws {
    var names = Set<String>(minimumCapacity: count)
    tensors.reserveCapacity(count)
    for index in 0..<count {
      let name = try cursor.string("the name of tensor \(index) of \(count)")
      guard !name.isEmpty else { throw cursor.failure("tensor \(index) of \(count) has an empty name") }
      guard names.insert(name).inserted else { throw cursor.failure("has the tensor \(quoted(name)) twice") }
      tensors.append(try GGUFTensorParser(name: name, alignment: alignment).parse(&cursor))
    }
    cursor.align(alignment)
    try place(dataStart: cursor.offset, cursor)
  }

  /// Turns the tensors' offsets in the data section into offsets in the file, inside which they must lie side by side.
  private mutating func place(dataStart: Int, _ cursor: GGUFCursor) throws {
    let dataCount = cursor.bytes.count - dataStart
    for (index, tensor) in tensors.enumerated() {
      guard tensor.offset <= dataCount, tensor.byteCount <= dataCount - tensor.offset else {
        throw cursor.failure(
          "tensor \(quoted(tensor.name)): its \(tensor.byteCount) bytes from byte \(tensor.offset) of the data on go "
            + "beyond the file, which has \(dataCount) bytes of data",
          advice: "The file is cut short: download it again")
      }
      tensors[index].offset += dataStart
    }
    let ordered = tensors.sorted { $0.offset < $1.offset }
    for (first, second) in zip(ordered, ordered.dropFirst()) {
      guard second.offset - first.offset >= first.byteCount else {
        throw cursor.failure("the tensors \(quoted(first.name)) and \(quoted(second.name)) overlap")
      }
    }
  }
}
