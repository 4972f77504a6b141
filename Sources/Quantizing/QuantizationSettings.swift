import Kernels

/// How a model's linears are quantised: what `--quant` and `--no-double-quant` say.
public struct QuantizationSettings: Sendable, Codable, Equatable {
  public var kind: FourBitCode
  /// Whether the statistics are quantised too: 4.127 instead of 4.5 bits a weight.
  public var doubleQuantization: Bool

  public init(kind: FourBitCode = .nf4, doubleQuantization: Bool = true) {
    self.kind = kind
    self.doubleQuantization = doubleQuantization
  }
}
