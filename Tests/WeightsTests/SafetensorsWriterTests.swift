import Core
import Files
import Testing
import Weights

@Suite struct SafetensorsWriterTests {
  /// The bytes that safetensors 0.8.0 writes, made by:
  ///
  ///     from safetensors.torch import save; import torch
  ///     save({"b": torch.tensor([1., -2.]), "a": torch.tensor([[7]], dtype=torch.int8),
  ///           "c": torch.tensor(3, dtype=torch.int64), "a\"b\n": torch.tensor([0.5])}, {"format": "pt"})
  @Test func bytesAsTheReferenceWritesThem() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/out.safetensors"
    try writeSafetensors(
      [
        TensorOutput("b", [2], [1, -2]),
        TensorOutput("a", .i8, [1, 1]) { sink in try [UInt8(7)].withUnsafeBytes { try sink($0) } },
        TensorOutput("c", .i64, []) { sink in
          try littleEndian(Int32(3)).withUnsafeBytes { try sink($0) }
          try littleEndian(Int32(0)).withUnsafeBytes { try sink($0) }
        },
        TensorOutput("a\"b\n", [1], [0.5]),
      ], to: path)
    let header = """
      {"__metadata__":{"format":"pt"},"c":{"dtype":"I64","shape":[],"data_offsets":[0,8]},\
      "a\\"b\\n":{"dtype":"F32","shape":[1],"data_offsets":[8,12]},"b":{"dtype":"F32","shape":[2],"data_offsets":[12,20]},\
      "a":{"dtype":"I8","shape":[1,1],"data_offsets":[20,21]}}
      """
    let padded = header + String(repeating: " ", count: (8 - header.utf8.count % 8) % 8)
    let data = littleEndian(Int64(3)) + bytes([0.5, 1, -2]) + [7]
    #expect(try readFile(path) == safetensors(padded, data))
  }

  @Test func roundTrip() throws {
    let folder = try modelFolder(outputs())
    let file = try SafetensorsFile(folder.path + "/model.safetensors")
    let copy = folder.path + "/copy.safetensors"
    try writeSafetensors(
      try file.names.map { name in TensorOutput(name, try file.floats(name, shape: file.tensors[name]?.shape ?? [])) },
      metadata: file.metadata, to: copy)
    #expect(try readFile(copy) == readFile(file.path))
    #expect(try directoryEntries(folder.path) == ["config.json", "copy.safetensors", "model.safetensors"])
  }

  @Test func nothingToWrite() throws {
    let folder = try TemporaryFolder()
    try writeSafetensors([], metadata: [:], to: folder.path + "/x")
    #expect(try readFile(folder.path + "/x") == safetensors("{}      "))
    #expect(try SafetensorsFile(folder.path + "/x").names == [])
  }

  /// A tensor that does not keep its word leaves no file behind.
  @Test func wrongOutputs() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/x"
    func refused(_ tensors: [TensorOutput], _ part: String) {
      let error = failure { try writeSafetensors(tensors, to: path) }
      #expect(error?.kind == .internalError && error?.message.contains(part) == true)
    }
    refused([TensorOutput("a", [3], [1, 2])], "tensor 'a': expected 12 bytes, was given 8")
    refused([TensorOutput("a", [1], [1]), TensorOutput("a", [1], [2])], "two tensors have the name 'a'")
    refused([TensorOutput("a", [-1], [])], "impossible shape [-1]")
    #expect(try directoryEntries(folder.path) == [])
  }
}
