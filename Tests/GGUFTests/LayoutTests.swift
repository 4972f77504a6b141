import Core
import Files
import GGUF
import Testing

/// What gguf-py writes, and the same written here.
@Suite struct LayoutTests {
  /// What `make_gguf.py` puts into `layout.gguf`, in its order.
  static func metadata() -> GGUFMetadata {
    var metadata = GGUFMetadata()
    metadata["general.architecture"] = .string("llama")
    metadata["general.alignment"] = .uint32(64)
    metadata["k.u8"] = .uint8(200)
    metadata["k.i8"] = .int8(-100)
    metadata["k.u16"] = .uint16(60000)
    metadata["k.i16"] = .int16(-30000)
    metadata["k.u32"] = .uint32(4_000_000_000)
    metadata["k.i32"] = .int32(-2_000_000_000)
    metadata["k.u64"] = .uint64(.max)
    metadata["k.i64"] = .int64(.min)
    metadata["k.f32"] = .float32(1e-5)
    metadata["k.f64"] = .float64(1e-300)
    metadata["k.yes"] = .bool(true)
    metadata["k.no"] = .bool(false)
    metadata["k.text"] = .string("grüße\n日本 🍐\0")
    metadata["a.u8"] = .array(.uint8s([0, 255]))
    metadata["a.i8"] = .array(.int8s([-128, 127]))
    metadata["a.u16"] = .array(.uint16s([65535]))
    metadata["a.i16"] = .array(.int16s([-1, 2, -3]))
    metadata["a.u32"] = .array(.uint32s([1, .max]))
    metadata["a.i32"] = .array(.int32s([-1, 1]))
    metadata["a.u64"] = .array(.uint64s([1 << 63]))
    metadata["a.i64"] = .array(.int64s([-5, 5]))
    metadata["a.f32"] = .array(.float32s([0.5, -0.1]))
    metadata["a.f64"] = .array(.float64s([0.1]))
    metadata["a.bool"] = .array(.bools([true, false, true]))
    metadata["a.text"] = .array(.strings(["<s>", "é", "Ġa"]))
    return metadata
  }

  static let shapes: [(name: String, type: GGUFType, shape: [Int])] = [
    ("one", .f32, [5]), ("two.weight", .f16, [3, 4]), ("q8", .q8_0, [2, 32]), ("q4", .q4_0, [2, 2, 64]),
    ("bf", .bf16, [2, 1, 3, 2]),
  ]

  static func ramp(_ count: Int) -> [Float] { (0..<count).map { (Float($0) - 11) / 8 } }

  /// Row by row.
  static func tensors() -> [GGUFTensorOutput] {
    shapes.map { name, type, shape in
      GGUFTensorOutput(name, shape, type) { sink in
        let values = ramp(shape.reduce(1, *))
        let row = shape.last ?? 1
        for start in stride(from: 0, to: values.count, by: row) {
          try Array(values[start..<start + row]).withUnsafeBufferPointer { try sink($0) }
        }
      }
    }
  }

  @Test func theReferencesFileIsReadAsItWasWritten() throws {
    let file = try GGUFFile(fixture("layout.gguf"))
    #expect(file.version == 3)
    #expect(file.metadata == Self.metadata())
    #expect(file.metadata.keys == Self.metadata().keys)
    #expect(file.tensors.map(\.name) == Self.shapes.map(\.name))
    #expect(file.tensors.map(\.shape) == Self.shapes.map(\.shape))
    #expect(file.tensors.map(\.type) == Self.shapes.map(\.type))
    #expect(file.tensors.allSatisfy { $0.offset % 64 == 0 })
    #expect(try file.floats("one") == Self.ramp(5))
    #expect(try file.floats("two.weight") == Self.ramp(12))
    #expect(file.info("three") == nil)
    #expect(throws: SFTError(.badData, "has no tensor 'three'", file: file.path)) { try file.floats("three") }
  }

  @Test func bytesAreTheReferences() throws {
    let folder = try TemporaryFolder()
    try writeGGUF(Self.metadata(), Self.tensors(), to: folder("x.gguf"))
    #expect(try readFile(folder("x.gguf")) == readFile(fixture("layout.gguf")))
    #expect(try directoryEntries(folder.path) == ["x.gguf"])
  }

  @Test(arguments: ["layout.gguf", "codecs.gguf"]) func aFileIsCopiedByteByByte(_ name: String) throws {
    let folder = try TemporaryFolder()
    let file = try GGUFFile(fixture(name))
    try writeGGUF(file.metadata, file.tensors.map { GGUFTensorOutput($0, of: file) }, to: folder("x.gguf"))
    #expect(try readFile(folder("x.gguf")) == readFile(file.path))
  }

  @Test func version2IsReadToo() throws {
    let file = try GGUFFile(fixture("version2.gguf"))
    #expect(file.version == 2)
    #expect(try file.metadata.string("general.architecture") == "llama")
    #expect(file.tensors.map(\.shape) == [[2, 3]])
    #expect(try file.floats("w") == [0, 1, 2, 3, 4, 5])
  }

  @Test func aFileWithoutTensorsOrKeysIsWhole() throws {
    let folder = try TemporaryFolder()
    try writeGGUF(GGUFMetadata(), [], to: folder("x.gguf"))
    let file = try GGUFFile(folder("x.gguf"))
    #expect(file.metadata.keys.isEmpty && file.tensors.isEmpty && file.byteCount == 32)
    #expect(try header(Bytes(tensors: 0, keys: 0).bytes).tensors.isEmpty)
  }

  /// A tensor of more values than the writer takes at a time, in rows that do not divide its pieces.
  @Test(arguments: GGUFType.allCases.filter(\.isEncodable)) func longTensorsComeBack(_ type: GGUFType) throws {
    let folder = try TemporaryFolder()
    let shape = [3, 101, 1056]
    let values = (0..<shape.reduce(1, *)).map { Float($0 % 1013 - 500) / 64 }
    let output = GGUFTensorOutput("w", shape, type) { sink in
      for plane in 0..<3 {
        let size = 101 * 1056
        try values[plane * size..<(plane + 1) * size].withUnsafeBufferPointer { try sink($0) }
      }
    }
    try writeGGUF(GGUFMetadata(), [output], to: folder("x.gguf"))
    let file = try GGUFFile(folder("x.gguf"))
    let info = try #require(file.info("w"))
    #expect(Array(file.bytes(info)) == encoded(type, values))
    var pieces: [[Float]] = []
    file.forEachPiece(info, of: 5000) { pieces.append(Array($0)) }
    #expect(pieces.allSatisfy { $0.count % 1056 == 0 && $0.count <= 5000 })
    #expect(try pieces.flatMap(\.self) == file.floats("w"))
  }
}
