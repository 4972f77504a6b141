import Core
import Files
import Kernels
import TestSupport
import Weights

import Quantizing

/// Tensors made with the real bitsandbytes: see `Fixtures/make_quantized.py`.
let quantizedFixture = parentPath(#filePath) + "/Fixtures/quantized.safetensors"
let adamFixture = parentPath(#filePath) + "/Fixtures/adamw8bit.safetensors"

/// The script's `noise`: sums of three uniforms, less their mean.
func noise(_ seed: UInt64, _ count: Int) -> [Float] {
  var generator = SeededGenerator(seed: seed)
  return (0..<count).map { _ in
    Float(generator.uniform() + generator.uniform() + generator.uniform() - 1.5)
  }
}

/// The script's `weights`: rows of different scales; the second all zero, the third denormal.
func weights(_ seed: UInt64, _ rows: Int, _ columns: Int) -> [Float] {
  var values = noise(seed, rows * columns)
  let scales: [Float] = [1, 0.5, 0.25, 0.125, 0.0625]
  for index in values.indices {
    let row = index / columns
    values[index] *= scales[row % 5]
    if rows > 3, row == 1 { values[index] = 0 }
    if rows > 3, row == 2 { values[index] *= 0x1p-130 }
  }
  return values
}

func tensor(_ values: [Float], _ shape: [Int]) -> FloatTensor {
  FloatTensor(shape: shape) { _ = $0.initialize(from: values) }
}

/// [rows, columns] → [columns, rows].
func transposed(_ values: [Float], _ rows: Int, _ columns: Int) -> [Float] {
  (0..<rows * columns).map { values[$0 % rows * columns + $0 / rows] }
}

func mismatches<Element: Equatable>(_ a: some Sequence<Element>, _ b: some Sequence<Element>) -> Int {
  zip(a, b).reduce(0) { $0 + ($1.0 == $1.1 ? 0 : 1) }
}

extension QuantizedMatrix {
  var packedBytes: [UInt8] { Array(packed.buffer) }

  /// All blocks'.
  var allAbsmax: [Float] { (0..<blocks).map { absmax($0) } }

  convenience init(
    _ values: [Float], _ outputs: Int, _ inputs: Int, kind: FourBitCode = .nf4, double: Bool = true,
    _ compute: Compute = Compute()
  ) throws {
    try self.init(
      tensor(values, [outputs, inputs]), layout: .outputsByInputs, name: "x",
      settings: QuantizationSettings(kind: kind, doubleQuantization: double), compute)
  }
}

/// The error of ours that `body` throws; nil where it throws none.
func failure(_ body: () throws -> Void) -> SFTError? {
  do {
    try body()
    return nil
  } catch {
    return error as? SFTError
  }
}
