import Core

/// Reads the fields of one protobuf message, in the order of the file. SentencePiece's is the only one that is read here,
/// three messages deep, which does not pay for a generated reader.
struct ProtobufReader {
  enum Value {
    case integer(UInt64)
    case bytes(ArraySlice<UInt8>)
    case float(Float)
    /// Eight bytes, which nothing that is read here is written as.
    case other
  }

  private var rest: ArraySlice<UInt8>
  private let file: String

  init(_ bytes: ArraySlice<UInt8>, file: String) { (rest, self.file) = (bytes, file) }

  private var malformed: SFTError { SFTError(.badData, "is not a SentencePiece model, or is cut short", file: file) }

  /// The next field's number and value; nil at the end.
  mutating func next() throws -> (number: UInt64, value: Value)? {
    guard !rest.isEmpty else { return nil }
    let tag = try integer()
    let value: Value
    switch tag & 7 {
    case 0: value = .integer(try integer())
    case 1:
      _ = try take(8)
      value = .other
    case 2:
      guard let count = Int(exactly: try integer()) else { throw malformed }
      value = .bytes(try take(count))
    case 5:
      let bits = try take(4).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
      value = .float(Float(bitPattern: bits))
    default: throw malformed
    }
    return (tag >> 3, value)
  }

  private mutating func take(_ count: Int) throws -> ArraySlice<UInt8> {
    guard count <= rest.count else { throw malformed }
    defer { rest = rest.dropFirst(count) }
    return rest.prefix(count)
  }

  /// Seven bits a byte, the lowest first.
  private mutating func integer() throws -> UInt64 {
    var result: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 70, by: 7) {
      guard let byte = rest.popFirst() else { throw malformed }
      result |= UInt64(byte & 0x7f) << shift
      if byte & 0x80 == 0 { return result }
    }
    throw malformed
  }
}

extension ProtobufReader.Value {
  var integer: Int? { if case .integer(let value) = self { Int(truncatingIfNeeded: value) } else { nil } }
  var isTrue: Bool { integer.map { $0 != 0 } ?? false }
  var bytes: ArraySlice<UInt8>? { if case .bytes(let value) = self { value } else { nil } }
}
