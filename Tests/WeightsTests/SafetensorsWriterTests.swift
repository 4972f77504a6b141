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

  /// A float32 is written as the nearest BF16, found here by trying both neighbours in double; of two as near, the even.
  @Test func roundedToBrainFloat() throws {
    var values: [Float] = [0, -0.0, 1, .infinity, -.infinity, .greatestFiniteMagnitude, .leastNonzeroMagnitude]
    values += [0x3f80_8000, 0x3f81_8000, 0x3f80_7fff, 0x3f80_8001, 0xbf81_8000, 0x0000_8000].map {
      Float(bitPattern: $0)
    }
    var bits: UInt32 = 12345
    for _ in 0..<500 {
      bits = bits &* 1_664_525 &+ 1_013_904_223
      if Float(bitPattern: bits).isFinite { values.append(Float(bitPattern: bits)) }
    }
    let folder = try TemporaryFolder()
    let (path, all) = (folder.path + "/x", values)
    try writeSafetensors(
      [TensorOutput("w", [all.count], as: .bf16) { FloatTensor(shape: [all.count]) { _ = $0.update(from: all) } }],
      to: path)
    let file = try SafetensorsFile(path)
    #expect(file.tensors["w"]?.dtype == .bf16)
    for (value, rounded) in zip(values, try file.floats("w", shape: [values.count]).array) {
      let below = Float(bitPattern: value.bitPattern & 0xffff_0000)
      let above = Float(bitPattern: (value.bitPattern & 0xffff_0000) &+ 0x1_0000)
      func distance(_ candidate: Float) -> Double {
        // Past the largest, as if there were one more power of two.
        abs(Double(value) - (candidate.isInfinite ? (candidate < 0 ? -0x1p128 : 0x1p128) : Double(candidate)))
      }
      let even = below.bitPattern >> 16 & 1 == 0
      let nearest =
        value.isInfinite || distance(below) < distance(above) || (distance(below) == distance(above) && even)
        ? below : above
      #expect(rounded.bitPattern == nearest.bitPattern, "\(value)")
    }
    try writeSafetensors(
      [TensorOutput("w", [1], as: .bf16) { FloatTensor(shape: [1]) { $0[0] = Float(bitPattern: 0x7f80_0001) } }],
      to: path)
    #expect(try SafetensorsFile(path).floats("w", shape: [1]).array[0].isNaN)
  }

  /// Every F16 comes back as it was; between two neighbours the middle goes to the even one, what is off it to the nearer.
  @Test func roundedToHalf() throws {
    let halves = (0..<UInt16(0x7c00)).map { Float(Float16(bitPattern: $0)) }
    let middles = zip(halves, halves.dropFirst()).map { ($0 + $1) / 2 }
    let values = halves + middles + middles.map(\.nextUp) + middles.map(\.nextDown) + [65_520, -.infinity, .nan]
    let folder = try TemporaryFolder()
    let path = folder.path + "/x"
    try writeSafetensors(
      [
        TensorOutput("w", [values.count], as: .f16) {
          FloatTensor(shape: [values.count]) { _ = $0.update(from: values) }
        }
      ],
      to: path)
    let written = try SafetensorsFile(path).floats("w", shape: [values.count]).array
    let count = middles.count
    let even = (0..<count).map { halves[$0 + $0 % 2] }
    #expect(Array(written.prefix(halves.count)) == halves)
    #expect(Array(written[halves.count...].prefix(count)) == even)
    #expect(Array(written[(halves.count + count)...].prefix(count)) == Array(halves.dropFirst()))
    #expect(Array(written[(halves.count + 2 * count)...].prefix(count)) == Array(halves.dropLast()))
    #expect(
      written.suffix(3).first == .infinity && written.suffix(2).first == -.infinity && written.last?.isNaN == true)
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
