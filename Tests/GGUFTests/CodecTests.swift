import Core
import GGUF
import Testing

/// What ggml's reference code makes of values and blocks, bit for bit.
@Suite struct CodecTests {
  private static let stored = GGUFType.allCases.filter { $0 != .f32 }

  @Test(arguments: stored) func blocksAreReadAsGGMLReadsThem(_ type: GGUFType) throws {
    let file = try GGUFFile(fixture("codecs.gguf"))
    for name in [type.name, type.name + ".noise"] {
      #expect(file.info(name)?.type == type)
      #expect(differences(try file.floats(name), try file.floats(name + ".decoded")) == [], "\(name)")
    }
  }

  @Test(arguments: stored.filter(\.isEncodable)) func valuesAreWrittenAsGGMLWritesThem(_ type: GGUFType) throws {
    let file = try GGUFFile(fixture("codecs.gguf"))
    let values = try file.floats("values." + type.name)
    let expected = Array(file.bytes(try #require(file.info(type.name))))
    let written = encoded(type, values)
    try #require(written.count == expected.count)
    for block in 0..<expected.count / type.blockBytes {
      let range = block * type.blockBytes..<(block + 1) * type.blockBytes
      #expect(
        written[range] == expected[range],
        "block \(block): \(values[block * type.blockElements..<(block + 1) * type.blockElements])")
    }
  }

  @Test func everyHalfIsReadExactly() {
    let halves = Array(UInt16.min ... .max)
    let values = halves.withUnsafeBytes { decoded(.f16, $0) }
    #expect(differences(values, halves.map { Float(Float16(bitPattern: $0)) }) == [])
  }

  @Test func everyHalfAndEveryBrainFloatComesBack() {
    let bits = Array(UInt16.min ... .max)
    let halves = bits.filter { !Float16(bitPattern: $0).isNaN }
    let bytes = halves.withUnsafeBytes { encoded(.f16, decoded(.f16, $0)) }
    #expect(halves.withUnsafeBytes { Array($0) } == bytes)
    let brains = bits.filter { !Float(bitPattern: UInt32($0) << 16).isNaN }
    let brainBytes = brains.withUnsafeBytes { encoded(.bf16, decoded(.bf16, $0)) }
    #expect(brains.withUnsafeBytes { Array($0) } == brainBytes)
  }

  /// Against the language's own conversion: around every half, and anywhere.
  @Test func halvesAreRoundedToTheNearestEven() {
    var values: [Float] = []
    for bits in UInt16(0)...0x7c00 {
      let value = Float(Float16(bitPattern: bits))
      let between = bits < 0x7bff ? (value + Float(Float16(bitPattern: bits + 1))) / 2 : 65520
      for near in [value.nextDown, value.nextUp, between, between.nextDown, between.nextUp] { values += [near, -near] }
    }
    var random = SeededGenerator(seed: 5)
    for _ in 0..<100_000 { values.append(Float(bitPattern: UInt32.random(in: 0 ... .max, using: &random))) }
    let bytes = encoded(.f16, values)
    let rounded = bytes.withUnsafeBytes { decoded(.f16, $0) }
    #expect(differences(rounded, values.map { Float(Float16($0)) }) == [])
  }

  @Test func aSliceOfATensorIsReadAlone() throws {
    let file = try GGUFFile(fixture("codecs.gguf"))
    for type in GGUFType.allCases where type != .f32 {
      let info = try #require(file.info(type.name))
      let all = try file.floats(type.name)
      var slice = [Float](repeating: 0, count: 512)
      slice.withUnsafeMutableBufferPointer { file.decode(info, from: 256, into: $0) }
      #expect(differences(slice, Array(all[256..<768])) == [])
      var pieces: [Float] = []
      file.forEachPiece(info, of: 1) { pieces += $0 }
      #expect(differences(pieces, all) == [])
    }
  }

  /// Besides that of the scale, which is rounded to a half.
  @Test func eightBitErrorsAreAtMostHalfAStep() {
    var random = SeededGenerator(seed: 8)
    for _ in 0..<200 {
      let scale = Float.random(in: 1e-3...10, using: &random)
      let values = (0..<32).map { _ in Float.random(in: -scale...scale, using: &random) }
      let largest = values.map { abs($0) }.max() ?? 0
      let back = encoded(.q8_0, values).withUnsafeBytes { decoded(.q8_0, $0) }
      for (value, decoded) in zip(values, back) {
        #expect(abs(value - decoded) <= largest / 127 * 0.5 + largest * 0x1p-11)
      }
    }
  }

  @Test func sizesAreThoseOfTheFormat() {
    #expect(GGUFType.allCases.map(\.name) == ["F32", "F16", "Q4_0", "Q4_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K", "BF16"])
    #expect(GGUFType.allCases.map { $0.byteCount(of: 512) } == [2048, 1024, 288, 320, 544, 288, 352, 420, 1024])
    #expect(GGUFType.q4_K.byteCount(of: 128) == nil)
    #expect(GGUFType.q8_0.byteCount(of: -32) == nil)
    #expect(GGUFType.f32.byteCount(of: Int.max) == nil)
    #expect(GGUFType.f32.byteCount(of: 0) == 0)
  }
}
