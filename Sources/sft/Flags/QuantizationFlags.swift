import ArgumentParser
import Core
import Kernels
import Pipeline
import Quantizing

extension FourBitCode: ExpressibleByArgument {}

/// How the base is quantised.
struct QuantizationFlags: ParsableArguments {
  @Flag(
    name: .customLong("qlora"), inversion: .prefixedNo,
    help: "Quantise the base's linears to 4 bits; they stay frozen (default: as the run has it).")
  var quantized: Bool?

  @Option(name: .long, help: .takes("CODE", "The 4-bit code (default: nf4)."))
  var quant: FourBitCode?

  @Flag(name: .long, help: "Keep the blocks' statistics in float32.")
  var noDoubleQuant = false

  @Option(name: .long, help: .takes("NAMES", "Linears to leave in full precision: c_proj,h.0.attn.c_attn,…"))
  var quantSkip: String?

  func validate() throws {
    if quantized != true, quant != nil || noDoubleQuant || quantSkip != nil {
      throw ValidationError(
        "\(OptionName.quant), --no-double-quant and \(OptionName.quantSkip) go with \(OptionName.qlora).")
    }
  }

  /// nil without `--qlora`.
  var options: QuantizationOptions? { quantized == true ? described ?? QuantizationOptions() : nil }

  /// nil where nothing is said of how.
  var described: QuantizationOptions? {
    if quant == nil, !noDoubleQuant, quantSkip == nil { return nil }
    return QuantizationOptions(
      settings: QuantizationSettings(kind: quant ?? .nf4, doubleQuantization: !noDoubleQuant),
      skip: quantSkip.map { $0.split(separator: ",").map(String.init) } ?? [])
  }
}
