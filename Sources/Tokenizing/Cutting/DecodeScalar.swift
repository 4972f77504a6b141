/// The code point and the length in bytes of the character at `bytes`: valid UTF-8, two bytes or more.
@inline(__always)
func decodeScalar(_ bytes: UnsafePointer<UInt8>) -> (point: Int, length: Int) {
  let first = Int(bytes[0])
  let second = Int(bytes[1] & 0x3f)
  if first < 0xe0 { return ((first & 0x1f) << 6 | second, 2) }
  let third = Int(bytes[2] & 0x3f)
  if first < 0xf0 { return ((first & 0x0f) << 12 | second << 6 | third, 3) }
  return ((first & 0x07) << 18 | second << 12 | third << 6 | Int(bytes[3] & 0x3f), 4)
}
