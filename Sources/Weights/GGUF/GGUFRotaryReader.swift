import Core
import GGUF
import Glibc
import JSON

/// How a GGUF file's model rotates, in the words of a `config.json`.
struct GGUFRotaryReader {
  private let keys: GGUFKeys
  private let file: GGUFFile
  private let architecture: GGUFArchitecture
  private let headWidth: Int
  private let family: Architecture

  init(_ configuration: GGUFConfiguration) {
    (keys, file, architecture) = (configuration.keys, configuration.file, configuration.architecture)
    (headWidth, family) = (configuration.headWidth, configuration.family)
  }

  func members() throws -> [(String, JSONValue)] {
    let theta = try keys.number("rope.freq_base", in: 1...1e12) ?? 1e4
    let width = try keys.size(ifThere: "rope.dimension_count", limit: 1 << 16) ?? headWidth
    guard width % 2 == 0, width == headWidth || architecture.rotatesParts && width < headWidth else {
      throw keys.failure("rope.dimension_count", "is \(width) of \(headWidth) dimensions, which is not supported")
    }
    var members: [(String, JSONValue)] = [("rope_theta", .number(theta))]
    if width < headWidth {
      let share = Double(width) / Double(headWidth)
      // What is computed of it is rounded down.
      members.append(("partial_rotary_factor", .number(Int(Double(headWidth) * share) == width ? share : share.nextUp)))
    }
    members += try sliding(theta)
    if let scaling = try scaling(theta: theta, width: width) {
      members.append(("rope_scaling", .object(JSONObject(scaling))))
    }
    return members
  }

  /// Layers with a window; only Gemma 3's rotate in their own way.
  private func sliding(_ theta: Double) throws -> [(String, JSONValue)] {
    let key = "rope.freq_base_swa"
    if family == .gemma3Text {
      return [("rope_local_base_freq", .number(try keys.number(key, in: 1...1e12) ?? 1e4))]
    }
    if architecture.hasWindows, let own = try keys.number(key, in: 1...1e12), own != theta {
      throw keys.failure(key, "is \(own), and rope.freq_base is \(theta), which is not supported")
    }
    return []
  }

  private func scaling(theta: Double, width: Int) throws -> [(String, JSONValue)]? {
    for key in ["yarn_ext_factor", "yarn_attn_factor"] { try keys.refuse("rope.scaling." + key, unless: 1) }
    try keys.refuse("rope.scaling.yarn_log_multiplier", unless: 0)
    let type = try file.metadata.string(keys.prefix + "rope.scaling.type") ?? "linear"
    let amplitude = try keys.number("rope.scaling.attn_factor", in: 1e-6...1e6) ?? 1
    if let long = try lengthFactors(type, width) {
      try refuseFactor()
      return long + [("attention_factor", .number(amplitude))]
    }
    if type == "yarn" { return try yarn(amplitude) }
    guard amplitude == 1 else {
      throw keys.failure("rope.scaling.attn_factor", "is \(amplitude) without YaRN or LongRoPE, which is not supported")
    }
    if architecture.readsFrequencyFactors, let factors = try factors("rope_freqs.weight", width) {
      try refuseFactor()
      return try scaling(factors, theta: theta, width: width)
    }
    switch type {
    case "none": return nil
    case "linear":
      let factor = try factor()
      return factor == 1 ? nil : [("rope_type", .string("linear")), ("factor", .number(factor))]
    case "longrope": throw keys.failure("rope.scaling.type", "is 'longrope', and the file has no factors for it")
    default:
      throw keys.failure("rope.scaling.type", "is \(quoted(type)); supported: none, linear, yarn, longrope")
    }
  }

  /// What all frequencies are divided by, under its newer or its older name; 1 where nothing is said.
  private func factor() throws -> Double {
    for key in ["rope.scaling.factor", "rope.scale_linear"] {
      if let factor = try keys.number(key, in: 0...1e6) { return factor == 0 ? 1 : factor }
    }
    return 1
  }

  private func refuseFactor() throws {
    let factor = try factor()
    guard factor == 1 else {
      throw keys.failure(
        "rope.scaling.factor", "is \(factor) beside a factor for each frequency, which is not supported")
    }
  }

