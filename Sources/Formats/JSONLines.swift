import Core
import Files

/// Writes JSON Lines into a file without a name.
struct JSONLines: ~Copyable {
  private static let mostHeld = 1 << 20
  /// No row is taken to be longer than this.
  private static let mostInRow = 1 << 30

  private let file: NamelessFile
  /// Bytes of the row that are not held any more.
  private var flushed = 0
  private var held: [UInt8] = []

  init() throws {
    file = try NamelessFile()
    held.reserveCapacity(Self.mostHeld + (1 << 16))
  }

  mutating func append(_ text: StaticString) {
    text.withUTF8Buffer { held.append(contentsOf: $0) }
  }

  mutating func append(_ text: String) { held.append(contentsOf: text.utf8) }

  /// A JSON string. Bytes that are no UTF-8 stay as they are: who reads the lines tells.
  mutating func appendString(_ bytes: UnsafeRawBufferPointer) {
    held.append(UInt8(ascii: "\""))
    var start = 0
    var position = 0
    while position < bytes.count {
      if bytes.count - position >= 8,
        !Self.hasSpecial(bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self))
      {
        position += 8
        continue
      }
      let byte = bytes[position]
      if byte < 0x20 || byte == 0x22 || byte == 0x5c {
        held.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[start..<position]))
        appendEscaped(byte)
        start = position + 1
      }
      position += 1
    }
    held.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[start...]))
    held.append(UInt8(ascii: "\""))
  }

  mutating func appendString(_ text: String) {
    var text = text
    text.withUTF8 { appendString(UnsafeRawBufferPointer($0)) }
  }

  /// Whether one of eight bytes is a control character, a quote or a backslash.
  @inline(__always)
  private static func hasSpecial(_ bytes: UInt64) -> Bool {
    let (ones, highs) = (UInt64(0x0101_0101_0101_0101), UInt64(0x8080_8080_8080_8080))
    let (quotes, slashes) = (bytes ^ (ones &* 0x22), bytes ^ (ones &* 0x5c))
    let found = ((bytes &- ones &* 0x20) & ~bytes) | ((quotes &- ones) & ~quotes) | ((slashes &- ones) & ~slashes)
    return found & highs != 0
  }

  private mutating func appendEscaped(_ byte: UInt8) {
    held.append(UInt8(ascii: "\\"))
    switch byte {
    case 0x22, 0x5c: held.append(byte)
    case 0x0a: held.append(UInt8(ascii: "n"))
    case 0x0d: held.append(UInt8(ascii: "r"))
    case 0x09: held.append(UInt8(ascii: "t"))
    default:
      let digits = Array("0123456789abcdef".utf8)
      held.append(contentsOf: "u00".utf8)
      held.append(digits[Int(byte >> 4)])
      held.append(digits[Int(byte & 15)])
    }
  }

  /// Ends the line. A line without anything on it is no record.
  mutating func endLine() throws {
    held.append(0x0a)
    if held.count >= Self.mostHeld { try flush() }
    flushed = 0
  }

  /// To be called now and then within a row: what is held stays bounded. Throws `badData` for a row that does not end.
  mutating func continueLine() throws {
    guard held.count >= Self.mostHeld else { return }
    flushed += held.count
    try flush()
    guard flushed <= Self.mostInRow else { throw SFTError(.badData, "has a row of more than 1 GiB") }
  }

  private mutating func flush() throws {
    try held.withUnsafeBytes { try file.append($0) }
    held.removeAll(keepingCapacity: true)
  }

  /// What was written, known by `name`.
  consuming func finish(name: String) throws -> MappedFile {
    try flush()
    return try MappedFile(file, name: name)
  }
}
