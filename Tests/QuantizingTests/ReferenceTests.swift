import Core
import Kernels
import TestSupport
import Testing
import Weights

import Quantizing

/// Bit for bit what bitsandbytes computes.
struct ReferenceTests {
  static let engines: [Compute] = [
    Compute(engine: .plain, threads: 1), Compute(engine: .auto, threads: 1), Compute(engine: .auto, threads: 2),
  ]
  static let cases: [(kind: FourBitCode, double: Bool, rows: Int, columns: Int)] = [
    (.nf4, true, 24, 64), (.nf4, false, 5, 13), (.nf4, true, 1, 33), (.nf4, true, 40, 500), (.nf4, false, 9, 60),
    (.fp4, true, 7, 60), (.fp4, false, 3, 128), (.fp4, true, 5, 13), (.fp4, true, 24, 64),
  ]

  @Test(arguments: 0..<9, [false, true])
  func `Codes, statistics and decoded values are bitsandbytes'`(index: Int, isTransposed: Bool) throws {
    let (kind, double, rows, columns) = Self.cases[index]
    let file = try SafetensorsFile(quantizedFixture)
    let name = "\(kind.rawValue).\(double ? "double" : "single").\(rows).\(columns)"
    let values = weights(UInt64(index), rows, columns)
    let expected = try QuantizedMatrix(reading: name + ".weight", outputs: rows, inputs: columns, from: file)
    let decoded = try file.floats(name + ".decoded", shape: [rows, columns]).array
    for compute in Self.engines {
      let matrix = try QuantizedMatrix(
        isTransposed ? tensor(transposed(values, rows, columns), [columns, rows]) : tensor(values, [rows, columns]),
        layout: isTransposed ? .inputsByOutputs : .outputsByInputs, name: name,
        settings: QuantizationSettings(kind: kind, doubleQuantization: double), compute)
      #expect(matrix.packedBytes == expected.packedBytes)
      #expect(matrix.allAbsmax == expected.allAbsmax)
      #expect(matrix.decoded(compute).array == decoded)
      #expect(expected.decoded(compute).array == decoded)
      guard case .nested(let ours) = matrix.statistics, case .nested(let theirs) = expected.statistics else {
        #expect(!double)
        continue
      }
      #expect(Array(ours.codes.buffer) == Array(theirs.codes.buffer))
      #expect(ours.absmax.array == theirs.absmax.array)
      #expect(ours.table.array == theirs.table.array)
      #expect(ours.offset == theirs.offset)
    }
  }

  @Test(arguments: ReferenceCase.all)
  func `Every linear of a model is quantised as by bitsandbytes`(name: String) throws {
    let reference = try ReferenceCase(name)
    let file = try SafetensorsFile(reference.folder + "/nf4/nf4.safetensors")
    let checkpoint = try ModelCheckpoint(folder: reference.model)
    let stored = file.names.filter { $0.hasSuffix(".packed") }.map { String($0.dropLast(7)) }
    #expect(stored.sorted() == checkpoint.configuration.linears.map(\.weightName).sorted())
    let matrices = try checkpoint.quantizedLinears()
    for linear in stored {
      let matrix = try #require(matrices[linear])
      #expect(try matrix.packedBytes == Array(file.bytes(of: linear + ".packed")))
      guard case .nested(let nested) = matrix.statistics else {
        Issue.record("not doubly quantised")
        continue
      }
      #expect(try Array(nested.codes.buffer) == Array(file.bytes(of: linear + ".absmax")))
      #expect(try [nested.offset] == file.floats(linear + ".nested_offset", shape: [1]).array)
      let nestedAbsmax = try file.floats(linear + ".nested_absmax", shape: [nested.absmax.count])
      #expect(nested.absmax.array == nestedAbsmax.array)
      #expect(try nested.table.array == file.floats(linear + ".nested_code", shape: [256]).array)
    }
    #expect(try FourBitCode.nf4.values == file.floats("nf4_code", shape: [16]).array)
  }

  @Test func `The file is the one that bitsandbytes writes`() throws {
    let file = try SafetensorsFile(quantizedFixture)
    for (kind, double, rows, columns) in Self.cases {
      let name = "\(kind.rawValue).\(double ? "double" : "single").\(rows).\(columns).weight"
      let matrix = try QuantizedMatrix(reading: name, outputs: rows, inputs: columns, from: file)
      #expect(matrix.isView)
      #expect(QuantizedMatrix.isStored(name, in: file))
      let tensors = matrix.tensors(name: name)
      #expect(tensors.map(\.name).sorted() == file.names.filter { $0.hasPrefix(name) })
      for tensor in tensors {
        var bytes: [UInt8] = []
        try tensor.write { bytes += $0 }
        #expect(try bytes == Array(file.bytes(of: tensor.name)), "\(tensor.name)")
        #expect(file.tensors[tensor.name]?.shape == tensor.shape, "\(tensor.name)")
        #expect(file.tensors[tensor.name]?.dtype == tensor.dtype, "\(tensor.name)")
      }
    }
  }

  @Test func `The sum is torch's`() {
    // torch.tensor([((i * 7919) % 1013) / 1013 for i in range(n)]).sum() with one thread.
    for (count, expected) in Self.torchSums {
      let values = (0..<count).map { Float(Double($0 * 7919 % 1013) / 1013) }
      #expect(values.withUnsafeBufferPointer { torchSum($0) } == expected, "\(count)")
    }
  }

  static let torchSums: [(Int, Float)] = [
    (1, 0.0), (7, 3.1648569107055664), (8, 3.8864758014678955), (33, 16.573543548583984), (64, 32.82625961303711),
    (100, 50.001976013183594), (1000, 500.38104248046875), (4099, 2048.58154296875), (36864, 18414.83203125),
    (100003, 49953.12890625),
  ]
}
