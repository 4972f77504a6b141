/// A protocol buffers message being written: just the wire types that event files need.
struct ProtobufMessage {
  private(set) var bytes: [UInt8] = []

  private enum WireType: UInt64 {
    case varint = 0
    case fixed64 = 1
    case lengthDelimited = 2
    case fixed32 = 5
  }

  private mutating func append(varint value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  private mutating func tag(_ field: Int, _ type: WireType) { append(varint: UInt64(field) << 3 | type.rawValue) }

  mutating func add(_ field: Int, _ value: Int) {
    tag(field, .varint)
    append(varint: UInt64(bitPattern: Int64(value)))
  }

  mutating func add(_ field: Int, _ value: Bool) { add(field, value ? 1 : 0) }

  mutating func add(_ field: Int, _ value: Double) {
    tag(field, .fixed64)
    bytes += littleEndianBytes(value.bitPattern)
  }

  mutating func add(_ field: Int, _ value: Float) {
    tag(field, .fixed32)
    bytes += littleEndianBytes(value.bitPattern)
  }

  mutating func add(_ field: Int, _ value: [UInt8]) {
    tag(field, .lengthDelimited)
    append(varint: UInt64(value.count))
    bytes += value
  }

  mutating func add(_ field: Int, _ value: String) { add(field, Array(value.utf8)) }
  mutating func add(_ field: Int, _ value: ProtobufMessage) { add(field, value.bytes) }

  /// A message within the message.
  mutating func add(_ field: Int, _ build: (inout ProtobufMessage) -> Void) {
    var message = ProtobufMessage()
    build(&message)
    add(field, message)
  }
}

func littleEndianBytes(_ value: some FixedWidthInteger) -> [UInt8] {
  withUnsafeBytes(of: value.littleEndian) { Array($0) }
}

/// The fields of a message, in their order.
struct ProtobufFields: Sequence, IteratorProtocol {
  enum Value {
    case varint(UInt64)
    case bytes(ArraySlice<UInt8>)
    /// 32 or 64 bits, which nobody here asks for.
    case fixed
  }

  private var rest: ArraySlice<UInt8>

  init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

  private mutating func varint() -> UInt64? {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 64, by: 7) {
      guard let byte = rest.popFirst() else { return nil }
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return value }
    }
    return nil
  }

  private mutating func take(_ count: UInt64) -> ArraySlice<UInt8>? {
    guard count <= UInt64(rest.count) else { return nil }
    defer { rest = rest.dropFirst(Int(count)) }
    return rest.prefix(Int(count))
  }

  /// nil at the end, and where the message is damaged.
  mutating func next() -> (field: Int, value: Value)? {
    guard let tag = varint(), let field = Int(exactly: tag >> 3) else { return nil }
    switch tag & 7 {
    case 0: return varint().map { (field, .varint($0)) }
    case 1: return take(8).map { _ in (field, .fixed) }
    case 2: return varint().flatMap { take($0) }.map { (field, .bytes($0)) }
    case 5: return take(4).map { _ in (field, .fixed) }
    default: return nil
    }
  }
}
