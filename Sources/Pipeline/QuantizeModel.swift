import Core
import Evaluating
import Exporting
import Files
import Kernels
import Masking
import Models
import Quantizing
import Tokenizing
import Weights

/// How far 4 bits are from the weights, and from the losses.
public struct QuantizationReport: Sendable, Codable, Equatable {
  public struct Layer: Sendable, Codable, Equatable {
    public var name: String
    /// ‖W − decoded‖ / ‖W‖, over all elements.
    public var relative_error: Double
    public var weights: Int
    public var bytes: Int
  }

  public var model: String
  public var path: String?
  public var layers: [Layer]
  /// Codes and statistics of all quantised linears.
  public var bytes: Int
  public var bits_per_weight: Double
  /// Token-mean loss over the data given, before and after.
  public var loss: Double?
  public var quantized_loss: Double?
}

/// Quantises a model's linears, writes the folder where `target` is given, and measures.
///
/// Throws `usage` for a model that is stored in 4 bits already.
public func quantizeModel(
  _ name: String, _ options: QuantizationOptions, to target: String?, replacing: Bool, data: String?,
  template: String?, threads: Int, in workspace: Workspace, notice: (String) -> Void
) throws -> QuantizationReport {
  let compute = Compute(threads: threads)
  let folder = try ModelFolder.resolve(name)
  let checkpoint = try ModelCheckpoint(folder: folder)
  guard checkpoint.quantizedNames.isEmpty else {
    throw SFTError(.usage, "the model is stored in 4 bits already", file: folder)
  }
  if let target { try checkTarget(target, replacing: replacing, base: folder) }
  let names = try options.select(from: checkpoint.configuration.linears)
  let matrices = Dictionary(
    uniqueKeysWithValues: zip(names, try QuantizedStage.quantize(names, checkpoint, options.settings, compute)))
  if let target {
    try exportQuantized(
      checkpoint, matrices, settings: options.settings,
      skipped: checkpoint.configuration.linears.filter { matrices[$0.weightName] == nil }.map(\.name),
      tokenizerFiles: Tokenizer.files(in: folder).map { folder + "/" + $0 }, to: target)
  }
  let layers = try checkpoint.configuration.linears.compactMap { linear in
    try matrices[linear.weightName].map { try compare($0, linear, checkpoint, compute) }
  }
  var report = QuantizationReport(
    model: folder, path: target, layers: layers, bytes: layers.reduce(0) { $0 + $1.bytes },
    bits_per_weight: 8 * Double(layers.reduce(0) { $0 + $1.bytes }) / Double(layers.reduce(0) { $0 + $1.weights }))
  guard let data else { return report }
  func loss(quantized: Bool) throws -> Double {
    var inference = InferenceOptions()
    inference.model = name
    inference.baseOnly = true
    inference.template = template
    inference.threads = threads
    inference.quantized = quantized
    inference.quantization = options
    let session = try InferenceSession(inference, workspace: workspace, notice: notice)
    return try session.evaluate(records: data, overlong: .truncate, maxLength: nil) { _, _ in }.result.loss
  }
  report.loss = try loss(quantized: false)
  report.quantized_loss = try loss(quantized: true)
  return report
}

private func compare(
  _ matrix: QuantizedMatrix, _ linear: LinearDescription, _ checkpoint: ModelCheckpoint, _ compute: Compute
) throws -> QuantizationReport.Layer {
  let inputMajor = checkpoint.configuration.storesInputMajor
  let (inputs, outputs) = (linear.inputWidth, linear.outputWidth)
  let weight = try checkpoint.tensor(linear.weightName, shape: inputMajor ? [inputs, outputs] : [outputs, inputs])
  let decoded = matrix.decoded(compute)
  var (error, total) = (0.0, 0.0)
  weight.withValues { original in
    decoded.withValues { values in
      for output in 0..<outputs {
        for input in 0..<inputs {
          let w = Double(original[inputMajor ? input * outputs + output : output * inputs + input])
          let difference = w - Double(values[output * inputs + input])
          error += difference * difference
          total += w * w
        }
      }
    }
  }
  return QuantizationReport.Layer(
    name: linear.name, relative_error: total > 0 ? (error / total).squareRoot() : 0, weights: matrix.count,
    bytes: matrix.bytes)
}
