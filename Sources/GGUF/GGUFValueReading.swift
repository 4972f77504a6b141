import Core

extension GGUFKind {
  /// Bytes that a value of the kind takes at least.
  var leastSize: Int {
    switch self {
    case .uint8, .int8, .bool: 1
    case .uint16, .int16: 2
    case .uint32, .int32, .float32: 4
    case .uint64, .int64, .float64, .string: 8
    case .array: 12
    }
  }
}

extension GGUFCursor {
  /// A key's kind and value.
  mutating func value(of key: String) throws -> GGUFValue {
    let kind = try kind("the kind of the key \(quoted(key))")
    let what = "the key \(quoted(key))"
    return switch kind {
    case .uint8: .uint8(try integer(what))
    case .int8: .int8(try integer(what))
    case .uint16: .uint16(try integer(what))
    case .int16: .int16(try integer(what))
    case .uint32: .uint32(try integer(what))
    case .int32: .int32(try integer(what))
    case .uint64: .uint64(try integer(what))
    case .int64: .int64(try integer(what))
    case .float32: .float32(Float(bitPattern: try integer(what)))
    case .float64: .float64(Double(bitPattern: try integer(what)))
    case .bool: .bool(try bool(what))
    case .string: .string(try string(what))
    case .array: .array(try array(key))
    }
  }

  private mutating func kind(_ what: @autoclosure () -> String) throws -> GGUFKind {
    let number: UInt32 = try integer(what())
    guard let kind = GGUFKind(rawValue: number) else {
      throw failure("\(what()) is \(number), which is unknown: the format has 0 to 12")
    }
    return kind
  }

  private mutating func array(_ key: String) throws -> GGUFArray {
    let kind = try kind("the kind of the values of the key \(quoted(key))")
    guard kind != .array else { throw failure("the key \(quoted(key)) is an array of arrays, which is not supported") }
    let count = try count(least: kind.leastSize, "the number of values of the key \(quoted(key))")
    return switch kind {
    case .uint8: .uint8s(integers(count))
    case .int8: .int8s(integers(count))
    case .uint16: .uint16s(integers(count))
    case .int16: .int16s(integers(count))
    case .uint32: .uint32s(integers(count))
    case .int32: .int32s(integers(count))
    case .uint64: .uint64s(integers(count))
    case .int64: .int64s(integers(count))
    case .float32: .float32s((integers(count) as [UInt32]).map { Float(bitPattern: $0) })
    case .float64: .float64s((integers(count) as [UInt64]).map { Double(bitPattern: $0) })
    case .bool: .bools(try (0..<count).map { try bool("value \($0) of the key \(quoted(key))") })
    case .string, .array: .strings(try (0..<count).map { try string("value \($0) of the key \(quoted(key))") })
    }
  }
}
