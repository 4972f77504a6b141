import Core
import Files
import GGUF
import Testing

/// A file that cannot be written whole is not there.
@Suite struct WriterRefusalTests {
  private func zeros(_ name: String, _ shape: [Int], _ type: GGUFType, _ pieces: [Int]) -> GGUFTensorOutput {
    GGUFTensorOutput(name, shape, type) { sink in
      for count in pieces { try [Float](repeating: 0, count: count).withUnsafeBufferPointer { try sink($0) } }
    }
  }

  private func check(_ message: String, _ tensors: [GGUFTensorOutput], _ metadata: GGUFMetadata = .init()) throws {
    let folder = try TemporaryFolder()
    let path = folder("x.gguf")
    try writeAtomically("what was there", to: path)
    #expect(throws: SFTError(.internalError, message, file: path)) { try writeGGUF(metadata, tensors, to: path) }
    #expect(try readFile(path) == Array("what was there".utf8))
    #expect(try directoryEntries(folder.path) == ["x.gguf"])
  }

  @Test func tensorsOfTheWrongLength() throws {
    try check("tensor 'w': expected 64 values, was given 32", [zeros("w", [2, 32], .q8_0, [32])])
    try check("tensor 'w': was given more than its 64 values", [zeros("w", [2, 32], .f32, [32, 32, 32])])
    try check("tensor 'w': was given 33 values, not rows of 32", [zeros("w", [2, 32], .f16, [33])])
    let stored = { (count: Int) in
      GGUFTensorOutput(
        "w", [2, 32], .q4_0,
        stored: { sink in
          try [UInt8](repeating: 0, count: count).withUnsafeBytes { try sink($0) }
        })
    }
    try check("tensor 'w': expected 36 bytes, was given 35", [stored(35)])
    try check("tensor 'w': was given more than its 36 bytes", [stored(37)])
  }

  @Test func namesShapesAndTypes() throws {
    try check("tensor 'w': another has the same name", [zeros("w", [1], .f32, [1]), zeros("w", [1], .f32, [1])])
    try check("tensor '': a name is 1 to 63 bytes long", [zeros("", [1], .f32, [1])])
    let long = String(repeating: "n", count: 64)
    try check("tensor '\(long)': a name is 1 to 63 bytes long", [zeros(long, [1], .f32, [1])])
    try check("tensor 'w': the shape [] cannot be written", [zeros("w", [], .f32, [1])])
    try check("tensor 'w': the shape [0, 4] cannot be written", [zeros("w", [0, 4], .f32, [])])
    try check("tensor 'w': the shape [1, 1, 1, 1, 1] cannot be written", [zeros("w", [1, 1, 1, 1, 1], .f32, [1])])
    try check(
      "tensor 'w': the shape [\(Int.max), 2] cannot be written", [zeros("w", [Int.max, 2], .f32, [])])
    try check("tensor 'w': rows of the shape [2, 33] are not whole blocks of Q8_0", [zeros("w", [2, 33], .q8_0, [66])])
    try check("tensor 'w': Q4_K is not encoded", [zeros("w", [256], .q4_K, [256])])
  }

  @Test func keys() throws {
    var metadata = GGUFMetadata()
    metadata[""] = .bool(true)
    try check("the key '' cannot be written", [], metadata)
    metadata = GGUFMetadata()
    metadata["general.alignment"] = .uint32(33)
    try check("data cannot be aligned to uint32 33", [], metadata)
  }

  @Test func whatATensorThrowsComesThrough() throws {
    struct Fault: Error {}
    let folder = try TemporaryFolder()
    let output = GGUFTensorOutput("w", [1], .f32, rows: { _ in throw Fault() })
    #expect(throws: Fault.self) { try writeGGUF(GGUFMetadata(), [output], to: folder("x.gguf")) }
    #expect(try directoryEntries(folder.path) == [])
    #expect(throws: SFTError.self) { try writeGGUF(GGUFMetadata(), [], to: folder("none/x.gguf")) }
  }
}
