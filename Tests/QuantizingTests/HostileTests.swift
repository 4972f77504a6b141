import Core
import Files
import JSON
import Kernels
import TestSupport
import Testing
import Weights

import Quantizing

/// Input that must be refused, each with an error that names file and tensor.
struct HostileTests {
  @Test(arguments: [Float.infinity, -.infinity, .nan, -.nan], [0, 63, 64, 4095, 4160])
  func `Values that are not finite are refused`(value: Float, place: Int) {
    var values = noise(1, 65 * 65)
    values[place] = value
    for compute in ReferenceTests.engines {
      for layout in [FourBit.Layout.outputsByInputs, .inputsByOutputs] {
        let error = failure {
          _ = try QuantizedMatrix(
            tensor(values, [65, 65]), layout: layout, name: "a.weight", file: "f", settings: QuantizationSettings(),
            compute)
        }
        #expect(error?.kind == .badData)
        #expect(error?.file == "f")
        #expect(error?.message.contains("'a.weight'") == true)
      }
    }
  }

  @Test func `Shapes that are no matrix are refused`() {
    for shape in [[4], [2, 2, 2], [0, 4], []] {
      let error = failure {
        _ = try QuantizedMatrix(
          tensor([Float](repeating: 1, count: shape.reduce(1, *)), shape), layout: .outputsByInputs, name: "a",
          settings: QuantizationSettings(), Compute())
      }
      #expect(error?.kind == .badData)
    }
  }

  /// A change to the tensors of a sound file, and the words that its error must have.
  struct Damage: Sendable, CustomStringConvertible {
    var description: String
    var words: String
    var apply: @Sendable (inout [TensorOutput]) -> Void

    /// Replaces a tensor, or leaves it out.
    init(_ description: String, _ suffix: String, _ words: String, _ replacement: (@Sendable (String) -> TensorOutput)?)
    {
      self.description = description
      self.words = words
      apply = { tensors in
        tensors = tensors.compactMap { $0.name == "w" + suffix ? replacement?($0.name) : $0 }
      }
    }
  }

  static let stateName = ".quant_state.bitsandbytes__nf4"

  /// The sound state of a 20 × 30 matrix but for one member, which nil leaves out.
  static func state(_ key: String, _ value: JSONValue?) -> @Sendable (String) -> TensorOutput {
    { name in
      var members: [(key: String, value: JSONValue)] = [
        ("quant_type", .string("nf4")), ("blocksize", .integer(64)), ("dtype", .string("float32")),
        ("shape", .array([.integer(20), .integer(30)])), ("nested_blocksize", .integer(256)),
        ("nested_dtype", .string("float32")), ("nested_offset", .number(0.5)),
      ]
      members.removeAll { $0.key == key }
      if let value { members.append((key, value)) }
      return text(JSONValue.object(JSONObject(members)).serialized)(name)
    }
  }

  static func text(_ text: String) -> @Sendable (String) -> TensorOutput {
    { name in
      TensorOutput(name, .u8, [text.utf8.count]) { sink in try Array(text.utf8).withUnsafeBytes { try sink($0) } }
    }
  }

  static func floats(_ count: Int, _ value: Float) -> @Sendable (String) -> TensorOutput {
    { TensorOutput($0, [count], [Float](repeating: value, count: count)) }
  }

  static func bytes(_ shape: [Int]) -> @Sendable (String) -> TensorOutput {
    { name in
      TensorOutput(name, .u8, shape) { sink in
        try [UInt8](repeating: 1, count: shape.reduce(1, *)).withUnsafeBytes { try sink($0) }
      }
    }
  }

