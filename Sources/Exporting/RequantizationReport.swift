import Core
import Models
import Quantizing

/// How much of an adapter is left where the model that it was merged into is quantised.
///
/// For each adapted linear, D = scale · B · A is what the merge adds to the weight W, and C = Q(W + D) − Q(W) what is left of
/// it, with Q(·) what the 4 bits decode to: see `DeltaSurvival`.
public struct RequantizationReport: Sendable, Codable, Equatable {
  public struct Layer: Sendable, Codable, Equatable {
    public var name: String
    /// ⟨C, D⟩ / ⟨D, D⟩; nil where D is zero.
    public var survived: Double?
    /// ‖C − D‖_F / ‖D‖_F; nil where D is zero.
    public var relativeError: Double?
    /// ‖D‖_F.
    public var deltaNorm: Double
  }

  public var quantization: QuantizationSettings
  /// ⟨C, D⟩ / ⟨D, D⟩ over all weights of `layers` together; nil where D is zero.
  public var survived: Double?
  /// ‖C − D‖_F / ‖D‖_F over all weights of `layers` together; nil where D is zero.
  public var relativeError: Double?
  /// Adapted linears that are quantised, in the order of the computation.
  public var layers: [Layer]
  /// Adapted linears left in full precision, which keep D whole.
  public var kept: [String]

  /// `layers`, those with the largest error first.
  public var worstFirst: [Layer] {
    layers.sorted { ($0.relativeError ?? -1) > ($1.relativeError ?? -1) }
  }

  /// The overall figures in words.
  public var conclusion: String {
    guard let survived, let error = relativeError else {
      return layers.isEmpty
        ? "No linear that the adapter changes would be quantised, so its change survives whole."
        : "The adapter changes nothing yet (its B is zero), so quantising the merged model loses nothing of it."
    }
    let figures =
      "Quantised again, the merged weights hold \(fixed(100 * survived, 1)) % of the adapter's change on average, with a "
      + "rounding error of \(fixed(error, 2)) times its size"
    if error < 0.1 { return figures + ": next to nothing is lost." }
    if error < 1 { return figures + ": the change outweighs the error." }
    return figures
      + ": the error outweighs the change. What that does to the loss, `sft quantize \(OptionName.data)` says of the "
      + "merged model; the adapter beside the quantised base (\(OptionName.format) peft) is spared it."
  }
}

/// One linear after the other. `names` are the tensors to quantise; the decoder's weights are in full precision.
///
/// Throws `badData`, naming the tensor, where a weight or a merged weight is not finite.
public func measureRequantization(
  of decoder: Decoder, _ adapter: Adapter, quantizing names: Set<String>, _ settings: QuantizationSettings,
  threads: Int
) throws -> RequantizationReport {
  var report = RequantizationReport(quantization: settings, layers: [], kept: [])
  var total = DeltaSurvival()
  for (index, linear) in decoder.linears.enumerated() where adapter.pair(of: index) != nil {
    guard names.contains(linear.weightName) else {
      report.kept.append(linear.name)
      continue
    }
    let survival = try decoder.deltaSurvival(of: index, with: adapter, settings, threads: threads)
    total += survival
    report.layers.append(
      RequantizationReport.Layer(
        name: linear.name, survived: survival.survived, relativeError: survival.relativeError,
        deltaNorm: survival.norm))
  }
  (report.survived, report.relativeError) = (total.survived, total.relativeError)
  return report
}
