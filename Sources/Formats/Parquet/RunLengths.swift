import Core

/// Numbers of a few bits, as runs of one number and groups of eight that are packed.
enum RunLengths {
  /// Calls `run` with each number and how often it follows, `count` in all; the bytes that were read.
  @discardableResult
  static func read(
    _ bytes: UnsafeRawBufferPointer, bits: Int, count: Int, _ run: (_ value: UInt32, _ times: Int) throws -> Void
  ) throws -> Int {
    guard (0...32).contains(bits) else { throw damaged("numbers of \(bits) bits") }
    var (position, left) = (0, count)
    if bits == 0, bytes.isEmpty {
      if count > 0 { try run(0, count) }
      return 0
    }
    while left > 0 {
      var reader = ThriftReader(UnsafeRawBufferPointer(rebasing: bytes[position...]))
      let header = try reader.unsigned()
      position += reader.position
      guard header >> 1 > 0, header >> 1 <= UInt64(Int32.max) else { throw damaged("a run of no length") }
      let length = Int(header >> 1)
      if header & 1 == 0 {
        let width = (bits + 7) / 8
        guard width <= bytes.count - position else { throw damaged("a run ends early") }
        var value: UInt32 = 0
        for index in 0..<width { value |= UInt32(bytes[position + index]) << UInt32(8 * index) }
        guard bits == 32 || value >> UInt32(bits) == 0 else { throw damaged("a run of a number that is too large") }
        position += width
        try run(value, min(length, left))
        left -= min(length, left)
      } else {
        let size = length * bits
        let numbers = min(8 * length, left)
        // The last group may be cut after what it holds.
        guard (numbers * bits + 7) / 8 <= bytes.count - position else { throw damaged("packed numbers end early") }
        let mask = bits == 32 ? UInt64(UInt32.max) : (1 << UInt64(bits)) - 1
        var (buffer, held) = (UInt64(0), 0)
        var next = position
        for _ in 0..<numbers {
          while held < bits {
            buffer |= UInt64(bytes[next]) << UInt64(held)
            next += 1
            held += 8
          }
          try run(UInt32(buffer & mask), 1)
          buffer >>= UInt64(bits)
          held -= bits
        }
        position += min(size, bytes.count - position)
        left -= numbers
      }
    }
    return position
  }

  static func bits(for most: Int) -> Int { Int.bitWidth - most.leadingZeroBitCount }
}
