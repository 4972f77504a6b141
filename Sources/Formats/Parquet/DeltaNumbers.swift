import Core

/// Numbers as differences in blocks (DELTA_BINARY_PACKED).
enum DeltaNumbers {
  /// At most `most` numbers, and the bytes that they took.
  static func read(_ bytes: UnsafeRawBufferPointer, most: Int) throws -> (numbers: [Int64], bytes: Int) {
    var reader = ThriftReader(bytes)
    let (block, parts) = (try reader.unsigned(), try reader.unsigned())
    let total = try reader.unsigned()
    var last = Int64(try reader.integer())
    guard total <= UInt64(most) else { throw damaged("a page has more numbers than values") }
    guard block > 0, block <= 1 << 20, block % 128 == 0, parts > 0, block % parts == 0, (block / parts) % 32 == 0 else {
      throw damaged("blocks of numbers of an impossible size")
    }
    var numbers: [Int64] = []
    numbers.reserveCapacity(Int(total))
    if total > 0 { numbers.append(last) }
    var position = reader.position
    while numbers.count < Int(total) {
      var reader = ThriftReader(UnsafeRawBufferPointer(rebasing: bytes[position...]))
      let least = Int64(try reader.integer())
      position += reader.position
      guard Int(parts) <= bytes.count - position else { throw damaged("a block of numbers ends early") }
      let widths = bytes[position..<position + Int(parts)].map { Int($0) }
      position += Int(parts)
      for bits in widths where numbers.count < Int(total) {
        let (count, size) = (Int(block / parts), Int(block / parts) * bits / 8)
        guard bits <= 64, size <= bytes.count - position else { throw damaged("a block of numbers ends early") }
        for index in 0..<min(count, Int(total) - numbers.count) {
          last &+= least &+ Int64(bitPattern: Self.packed(bytes, position, index * bits, bits))
          numbers.append(last)
        }
        position += size
      }
    }
    return (numbers, position)
  }

  /// `bits` bits from bit `bit` after `position`, the lowest first.
  private static func packed(_ bytes: UnsafeRawBufferPointer, _ position: Int, _ bit: Int, _ bits: Int) -> UInt64 {
    var (value, taken) = (UInt64(0), 0)
    while taken < bits {
      let (byte, offset) = ((bit + taken) / 8, (bit + taken) % 8)
      let some = min(8 - offset, bits - taken)
      value |= UInt64(bytes[position + byte] >> UInt8(offset) & UInt8((1 << some) - 1)) << UInt64(taken)
      taken += some
    }
    return value
  }
}
