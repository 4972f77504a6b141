import Core
import Kernels
import Quantizing
import Weights

/// How a model's file keeps a matrix.
public enum TrialStorage: Sendable {
  case float, half
  case fourBit(QuantizationSettings)
}

extension Decoder {
  /// A model of this configuration with made-up weights in memory, each kept as it would be of a file that has it in `storage`:
  /// for timing the computation without reading a weight. Where `isTrained`, all of them are float32 to be trained.
  public static func trial(
    _ configuration: ModelConfiguration, panels: Compute?, _ compute: Compute,
    storage: (_ tensor: String) -> TrialStorage
  ) throws -> Decoder {
    var quantized: [String: QuantizedMatrix] = [:]
    var halves: [String: HalfTensor] = [:]
    var floats: [String: FloatTensor] = [:]
    for tensor in configuration.expectedTensors {
      let count = tensor.shape.reduce(1, *)
      switch storage(tensor.name) {
      case .fourBit(let settings) where tensor.shape.count == 2:
        let (rows, columns) = (tensor.shape[0], tensor.shape[1])
        let isTurned = tensor.orientation == .inputsByOutputs
        let builder = try QuantizedBuilder(
          outputs: isTurned ? columns : rows, inputs: isTurned ? rows : columns, name: tensor.name, settings: settings)
        builder.encode(FloatTensor.pattern(tensor.shape, compute), layout: .outputsByInputs, compute)
        quantized[tensor.name] = try builder.finish(compute)
      case .half where tensor.shape.count == 2:
        // Of a bfloat16 the upper half is what counts.
        let values = FloatBuffer.halfPattern(count, compute)
        halves[tensor.name] = HalfTensor(
          dtype: .bf16, shape: tensor.orientation == .inputsByOutputs ? tensor.shape.reversed() : tensor.shape,
          pointer: UnsafeRawPointer(values.pointer).assumingMemoryBound(to: UInt16.self), keptBy: values)
      default: floats[tensor.name] = FloatTensor.pattern(tensor.shape, compute)
      }
    }
    return try Decoder(
      WeightSource(
        configuration, quantized: quantized, panels: panels, halves: { halves[$0.name] }
      ) { name, shape in floats[name] ?? FloatTensor.pattern(shape, compute) })
  }
}

extension TrainableWeights {
  /// Made-up values, as a trial decoder has them.
  public func fillForTrial(_ compute: Compute) {
    for tensor in tensors {
      guard let start = values(tensor).baseAddress else { continue }
      fillPattern(start, count: tensor.count, isOnes: tensor.shape.count == 1, compute)
    }
  }
}

extension FloatTensor {
  /// Small values that are not all alike; ones where it has one dimension.
  fileprivate static func pattern(_ shape: [Int], _ compute: Compute) -> FloatTensor {
    let buffer = FloatBuffer(shape.reduce(1, *))
    fillPattern(buffer.pointer, count: buffer.capacity, isOnes: shape.count == 1, compute)
    return FloatTensor(viewing: buffer.pointer, shape: shape, keptBy: buffer)
  }
}

extension FloatBuffer {
  /// bfloat16.
  fileprivate static func halfPattern(_ count: Int, _ compute: Compute) -> FloatBuffer {
    let buffer = FloatBuffer((count + 1) / 2)
    nonisolated(unsafe) let values = UnsafeMutableRawPointer(buffer.pointer).assumingMemoryBound(to: UInt16.self)
    overPieces(count, compute) { for i in $0 { values[i] = UInt16(patternValue(i).bitPattern >> 16) } }
    return buffer
  }
}

/// Small values, or ones.
private func fillPattern(_ start: MutableFloats, count: Int, isOnes: Bool, _ compute: Compute) {
  nonisolated(unsafe) let start = start
  overPieces(count, compute) { for i in $0 { start[i] = isOnes ? 1 : patternValue(i) } }
}

/// From −0.03 to 0.03.
private func patternValue(_ index: Int) -> Float { Float(index % 61 - 30) * 0.001 }

private func overPieces(_ count: Int, _ compute: Compute, _ body: @Sendable (Range<Int>) -> Void) {
  let piece = 1 << 18
  parallelFor((count + piece - 1) / piece, threads: compute.threads) { part in
    body(part * piece..<min(count, (part + 1) * piece))
  }
}
