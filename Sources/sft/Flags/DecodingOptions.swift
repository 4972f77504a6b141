import ArgumentParser
import Core
import Evaluating
import Generating
import Kernels

/// How answers are decoded.
struct DecodingOptions: ParsableArguments {
  @Option(name: .long, help: .takes("N", "Longest answer in tokens."))
  var maxNewTokens = 128

  @Option(name: .long, help: .takes("T", "0 for greedy decoding, else the softmax temperature."))
  var temperature = 0.0

  @Option(name: .long, help: .takes("K", "Sample from the K most likely tokens only."))
  var topK: Int?

  @Option(name: .long, help: .takes("P", "Sample from the most likely tokens that together have this probability."))
  var topP: Double?

  @Option(name: .long, help: .takes("P", "Sample only from tokens at least this fraction as likely as the likeliest."))
  var minP: Double?

  @Option(
    name: .long,
    help: .takes("X", "Divide the logits of tokens that were there by this (multiply negative ones); 1 for none."))
  var repetitionPenalty = 1.0

  @Option(name: .long, help: .takes("N", "Beams of a beam search; 1 for none."))
  var numBeams = 1

  @Option(name: .long, help: .takes("N", "Seed of the sampling."))
  var seed: UInt64 = 42

  @Option(name: .long, help: .takes("TEXT", "End the answer before this text; may be given several times."))
  var stop: [String] = []

  @OptionGroup var rounding: RoundingOptions

  /// `note` is told once of what was given in vain.
  func settings(note: (String) -> Void) throws -> GenerationSettings {
    let sampling = SamplingSettings(
      temperature: temperature, topK: topK, topP: topP, minP: minP, repetitionPenalty: repetitionPenalty)
    let settings = GenerationSettings(
      maxNewTokens: maxNewTokens, sampling: sampling, numBeams: numBeams, seed: seed, stop: stop)
    try settings.validate()
    if !sampling.ineffective.isEmpty {
      let names = sampling.ineffective.map(\.description).joined(separator: " and ")
      note("\(names) \(sampling.ineffective.count == 1 ? "has" : "have") no effect at temperature 0.")
    }
    return settings
  }
}

/// How exactly 4-bit weights are multiplied while answering.
struct RoundingOptions: ParsableArguments {
  @Flag(
    name: .long,
    help: """
      With weights in 4 bits: round what they are multiplied with to 16-bit integers, 64 or 128 numbers at a time, where the CPU \
      has AVX2. Faster; each product errs by some 1e-5, so a near tie may fall otherwise.
      """)
  var int16 = false

  @Flag(
    name: .long,
    help: """
      The same to 8-bit integers, as llama.cpp does, and the code's sixteen levels to 7 bits. Faster still, above all for several \
      answers at once; each product errs by about one per cent, a tenth of what 4 bits have already cost.
      """)
  var int8 = false

  func validate() throws {
    if int16 && int8 { throw ValidationError("Give either \(OptionName.int16) or \(OptionName.int8).") }
  }

  var rowPrecision: RowPrecision { int16 ? .int16 : int8 ? .int8 : .float32 }
}
