import Core
import Kernels
import Weights

extension QuantizedMatrix {
  /// Quantises a linear's weights, bit for bit as bitsandbytes' `quantize_4bit` does on CPUs (in blocks of 64, and with
  /// double quantisation the statistics in blocks of 256).
  ///
  /// `weights` is [R, C], or [C, R] where `layout` says so, as GPT-2's `Conv1D` is stored; it is transposed a little at a
  /// time. Besides the result this needs 4 bytes a block. Throws `badData`, naming `name`, where a value is infinite or
  /// not a number, and where there are no values.
  public convenience init(
    _ weights: FloatTensor, layout: FourBit.Layout, name: String, file: String? = nil, settings: QuantizationSettings,
    _ compute: Compute
  ) throws {
    guard weights.shape.count == 2 else {
      throw SFTError(
        .badData, "tensor '\(name)': a matrix with elements can be quantised, found shape \(weights.shape)", file: file)
    }
    let (outputs, inputs) =
      layout == .outputsByInputs
      ? (weights.shape[0], weights.shape[1]) : (weights.shape[1], weights.shape[0])
    let builder = try QuantizedBuilder(outputs: outputs, inputs: inputs, name: name, file: file, settings: settings)
    builder.encode(weights, layout: layout, compute)
    try self.init(builder.finish(compute))
  }

  private convenience init(_ other: QuantizedMatrix) {
    self.init(
      settings: other.settings, outputs: other.outputs, inputs: other.inputs, packed: other.packed,
      statistics: other.statistics)
  }
}

extension QuantizedMatrix.NestedStatistics {
  /// Quantises `absmax` less its mean to 8 bits. `offset` is for tests, which may give the reference's mean.
  package init(quantizing absmax: FloatTensor, offset given: Float? = nil, _ compute: Compute) {
    let offset = given ?? absmax.withValues { torchSum($0) / Float($0.count) }
    let differences = absmax.array.map { $0 - offset }
    let (blocks, map) = (differences.count, DynamicMap.signed)
    var codes = Bytes(count: 0) { _ in }
    let nestedAbsmax = FloatTensor(
      shape: [(blocks + QuantizedMatrix.nestedBlockSize - 1) / QuantizedMatrix.nestedBlockSize]
    ) { nested in
      codes = Bytes(count: blocks) { bytes in
        differences.withUnsafeBufferPointer { values in
          guard let base = values.baseAddress, let nested = nested.baseAddress else { return }
          map.encode(base, count: blocks, codes: bytes, absmax: nested, compute)
        }
      }
    }
    self.init(codes: codes, absmax: nestedAbsmax, table: Self.dynamicTable, offset: offset)
  }

  private static let dynamicTable = FloatTensor(shape: [256]) { values in
    _ = values.initialize(from: UnsafeBufferPointer(start: DynamicMap.signed.values, count: 256))
  }
}
