/// GPT-2's printable stand-ins for the 256 bytes, in which byte-level vocabularies are written: printable Latin-1
/// stands for itself, the other 68 bytes are U+0100… in order.
enum ByteAlphabet {
  /// The code point that stands for each byte.
  static let points: [UInt32] = {
    var points: [UInt32] = []
    var other: UInt32 = 0x100
    for byte: UInt32 in 0..<256 {
      if (0x21...0x7e).contains(byte) || (0xa1...0xac).contains(byte) || (0xae...0xff).contains(byte) {
        points.append(byte)
      } else {
        points.append(other)
        other += 1
      }
    }
    return points
  }()

  /// The byte of each code point below U+0144, or -1.
  private static let bytes: [Int16] = {
    var bytes = [Int16](repeating: -1, count: 0x144)
    for (byte, point) in points.enumerated() { bytes[Int(point)] = Int16(byte) }
    return bytes
  }()

  /// The bytes that `text` stands for, nil where it holds a character that is none of the stand-ins.
  static func bytes(of text: String) -> [UInt8]? {
    var result: [UInt8] = []
    result.reserveCapacity(text.utf8.count)
    for scalar in text.unicodeScalars {
      guard scalar.value < 0x144, bytes[Int(scalar.value)] >= 0 else { return nil }
      result.append(UInt8(truncatingIfNeeded: bytes[Int(scalar.value)]))
    }
    return result
  }

  /// Bytes that occur in UTF-8 text.
  static func occursInUTF8(_ byte: Int) -> Bool { byte != 0xc0 && byte != 0xc1 && byte < 0xf5 }
}
