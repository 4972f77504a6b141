/// Snappy's raw format (github.com/google/snappy, format_description.txt).
enum Snappy {
  /// Exactly `size` bytes; throws `badData` where `bytes` are not the compressed form of so many.
  static func decompress(_ bytes: UnsafeRawBufferPointer, size: Int) throws -> [UInt8] {
    var position = 0
    var (length, shift) = (UInt64(0), UInt64(0))
    while true {
      guard position < bytes.count, shift <= 28 else { throw damaged("a Snappy page has no length") }
      let next = bytes[position]
      position += 1
      length |= UInt64(next & 0x7f) << shift
      if next < 0x80 { break }
      shift += 7
    }
    guard length == UInt64(size) else { throw damaged("a Snappy page is of another length than its header says") }
    return try [UInt8](unsafeUninitializedCapacity: size) { output, count in
      try fill(UnsafeMutableRawBufferPointer(output), size, from: UnsafeRawBufferPointer(rebasing: bytes[position...]))
      count = size
    }
  }

  private static func fill(_ output: UnsafeMutableRawBufferPointer, _ size: Int, from input: UnsafeRawBufferPointer)
    throws
  {
    guard let target = output.baseAddress, let source = input.baseAddress else {
      guard size == 0 else { throw damaged("a Snappy page ends early") }
      return
    }
    var (read, written) = (0, 0)
    func number(_ count: Int) throws -> Int {
      guard count <= input.count - read else { throw damaged("a Snappy page ends early") }
      var value = 0
      for index in 0..<count { value |= Int(input[read + index]) << (8 * index) }
      read += count
      return value
    }
    while read < input.count {
      let tag = input[read]
      read += 1
      if tag & 3 == 0 {
        var length = Int(tag >> 2)
        if length >= 60 { length = try number(length - 59) }
        length += 1
        guard length <= input.count - read, length <= size - written else { throw damaged("a Snappy page is cut") }
        (target + written).copyMemory(from: source + read, byteCount: length)
        read += length
        written += length
        continue
      }
      let (length, offset): (Int, Int)
      switch tag & 3 {
      case 1: (length, offset) = (4 + Int(tag >> 2 & 7), Int(tag >> 5) << 8 | (try number(1)))
      case 2: (length, offset) = (1 + Int(tag >> 2), try number(2))
      default: (length, offset) = (1 + Int(tag >> 2), try number(4))
      }
      guard offset > 0, offset <= written, length <= size - written else {
        throw damaged("a Snappy page copies what is not there")
      }
      if offset >= length {
        (target + written).copyMemory(from: target + written - offset, byteCount: length)
      } else {
        // It may read what it has just written.
        for index in written..<written + length { output[index] = output[index - offset] }
      }
      written += length
    }
    guard written == size else { throw damaged("a Snappy page ends early") }
  }
}
