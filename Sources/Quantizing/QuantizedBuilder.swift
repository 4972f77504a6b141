import Core
import Kernels
import Synchronization
import Weights

/// A linear's weights on their way to 4 bits, bit for bit as bitsandbytes' `quantize_4bit` quantises on CPUs: in blocks of 64,
/// and with double quantisation the statistics in blocks of 256. Threads may encode different parts at the same time; the
/// weights themselves are not kept.
public final class QuantizedBuilder: Sendable {
  private let name: String
  private let file: String?
  private let settings: QuantizationSettings
  private let outputs: Int
  private let inputs: Int
  /// Filled by `encode`.
  private let packed: Bytes
  private let absmax: FloatTensor
  private let isFinite = Atomic<Bool>(true)

  /// For R × C weights, of which there must be some. `name` and `file` are for messages.
  public init(
    outputs: Int, inputs: Int, name: String, file: String? = nil, settings: QuantizationSettings
  ) throws {
    guard outputs > 0, inputs > 0 else {
      throw SFTError(
        .badData, "tensor '\(name)': a matrix with elements can be quantised, found shape \([outputs, inputs])",
        file: file)
    }
    (self.outputs, self.inputs, self.name, self.file, self.settings) = (outputs, inputs, name, file, settings)
    let count = outputs * inputs
    packed = Bytes(count: (count + 1) / 2) { _ in }
    absmax = FloatTensor(shape: [(count + QuantizedMatrix.blockSize - 1) / QuantizedMatrix.blockSize]) { _ in }
  }

  private var codes: UnsafeMutablePointer<UInt8> { UnsafeMutablePointer(mutating: packed.pointer) }
  private var statistics: MutableFloats { MutableFloats(mutating: absmax.pointer) }

  /// Some values of the flattened [R, C], from number `first` on, which begins a block; all but the last end one. On the
  /// caller's thread.
  public func encode(_ values: UnsafeBufferPointer<Float>, at first: Int, _ compute: Compute) {
    precondition(first % QuantizedMatrix.blockSize == 0 && first + values.count <= outputs * inputs)
    guard let base = values.baseAddress else { return }
    var alone = compute
    alone.threads = 1
    note(
      FourBit.encode(
        base, layout: .outputsByInputs, outputs: 1, inputs: values.count, as: settings.kind, packed: codes + first / 2,
        absmax: statistics + first / QuantizedMatrix.blockSize, alone))
  }

  /// All values: [R, C], or [C, R] as GPT-2's `Conv1D` is stored, which is transposed a little at a time.
  public func encode(_ weights: FloatTensor, layout: FourBit.Layout, _ compute: Compute) {
    precondition(weights.count == outputs * inputs)
    withExtendedLifetime(weights) {
      note(
        FourBit.encode(
          weights.pointer, layout: layout, outputs: outputs, inputs: inputs, as: settings.kind, packed: codes,
          absmax: statistics, compute))
    }
  }

  private func note(_ finite: Bool) { if !finite { isFinite.store(false, ordering: .relaxed) } }

  /// The result, once all is encoded. Throws `badData`, naming the tensor, where a value was infinite or not a number.
  public func finish(_ compute: Compute) throws -> QuantizedMatrix {
    guard isFinite.load(ordering: .relaxed) else {
      throw SFTError(.badData, "tensor '\(name)' holds an infinity or NaN, which cannot be quantised", file: file)
    }
    let statistics =
      settings.doubleQuantization
      ? QuantizedMatrix.Statistics.nested(QuantizedMatrix.NestedStatistics(quantizing: absmax, compute))
      : .plain(absmax)
    return QuantizedMatrix(settings: settings, outputs: outputs, inputs: inputs, packed: packed, statistics: statistics)
  }
}
