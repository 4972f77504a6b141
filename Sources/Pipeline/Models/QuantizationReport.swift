import Core
import Evaluating
import Kernels
import Models
import Quantizing
import Weights

/// How far 4 bits are from the weights, from the outputs and from the losses.
public struct QuantizationReport: Sendable, Codable, Equatable {
  public struct Layer: Sendable, Codable, Equatable {
    public var name: String
    /// ‖Q − W‖_F / ‖W‖_F, with W the weight and Q what its 4 bits decode to; not a number where it was not measured.
    public var relativeError: Double
    /// ‖x·Q − x·W‖_F / ‖x·W‖_F, with x what the full-precision model gives the linear over the data; without the bias.
    /// nil where that was not measured.
    public var outputError: Double?
    public var weights: Int
    public var bytes: Int
  }

  public var model: String
  public var path: String?
  /// The quantised linears, in the order of the computation.
  public var layers: [Layer]
  /// Linears left in full precision.
  public var kept: [String]
  /// Codes and statistics of all quantised linears.
  public var bytes: Int
  public var bitsPerWeight: Double
  /// What the output errors were measured over.
  public var outputData: ObservedData?
  /// Token-mean loss over the data given, before and after.
  public var loss: Double?
  public var quantizedLoss: Double?

  /// `layers`, those whose outputs (else whose weights) are furthest off first.
  public var worstFirst: [Layer] {
    layers.sorted {
      ($0.outputError ?? .infinity, $0.relativeError) > ($1.outputError ?? .infinity, $1.relativeError)
    }
  }
}

extension QuantizationReport.Layer {
  /// Without an output error; without a checkpoint to compare with, without any.
  init(
    _ matrix: QuantizedMatrix, _ linear: LinearDescription, _ checkpoint: ModelCheckpoint?, _ compute: Compute
  ) throws {
    self.init(
      name: linear.name, relativeError: try checkpoint.map { try Self.error(matrix, linear, $0, compute) } ?? .nan,
      weights: matrix.count, bytes: matrix.bytes)
  }

  /// Values of Q that a thread decodes at a time.
  private static let decodedAtOnce = 1 << 18

  private static func error(
    _ matrix: QuantizedMatrix, _ linear: LinearDescription, _ checkpoint: ModelCheckpoint, _ compute: Compute
  ) throws -> Double {
    let inputMajor = linear.orientation == .inputsByOutputs
    let (inputs, outputs) = (linear.inputWidth, linear.outputWidth)
    let weight = try checkpoint.tensor(linear.weightName, shape: inputMajor ? [inputs, outputs] : [outputs, inputs])
    defer { weight.releasePages() }
    let rows = max(1, decodedAtOnce / max(1, inputs))
    let parts = stride(from: 0, to: outputs, by: rows).map { $0..<min($0 + rows, outputs) }
    var alone = compute
    alone.threads = 1
    let single = alone
    let sums = try parallelMap(parts, threads: compute.threads) { part in
      let values = FloatBuffer(part.count * inputs)
      matrix.decode(rows: part, into: values.pointer, single)
      var (error, total) = (0.0, 0.0)
      weight.withValues { original in
        for output in part {
          for input in 0..<inputs {
            let w = Double(original[inputMajor ? input * outputs + output : output * inputs + input])
            let difference = w - Double(values.pointer[(output - part.lowerBound) * inputs + input])
            error += difference * difference
            total += w * w
          }
        }
      }
      return (error, total)
    }
    let (error, total) = sums.reduce((0.0, 0.0)) { ($0.0 + $1.0, $0.1 + $1.1) }
    return total > 0 ? (error / total).squareRoot() : 0
  }
}
