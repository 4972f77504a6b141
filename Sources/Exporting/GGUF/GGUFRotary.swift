import Core
import GGUF
import Glibc
import Weights

/// How a model rotates, in llama.cpp's keys and tensors.
struct GGUFRotary {
  /// Keys without the architecture's prefix.
  private(set) var entries: [(key: String, value: GGUFValue)] = []
  /// Tensors by name: what frequencies are divided by, [width / 2].
  private(set) var factors: [(name: String, values: [Float])] = []
  /// The longest context in which frequencies are those of short sequences; nil where length has no part in it.
  private(set) var shortContext: Int?

  /// Throws `badData` for a rotation that llama.cpp cannot compute.
  init(_ configuration: ModelConfiguration, _ architecture: GGUFArchitecture) throws {
    guard let rotary = configuration.rotaries.first else { return }
    guard rotary.width == configuration.headWidth || architecture.rotatesParts else {
      throw GGUFArchitecture.refusal(
        "a rotation of \(rotary.width) of \(configuration.headWidth) dimensions in \(architecture.name)")
    }
    set("rope.dimension_count", .uint32(UInt32(clamping: rotary.width)))
    set("rope.freq_base", .float32(Float(rotary.theta)))
    try setScaling(rotary, architecture)
    if configuration.rotaries.count > 1 { try setSliding(configuration.rotaries[1], beside: rotary) }
  }

  private mutating func set(_ key: String, _ value: GGUFValue) { entries.append((key, value)) }
  private mutating func set(_ key: String, _ value: Double) { set(key, .float32(Float(value))) }

  private mutating func setScaling(_ rotary: RotaryConfiguration, _ architecture: GGUFArchitecture) throws {
    switch rotary.scaling {
    case .none: break
    case .linear(let factor):
      set("rope.scaling.type", .string("linear"))
      set("rope.scaling.factor", factor)
    case .llama3:
      guard architecture.readsFrequencyFactors else {
        throw GGUFArchitecture.refusal("Llama 3's scaling of rotations in \(architecture.name)")
      }
      let plain = RotaryConfiguration(width: rotary.width, theta: rotary.theta).frequencies
      factors.append(("rope_freqs.weight", zip(plain, rotary.frequencies).map { $0 / $1 }))
    case .yarn(let factor, let fast, let slow, let original, let truncates):
      try checkYarn(fast, slow, truncates, architecture)
      set("rope.scaling.type", .string("yarn"))
      set("rope.scaling.factor", factor)
      set("rope.scaling.original_context_length", .uint32(UInt32(clamping: original)))
      // What it multiplies by of itself.
      let own = factor > 1 ? 0.1 * log(factor) + 1 : 1
      if abs(rotary.amplitude - own) > 1e-7 * own { set("rope.scaling.attn_factor", rotary.amplitude / own) }
      return
    case .each(let short, let long, let original):
      guard architecture.readsLengthFactors else {
        throw GGUFArchitecture.refusal("LongRoPE in \(architecture.name)")
      }
      if architecture.name != "phi3" { set("rope.scaling.type", .string("longrope")) }
      set("rope.scaling.original_context_length", .uint32(UInt32(clamping: original)))
      set("rope.scaling.attn_factor", rotary.amplitude)
      factors.append(("rope_factors_long.weight", long.map { Float($0) }))
      factors.append(("rope_factors_short.weight", short.map { Float($0) }))
      if short != long { shortContext = try Self.shortContext(original) }
      return
    }
    guard rotary.amplitude == 1 else { throw GGUFArchitecture.refusal("a rotation that changes lengths") }
  }

  /// llama.cpp chooses by its context, which it rounds up to this.
  private static let contextStep = 256

  private static func shortContext(_ original: Int) throws -> Int {
    guard original >= contextStep else {
      throw GGUFArchitecture.refusal("LongRoPE for more than \(original) tokens")
    }
    return original / contextStep * contextStep
  }

  /// It has the ramp's ends built in, and stretches sliding layers as the others.
  private func checkYarn(
    _ fast: Double, _ slow: Double, _ truncates: Bool, _ architecture: GGUFArchitecture
  ) throws {
    guard fast == 32, slow == 1, truncates else {
      throw GGUFArchitecture.refusal("YaRN with other bounds than beta_fast 32 and beta_slow 1, rounded")
    }
    guard architecture.name != "gemma3" else { throw GGUFArchitecture.refusal("YaRN in gemma3") }
  }

  /// Gemma 3's layers with a window.
  private mutating func setSliding(_ sliding: RotaryConfiguration, beside full: RotaryConfiguration) throws {
    guard sliding.scaling == .none, sliding.amplitude == 1, sliding.width == full.width else {
      throw GGUFArchitecture.refusal("scaled rotations of sliding layers")
    }
    set("rope.freq_base_swa", sliding.theta)
  }
}