  static let damages: [Damage] = [
    Damage("no packed codes", "", "'w': is missing", nil),
    Damage("codes cut short", "", "expected shape [300, 1], found [299, 1]", bytes([299, 1])),
    Damage("flat codes", "", "expected shape [300, 1], found [300]", bytes([300])),
    Damage("codes as floats", "", "'w': expected U8, found F32", floats(75, 1)),
    Damage("no absmax", ".absmax", "'w.absmax': is missing", nil),
    Damage("short absmax", ".absmax", "expected shape [10], found [9]", bytes([9])),
    Damage("absmax of the other kind", ".absmax", "expected U8, found F32", floats(10, 1)),
    Damage("no table", ".quant_map", "'w.quant_map': is missing", nil),
    Damage("another table", ".quant_map", "does not hold the 16 values of nf4", floats(16, 0.5)),
    Damage("a short table", ".quant_map", "expected shape [16], found [15]", floats(15, 0.5)),
    Damage("no nested absmax", ".nested_absmax", "'w.nested_absmax': is missing", nil),
    Damage("an infinite nested absmax", ".nested_absmax", "holds an infinity or NaN", floats(1, .infinity)),
    Damage("no nested table", ".nested_quant_map", "'w.nested_quant_map': is missing", nil),
    Damage("NaN in the nested table", ".nested_quant_map", "holds an infinity or NaN", floats(256, .nan)),
    Damage("no state", stateName, "nf4': is missing, or another quant_type's", nil),
    Damage("a state that is no JSON", stateName, "is not sound JSON", text("{'quant_type'}")),
    Damage("a state that is a list", stateName, "'quant_type' is missing", text("[1]")),
    Damage("a huge state", stateName, "no quantisation state", bytes([70_000])),
    Damage("another quant_type", stateName, "'quant_type' is \"int8\"", state("quant_type", .string("int8"))),
    Damage("another block size", stateName, "'blocksize' is 128, and 64", state("blocksize", .integer(128))),
    Damage(
      "another shape", stateName, "'shape' is [30,20], and [20,30]",
      state("shape", .array([.integer(30), .integer(20)]))
    ),
    Damage("no shape", stateName, "'shape' is null", state("shape", .null)),
    Damage("no nested offset", stateName, "'nested_offset' is missing", state("nested_offset", nil)),
    Damage("a nested offset in words", stateName, "no float32", state("nested_offset", .string("1"))),
    Damage("a nested offset too large", stateName, "no float32", state("nested_offset", .number(1e300))),
    Damage("another nested block size", stateName, "'nested_blocksize'", state("nested_blocksize", .integer(64))),
    Damage("another nested dtype", stateName, "'nested_dtype'", state("nested_dtype", .string("float16"))),
  ]

  @Test(arguments: damages)
  func `A damaged file is refused`(damage: Damage) throws {
    try withTemporaryFolder { folder in
      let path = folder + "/model.safetensors"
      var tensors = try QuantizedMatrix(noise(3, 600), 20, 30).tensors(name: "w")
      try writeSafetensors(tensors, to: path)
      _ = try QuantizedMatrix(reading: "w", outputs: 20, inputs: 30, from: WeightFiles(folder: folder))
      damage.apply(&tensors)
      try writeSafetensors(tensors, to: path)
      let error = failure {
        _ = try QuantizedMatrix(reading: "w", outputs: 20, inputs: 30, from: WeightFiles(folder: folder))
      }
      #expect(error?.kind == .badData)
      #expect(error?.file?.hasPrefix(folder) == true)
      #expect(error?.message.contains(damage.words) == true, "\(error?.message ?? "no error")")
      #expect(error?.message.contains("'w") == true)
    }
  }

  @Test(arguments: FourBitCode.allCases, [false, true])
  func `What is written reads back`(kind: FourBitCode, double: Bool) throws {
    try withTemporaryFolder { folder in
      let path = folder + "/q.safetensors"
      for (rows, columns) in [(1, 1), (5, 13), (20, 30), (3, 640)] {
        let matrix = try QuantizedMatrix(weights(4, rows, columns), rows, columns, kind: kind, double: double)
        try writeSafetensors(matrix.tensors(name: "a.weight"), to: path)
        let file = try SafetensorsFile(path)
        let back = try QuantizedMatrix(reading: "a.weight", outputs: rows, inputs: columns, from: file)
        #expect(back.settings == matrix.settings)
        #expect(back.packedBytes == matrix.packedBytes)
        #expect(back.allAbsmax == matrix.allAbsmax)
        #expect(back.bytes == matrix.bytes)
        #expect(!QuantizedMatrix.isStored("b.weight", in: file))
        let error = failure {
          _ = try QuantizedMatrix(reading: "a.weight", outputs: rows + 1, inputs: columns, from: file)
        }
        #expect(error?.kind == .badData)
      }
    }
  }
}
