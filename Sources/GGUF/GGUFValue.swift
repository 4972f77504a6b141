/// A value of a GGUF file's metadata.
public enum GGUFValue: Sendable, Equatable {
  case uint8(UInt8)
  case int8(Int8)
  case uint16(UInt16)
  case int16(Int16)
  case uint32(UInt32)
  case int32(Int32)
  case uint64(UInt64)
  case int64(Int64)
  case float32(Float)
  case float64(Double)
  case bool(Bool)
  case string(String)
  case array(GGUFArray)
}

/// A list of values of one kind. Lists of lists, which the format allows and no tool writes, are not read.
///
/// Strings compare as Swift's do: two spellings of one text (é as one character or two) count as equal. Who needs bytes
/// compares `utf8`.
public enum GGUFArray: Sendable, Equatable {
  case uint8s([UInt8])
  case int8s([Int8])
  case uint16s([UInt16])
  case int16s([Int16])
  case uint32s([UInt32])
  case int32s([Int32])
  case uint64s([UInt64])
  case int64s([Int64])
  case float32s([Float])
  case float64s([Double])
  case bools([Bool])
  case strings([String])
}

/// What kind a value is. The raw value is the number in the file.
enum GGUFKind: UInt32 {
  case uint8 = 0
  case int8 = 1
  case uint16 = 2
  case int16 = 3
  case uint32 = 4
  case int32 = 5
  case float32 = 6
  case bool = 7
  case string = 8
  case array = 9
  case uint64 = 10
  case int64 = 11
  case float64 = 12
}

extension GGUFValue {
  var kind: GGUFKind {
    switch self {
    case .uint8: .uint8
    case .int8: .int8
    case .uint16: .uint16
    case .int16: .int16
    case .uint32: .uint32
    case .int32: .int32
    case .uint64: .uint64
    case .int64: .int64
    case .float32: .float32
    case .float64: .float64
    case .bool: .bool
    case .string: .string
    case .array: .array
    }
  }

  /// For a sentence: `uint32`, `array of string`.
  public var kindName: String {
    if case .array(let array) = self { return "array of \(array.elementKind)" }
    return "\(kind)"
  }

  /// Kind and, of an integer, the value: `uint64 18446744073709551615`.
  var summary: String {
    if case .uint64(let value) = self { return "uint64 \(value)" }
    return integer.map { "\(kindName) \($0)" } ?? kindName
  }

  /// An integer of any kind, where it fits.
  var integer: Int? {
    switch self {
    case .uint8(let value): Int(value)
    case .int8(let value): Int(value)
    case .uint16(let value): Int(value)
    case .int16(let value): Int(value)
    case .uint32(let value): Int(value)
    case .int32(let value): Int(value)
    case .uint64(let value): Int(exactly: value)
    case .int64(let value): Int(exactly: value)
    case .float32, .float64, .bool, .string, .array: nil
    }
  }
}

extension GGUFArray {
  var elementKind: GGUFKind {
    switch self {
    case .uint8s: .uint8
    case .int8s: .int8
    case .uint16s: .uint16
    case .int16s: .int16
    case .uint32s: .uint32
    case .int32s: .int32
    case .uint64s: .uint64
    case .int64s: .int64
    case .float32s: .float32
    case .float64s: .float64
    case .bools: .bool
    case .strings: .string
    }
  }

  /// Number of values.
  public var count: Int {
    switch self {
    case .uint8s(let values): values.count
    case .int8s(let values): values.count
    case .uint16s(let values): values.count
    case .int16s(let values): values.count
    case .uint32s(let values): values.count
    case .int32s(let values): values.count
    case .uint64s(let values): values.count
    case .int64s(let values): values.count
    case .float32s(let values): values.count
    case .float64s(let values): values.count
    case .bools(let values): values.count
    case .strings(let values): values.count
    }
  }

  /// The integers of any integer kind; nil for other kinds and where one does not fit.
  var integers: [Int]? {
    switch self {
    case .uint8s(let values): values.map { Int($0) }
    case .int8s(let values): values.map { Int($0) }
    case .uint16s(let values): values.map { Int($0) }
    case .int16s(let values): values.map { Int($0) }
    case .uint32s(let values): values.map { Int($0) }
    case .int32s(let values): values.map { Int($0) }
    case .uint64s(let values): values.allSatisfy { $0 <= UInt64(Int.max) } ? values.map { Int($0) } : nil
    case .int64s(let values): values.map { Int($0) }
    case .float32s, .float64s, .bools, .strings: nil
    }
  }
}
