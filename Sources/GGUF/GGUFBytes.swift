/// The bytes of a GGUF header, little-endian.
struct GGUFBytes {
  private(set) var bytes: [UInt8] = []

  mutating func append<Value: FixedWidthInteger>(_ value: Value) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }

  /// Without a length.
  mutating func append(raw text: String) { bytes.append(contentsOf: text.utf8) }

  mutating func append(_ text: String) {
    append(UInt64(text.utf8.count))
    append(raw: text)
  }

  mutating func append(_ flag: Bool) { append(flag ? 1 : 0 as UInt8) }

  /// The number of its kind, then the value.
  mutating func append(_ value: GGUFValue) {
    append(value.kind.rawValue)
    switch value {
    case .uint8(let value): append(value)
    case .int8(let value): append(value)
    case .uint16(let value): append(value)
    case .int16(let value): append(value)
    case .uint32(let value): append(value)
    case .int32(let value): append(value)
    case .uint64(let value): append(value)
    case .int64(let value): append(value)
    case .float32(let value): append(value.bitPattern)
    case .float64(let value): append(value.bitPattern)
    case .bool(let value): append(value)
    case .string(let value): append(value)
    case .array(let array): append(array)
    }
  }

  private mutating func append(_ array: GGUFArray) {
    append(array.elementKind.rawValue)
    append(UInt64(array.count))
    switch array {
    case .uint8s(let values): bytes += values
    case .int8s(let values): for value in values { append(value) }
    case .uint16s(let values): for value in values { append(value) }
    case .int16s(let values): for value in values { append(value) }
    case .uint32s(let values): for value in values { append(value) }
    case .int32s(let values): for value in values { append(value) }
    case .uint64s(let values): for value in values { append(value) }
    case .int64s(let values): for value in values { append(value) }
    case .float32s(let values): for value in values { append(value.bitPattern) }
    case .float64s(let values): for value in values { append(value.bitPattern) }
    case .bools(let values): for value in values { append(value) }
    case .strings(let values): for value in values { append(value) }
    }
  }

  mutating func pad(to alignment: Int) {
    bytes.append(contentsOf: repeatElement(0, count: -bytes.count & (alignment - 1)))
  }
}
