import Core
import Glibc

/// Reads how a model rotates, in the spelling of transformers 4 (`rope_theta`, `rope_scaling`) and of 5 (`rope_parameters`).
struct RotaryReader {
  let reader: ConfigurationReader
  let architecture: Architecture
  let headWidth: Int

  private static let layerTypes = ["full_attention", "sliding_attention"]

  /// A scaling that is given replaces the parameters; a theta inside the parameters stands before one at the top.
  func read(defaultTheta: Double) throws -> RotaryConfiguration {
    let parameters = try reader.nested("rope_scaling") ?? reader.nested("rope_parameters")
    if let parameters, Self.layerTypes.contains(where: { parameters.object[$0] != nil }) {
      throw reader.failure("rope_parameters", "differ by layer, which this family does not support")
    }
    return try rotary(parameters, defaultTheta: defaultTheta)
  }

  /// Parameters that differ by kind of layer: those of full layers, then of sliding ones; nil where they do not.
  func byLayerType(full: Double, sliding: Double) throws -> [RotaryConfiguration]? {
    guard let parameters = try reader.nested("rope_parameters"), reader.value("rope_scaling") == nil,
      Self.layerTypes.contains(where: { parameters.object[$0] != nil })
    else { return nil }
    return try zip(Self.layerTypes, [full, sliding]).map { type, theta in
      try rotary(try parameters.nested(type), defaultTheta: theta)
    }
  }

  private func kind(_ parameters: ConfigurationReader) throws -> String {
    let kind = try parameters.string("rope_type") ?? parameters.string("type") ?? "default"
    return architecture == .phi3 && ["su", "yarn"].contains(kind) ? "longrope" : kind
  }

  private func original(_ parameters: ConfigurationReader) throws -> Int {
    let key = "original_max_position_embeddings"
    return try reader.integer(key, in: 1...1 << 30) ?? parameters.integer(key, in: 1...1 << 30)
      ?? reader.size("max_position_embeddings", limit: 1 << 30)
  }

  private func factor(_ parameters: ConfigurationReader) throws -> Double {
    guard let factor = try parameters.number("factor", in: 1...1e6) else {
      throw parameters.failure("rope_scaling", "has no factor")
    }
    return factor
  }

  private func rotary(_ parameters: ConfigurationReader?, defaultTheta: Double) throws -> RotaryConfiguration {
    let theta = try parameters?.number("rope_theta", in: 1...1e12) ?? reader.number("rope_theta", in: 1...1e12)
    let kind = try parameters.map { try self.kind($0) } ?? "default"
    var result = RotaryConfiguration(
      width: try rotatedWidth(parameters, isScaled: kind != "default"), theta: theta ?? defaultTheta)
    guard let parameters else { return result }
    switch kind {
    // Dynamic frequencies change only beyond the model's context, where no sequence is let.
    case "default", "dynamic": break
    case "linear": result.scaling = .linear(factor: try factor(parameters))
    case "llama3":
      let (low, high) = (
        try parameters.number("low_freq_factor", default: 1, in: 1e-6...1e6),
        try parameters.number("high_freq_factor", default: 4, in: 1e-6...1e6)
      )
      guard high > low else { throw parameters.failure("high_freq_factor", "is not above low_freq_factor") }
      result.scaling = .llama3(
        factor: try factor(parameters), low: low, high: high, original: try original(parameters))
    case "yarn": try useYarn(&result, parameters)
    case "longrope": try useLongRope(&result, parameters)
    default:
      throw parameters.failure(
        "rope_type", "is \(quoted(kind)); supported: default, linear, dynamic, llama3, yarn, longrope")
    }
    return result
  }

  /// Only Phi-3 rotates a part of a head without scaling.
  private func rotatedWidth(_ parameters: ConfigurationReader?, isScaled: Bool) throws -> Int {
    let share =
      try parameters?.number("partial_rotary_factor", in: 1e-6...1)
      ?? reader.number("partial_rotary_factor", default: 1, in: 1e-6...1)
    guard isScaled || architecture == .phi3 else { return headWidth }
    let width = Int(Double(headWidth) * share)
    guard width >= 2, width % 2 == 0 else {
      throw reader.failure(
        "partial_rotary_factor", "gives \(width) of \(headWidth) dimensions, expected an even number")
    }
    return width
  }

  private func useYarn(_ result: inout RotaryConfiguration, _ parameters: ConfigurationReader) throws {
    let factor = try factor(parameters)
    guard result.theta > 1 else {
      throw reader.failure("rope_theta", "is 1, with which YaRN cannot tell dimensions apart")
    }
    result.scaling = .yarn(
      factor: factor, fast: try parameters.number("beta_fast", default: 32, in: 1e-6...1e6),
      slow: try parameters.number("beta_slow", default: 1, in: 1e-6...1e6), original: try original(parameters),
      truncates: try parameters.bool("truncate", default: true))
    func gain(_ scale: Double) -> Double { factor <= 1 ? 1 : 0.1 * scale * log(factor) + 1 }
    if let amplitude = try parameters.number("attention_factor", in: 1e-6...1e6) {
      result.amplitude = amplitude
    } else if let scale = try parameters.number("mscale", in: 1e-9...1e6),
      let all = try parameters.number("mscale_all_dim", in: 1e-9...1e6)
    {
      result.amplitude = gain(scale) / gain(all)
    } else {
      result.amplitude = gain(1)
    }
  }

  private func useLongRope(_ result: inout RotaryConfiguration, _ parameters: ConfigurationReader) throws {
    let pairs = result.width / 2
    func factors(_ key: String) throws -> [Double] {
      let factors = try parameters.numbers(key, in: 1e-6...1e6)
      guard factors.count == pairs else {
        throw parameters.failure(
          key, "has \(counted(factors.count, "number")), expected \(pairs): one for each rotated pair")
      }
      return factors
    }
    let length = try original(parameters)
    result.scaling = .each(short: try factors("short_factor"), long: try factors("long_factor"), original: length)
    guard length > 1 else {
      throw reader.failure("original_max_position_embeddings", "is 1, which gives LongRoPE no scale")
    }
    let original = Double(length)
    let context = Double(try reader.size("max_position_embeddings", limit: 1 << 30))
    let factor = try parameters.number("factor", in: 1e-6...1e6) ?? context / original
    result.amplitude =
      try parameters.number("attention_factor", in: 1e-6...1e6)
      ?? (factor <= 1 ? 1 : (1 + log(factor) / log(original)).squareRoot())
  }
}
