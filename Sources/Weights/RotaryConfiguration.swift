import Core
import Glibc

/// Rotary position embedding (RoPE, Su et al. 2021) in the half-split form: dimensions i and i + width/2 of a head are a pair.
///
/// Only `width` of the head's dimensions rotate; the others pass through. What is scaled is a fact of the model and, with
/// LongRoPE, of a sequence's own length; never of what is computed beside it. (transformers takes the longest of a batch.)
public struct RotaryConfiguration: Sendable, Equatable {
  /// How frequencies are stretched for contexts longer than those of pretraining.
  public enum Scaling: Sendable, Equatable {
    case none
    /// All frequencies divided (Chen et al. 2023).
    case linear(factor: Double)
    /// Low frequencies divided, high ones kept, those between blended (Llama 3.1).
    case llama3(factor: Double, low: Double, high: Double, original: Int)
    /// YaRN (Peng et al. 2023): a ramp between the dimensions that turn `fast` and `slow` times over `original` positions.
    case yarn(factor: Double, fast: Double, slow: Double, original: Int, truncates: Bool)
    /// Each frequency divided by a factor of its own (LongRoPE, Ding et al. 2024): one for sequences of `original` tokens at
    /// most, another for all of a longer sequence.
    case each(short: [Double], long: [Double], original: Int)
  }

  /// Rotated dimensions of a head, an even number.
  public var width: Int
  public var theta: Double
  public var scaling: Scaling
  /// Sines and cosines are multiplied by this.
  public var amplitude: Double

  public init(width: Int, theta: Double, scaling: Scaling = .none, amplitude: Double = 1) {
    self.width = width
    self.theta = theta
    self.scaling = scaling
    self.amplitude = amplitude
  }

  /// The longest sequence, in tokens, that the `longFrequencies` are not for.
  public var shortLength: Int? {
    if case .each(_, _, let original) = scaling { original } else { nil }
  }

  /// Radians a position, one for each pair, [width / 2], in sequences longer than `shortLength`; nil where length has no part
  /// in it.
  public var longFrequencies: [Float]? {
    if case .each(_, let factors, _) = scaling { divided(by: factors) } else { nil }
  }

  private func divided(by factors: [Double]) -> [Float] {
    factors.enumerated().map { index, factor in
      1 / (Float(factor) * powf(Float(theta), Float(2 * index) / Float(width)))
    }
  }

  /// Radians a position, one for each pair: [width / 2]. In float32 where transformers computes them so.
  public var frequencies: [Float] {
    let base = (0..<width / 2).map { 1 / powf(Float(theta), Float(2 * $0) / Float(width)) }
    switch scaling {
    case .none: return base
    case .linear(let factor): return base.map { $0 / Float(factor) }
    case .llama3(let factor, let low, let high, let original):
      return base.map { Self.llama3($0, factor, low, high, Double(original)) }
    case .yarn(let factor, let fast, let slow, let original, let truncates):
      let ramp = yarnRamp(fast, slow, Double(original), truncates)
      return zip(base, ramp).map { $0 / Float(factor) * $1 + $0 * (1 - $1) }
    case .each(let factors, _, _): return divided(by: factors)
    }
  }

  private static func llama3(_ f: Float, _ factor: Double, _ low: Double, _ high: Double, _ old: Double) -> Float {
    let wavelength = 2 * Double.pi / Double(f)
    if wavelength < old / high { return f }
    if wavelength > old / low { return f / Float(factor) }
    let smooth = Float((old / wavelength - low) / (high - low))
    return (1 - smooth) * f / Float(factor) + smooth * f
  }

  /// 0 where a frequency is kept, 1 where it is divided.
  private func yarnRamp(_ fast: Double, _ slow: Double, _ original: Double, _ truncates: Bool) -> [Float] {
    func dimension(turns: Double) -> Double {
      Double(width) * log(original / (turns * 2 * .pi)) / (2 * log(theta))
    }
    var (first, last) = (dimension(turns: fast), dimension(turns: slow))
    if truncates { (first, last) = (first.rounded(.down), last.rounded(.up)) }
    (first, last) = (max(first, 0), min(last, Double(width - 1)))
    if first == last { last += 0.001 }
    return (0..<width / 2).map { Float(min(max((Double($0) - first) / (last - first), 0), 1)) }
  }
}
