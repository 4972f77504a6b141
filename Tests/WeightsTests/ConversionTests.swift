import Testing
import Weights

@Suite struct ConversionTests {
  /// All 65,536 bit patterns in one tensor, read back as float32; `offset` bytes before it shift its alignment.
  private func allPatterns(_ dtype: TensorType, offset: Int) throws -> [UInt32] {
    var header = "{"
    if offset > 0 { header += "\"o\":{\"dtype\":\"U8\",\"shape\":[\(offset)],\"data_offsets\":[0,\(offset)]}," }
    header +=
      "\"w\":{\"dtype\":\"\(dtype.rawValue)\",\"shape\":[256,256],\"data_offsets\":[\(offset),\(offset + 131072)]}}"
    var data = [UInt8](repeating: 0, count: offset)
    for pattern in 0...UInt16.max { data += littleEndian(pattern) }
    let folder = try TemporaryFolder()
    let file = try SafetensorsFile(try folder.write("x.safetensors", safetensors(header, data)))
    return try file.floats("w", shape: [256, 256]).array.map(\.bitPattern)
  }

  /// The float32 bits of a binary16 by its definition (IEEE 754-2008, 3.4), field by field.
  private func reference(half: UInt16) -> UInt32 {
    let sign = UInt32(half >> 15) << 31
    let exponent = Int(half >> 10 & 31)
    let fraction = UInt32(half & 0x3ff)
    if exponent == 31 { return sign | 0x7f80_0000 | fraction << 13 }
    if exponent > 0 { return sign | UInt32(exponent - 15 + 127) << 23 | fraction << 13 }
    if fraction == 0 { return sign }
    var value = fraction
    var power = -14
    while value & 0x400 == 0 {
      value <<= 1
      power -= 1
    }
    return sign | UInt32(power + 127) << 23 | (value & 0x3ff) << 13
  }

  @Test(arguments: [0, 1, 2, 3]) func everyHalf(offset: Int) throws {
    let bits = try allPatterns(.f16, offset: offset)
    for pattern in 0...UInt16.max where bits[Int(pattern)] != reference(half: pattern) {
      Issue.record("\(pattern): \(bits[Int(pattern)])")
      return
    }
  }

  @Test(arguments: [0, 1, 2, 3]) func everyBrainFloat(offset: Int) throws {
    let bits = try allPatterns(.bf16, offset: offset)
    for pattern in 0...UInt16.max where bits[Int(pattern)] != UInt32(pattern) << 16 {
      Issue.record("\(pattern): \(bits[Int(pattern)])")
      return
    }
  }

  @Test func doublesAreRounded() throws {
    let doubles: [Double] = [0.1, -0.1, 1e300, -1e-300, 1 + 0x1p-24, 1 + 0x1.8p-23, .infinity, -0.0]
    let folder = try TemporaryFolder()
    let header = "{\"w\":{\"dtype\":\"F64\",\"shape\":[8],\"data_offsets\":[0,64]}}"
    let data = doubles.flatMap { littleEndian($0.bitPattern) }
    let file = try SafetensorsFile(try folder.write("x.safetensors", safetensors(header, data)))
    let expected: [Float] = [0.1, -0.1, .infinity, -0.0, 1, 1 + 0x1p-22, .infinity, -0.0]
    #expect(try file.floats("w", shape: [8]).array.map(\.bitPattern) == expected.map(\.bitPattern))
  }
}