  private func yarn(_ amplitude: Double) throws -> [(String, JSONValue)] {
    let factor = try factor()
    guard architecture.name != "gemma3" else {
      throw keys.failure("rope.scaling.type", "is 'yarn', which is not supported in gemma3")
    }
    var members: [(String, JSONValue)] = [
      ("rope_type", .string("yarn")), ("factor", .number(factor)),
      ("original_max_position_embeddings", .integer(try originalLength())),
      ("beta_fast", .number(try keys.number("rope.scaling.yarn_beta_fast", in: 1e-6...1e6) ?? 32)),
      ("beta_slow", .number(try keys.number("rope.scaling.yarn_beta_slow", in: 1e-6...1e6) ?? 1)),
    ]
    // On top of what it multiplies by of itself.
    if amplitude != 1 {
      members.append(("attention_factor", .number(amplitude * (factor > 1 ? 0.1 * log(factor) + 1 : 1))))
    }
    return members
  }

  private func originalLength() throws -> Int {
    try keys.integer("rope.scaling.original_context_length", in: 1...1 << 30)
      ?? keys.size("context_length", limit: 1 << 30)
  }

  // MARK: - A factor for each frequency

  /// [width / 2]; nil where there is no such tensor.
  private func factors(_ name: String, _ width: Int) throws -> [Double]? {
    guard let info = file.info(name) else { return nil }
    guard info.shape == [width / 2], info.type == .f32 else {
      throw SFTError(
        .badData,
        "tensor \(quoted(name)): expected \(width / 2) values in F32, found \(info.shape) in \(info.type.name)",
        file: file.path)
    }
    let factors = try file.floats(name)
    guard factors.allSatisfy({ $0 >= 1e-6 && $0 <= 1e6 }) else {
      throw SFTError(
        .badData, "tensor \(quoted(name)) holds something that is not a number from 1e-06 to 1e+06", file: file.path)
    }
    return factors.map { Double("\($0)") ?? Double($0) }
  }

  /// LongRoPE: one list for short sequences, one for long ones.
  private func lengthFactors(_ type: String, _ width: Int) throws -> [(String, JSONValue)]? {
    let names = ["rope_factors_long.weight", "rope_factors_short.weight"]
    guard architecture.readsLengthFactors, architecture.name == "phi3" || type == "longrope",
      names.contains(where: { file.info($0) != nil })
    else { return nil }
    let found = try names.map { name in
      guard let factors = try factors(name, width) else {
        throw SFTError(.badData, "the file has no tensor \(quoted(name)) beside its other of LongRoPE", file: file.path)
      }
      return factors
    }
    let original = try originalLength()
    guard original > 1 else { throw keys.failure("rope.scaling.original_context_length", "is 1, expected more") }
    return Self.each(long: found[0], short: found[1], original: original)
  }

  private static func each(long: [Double], short: [Double], original: Int) -> [(String, JSONValue)] {
    [
      ("rope_type", .string("longrope")), ("long_factor", .array(long.map { .number($0) })),
      ("short_factor", .array(short.map { .number($0) })), ("original_max_position_embeddings", .integer(original)),
    ]
  }

  /// Llama 3's numbers where the factors are theirs: what its own files say. Else the factors themselves, for all lengths.
  private func scaling(_ factors: [Double], theta: Double, width: Int) throws -> [(String, JSONValue)] {
    let plain = RotaryConfiguration(width: width, theta: theta)
    let factor = factors.max() ?? 1
    let original = 8192
    var llama3 = plain
    llama3.scaling = .llama3(factor: factor, low: 1, high: 4, original: original)
    let own = zip(plain.frequencies, llama3.frequencies).map { Double($0 / $1) }
    if factor > 1, zip(own, factors).allSatisfy({ abs($0 - $1) <= 1e-5 * $1 }) {
      return [
        ("rope_type", .string("llama3")), ("factor", .number(factor)), ("low_freq_factor", .number(1)),
        ("high_freq_factor", .number(4)), ("original_max_position_embeddings", .integer(original)),
      ]
    }
    let context = try keys.size("context_length", limit: 1 << 30)
    guard context > 1 else { throw keys.failure("context_length", "is 1, expected more") }
    return Self.each(long: factors, short: factors, original: context) + [("attention_factor", .number(1))]
  }
}
