import Core

/// Reads a header from its first byte on, never past the end.
struct GGUFCursor {
  let bytes: UnsafeRawBufferPointer
  let file: String
  private(set) var offset = 0

  init(_ bytes: UnsafeRawBufferPointer, file: String) { (self.bytes, self.file) = (bytes, file) }

  var remaining: Int { bytes.count - offset }

  func failure(_ message: String, advice: String? = nil) -> SFTError {
    SFTError(.badData, message, file: file, advice: advice)
  }

  private func cutShort(_ what: String) -> SFTError {
    failure("ends inside \(what)", advice: "The file is cut short: download it again")
  }

  /// `what` names what is read, for the error.
  mutating func integer<Value: FixedWidthInteger>(_ what: @autoclosure () -> String) throws -> Value {
    guard remaining >= MemoryLayout<Value>.size else { throw cutShort(what()) }
    defer { offset += MemoryLayout<Value>.size }
    return Value(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Value.self))
  }

  mutating func bool(_ what: @autoclosure () -> String) throws -> Bool {
    let byte: UInt8 = try integer(what())
    guard byte < 2 else { throw failure("\(what()) is a bool of \(byte), expected 0 or 1") }
    return byte == 1
  }

  /// A length of 64 bits, then UTF-8.
  mutating func string(_ what: @autoclosure () -> String) throws -> String {
    let length: UInt64 = try integer(what())
    guard length <= UInt64(remaining) else {
      throw failure("\(what()) claims a text of \(length) bytes, but only \(remaining) follow")
    }
    let text = UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + Int(length)])
    guard let string = String(validating: text, as: UTF8.self) else {
      throw failure("\(what()) holds text that is not valid UTF-8")
    }
    offset += Int(length)
    return string
  }

  /// A number of things that take at least `least` bytes each, and so cannot be more than the file has room for.
  mutating func count(least: Int, _ what: @autoclosure () -> String) throws -> Int {
    let count: UInt64 = try integer(what())
    guard count <= UInt64(remaining / least) else {
      throw failure("\(what()) is \(count), but only \(remaining) bytes follow")
    }
    return Int(count)
  }

  /// `count` integers; that they are there has been checked.
  mutating func integers<Value: FixedWidthInteger>(_ count: Int) -> [Value] {
    let size = MemoryLayout<Value>.size
    precondition(count <= remaining / size)
    let start = offset
    offset += count * size
    return (0..<count).map {
      Value(littleEndian: bytes.loadUnaligned(fromByteOffset: start &+ $0 &* size, as: Value.self))
    }
  }

  /// Goes to the next multiple of `alignment`, a power of two, or to the end where the file ends before it.
  mutating func align(_ alignment: Int) { offset += min(-offset & (alignment - 1), remaining) }
}
