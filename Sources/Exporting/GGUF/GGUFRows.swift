import Core
import GGUF
import Weights

/// A matrix's rows on their way into a GGUF file.
enum GGUFRows {
  /// Hands all values of `tensor`, changed, to `sink` in whole rows; checks that `type` can hold each.
  ///
  /// Throws `badData`, naming the tensor, for a value that is not finite or too large for `type`.
  static func write(
    _ tensor: FloatTensor, _ change: GGUFChange, as type: GGUFType, name: String, to sink: GGUFTensorOutput.FloatSink
  ) throws {
    try tensor.withValues { values in
      let checked: GGUFTensorOutput.FloatSink = { rows in
        try check(rows, type, name)
        try sink(rows)
      }
      switch change {
      case .none: try eachPart(values, width: tensor.shape.last ?? 1, checked)
      case .addOne: try values.map { $0 + 1 }.withUnsafeBufferPointer(checked)
      case .transpose: try transposed(values, tensor.shape, checked)
      case .interleave(let heads): try interleaved(values, tensor.shape, heads: heads, checked)
      }
    }
  }

  /// Some rows at a time, so that a large matrix is not encoded in one piece.
  private static func eachPart(
    _ values: UnsafeBufferPointer<Float>, width: Int, _ sink: GGUFTensorOutput.FloatSink
  ) throws {
    let step = max(1, (1 << 20) / max(1, width)) * max(1, width)
    for start in stride(from: 0, to: values.count, by: step) {
      try sink(UnsafeBufferPointer(rebasing: values[start..<min(start + step, values.count)]))
    }
  }

  private static func transposed(
    _ values: UnsafeBufferPointer<Float>, _ shape: [Int], _ sink: GGUFTensorOutput.FloatSink
  ) throws {
    guard shape.count == 2 else { return try sink(values) }
    let (inputs, outputs) = (shape[0], shape[1])
    let block = max(1, min(outputs, (1 << 20) / max(1, inputs)))
    var rows = [Float](repeating: 0, count: block * inputs)
    for first in stride(from: 0, to: outputs, by: block) {
      let count = min(block, outputs - first)
      for input in 0..<inputs {
        for row in 0..<count { rows[row * inputs + input] = values[input * outputs + first + row] }
      }
      try rows.withUnsafeBufferPointer { try sink(UnsafeBufferPointer(rebasing: $0[..<(count * inputs)])) }
    }
  }

  /// A vector's elements are rows of one.
  private static func interleaved(
    _ values: UnsafeBufferPointer<Float>, _ shape: [Int], heads: Int, _ sink: GGUFTensorOutput.FloatSink
  ) throws {
    let rows = shape.first ?? 1
    let width = values.count / max(1, rows)
    var changed: [Float] = []
    changed.reserveCapacity(values.count)
    for row in 0..<rows {
      let source = GGUFChange.interleavedSource(row, rows: rows, heads: heads)
      changed += values[source * width..<(source + 1) * width]
    }
    try changed.withUnsafeBufferPointer(sink)
  }

  /// The largest magnitude that is stored as a finite number.
  private static func limit(_ type: GGUFType) -> Float {
    let half: Float = 65_504
    switch type {
    case .f16: return half
    case .q8_0: return half * 127
    case .q4_0: return half * 8
    default: return .greatestFiniteMagnitude
    }
  }

  private static func check(_ values: UnsafeBufferPointer<Float>, _ type: GGUFType, _ name: String) throws {
    let limit = limit(type)
    for value in values where !(value.magnitude <= limit) {
      throw SFTError(
        .badData,
        value.isFinite
          ? "tensor \(quoted(name)) holds \(significant(Double(value), 4)), which \(type.name) cannot hold"
          : "tensor \(quoted(name)) holds a value that is not finite",
        advice: value.isFinite ? "Give \(OptionName.dtype) bf16 or f32" : nil)
    }
  }
}
