import ArgumentParser
import Core
import Kernels
import Pipeline
import Training

extension Optimizer: ExpressibleByArgument {}
extension Engine: ExpressibleByArgument {}

/// What an update depends on besides its learning rate, whatever is trained.
struct UpdateFlags: ParsableArguments {
  @Option(name: .long, help: "Records of a micro-batch; an update takes so many times --grad-accum (default: 8).")
  var batchSize: Int?

  @Option(
    name: .long,
    help: """
      Tokens of a micro-batch, instead of --batch-size: an update takes records in order until their tokens, EOS included, \
      reach so many times --grad-accum.
      """)
  var batchTokens: Int?

  @Option(
    name: .customLong("grad-accum"), help: "Micro-batches of an update, made to cost about the same (default: 1).")
  var gradientAccumulation: Int?

  @Option(
    name: .long, help: "adamw, or adamw8bit: its moments in 8 bits, as bitsandbytes keeps them (default: adamw).")
  var optimizer: Optimizer?

  @Option(name: .long, help: "AdamW's betas (default: 0.9,0.999).")
  var betas: String?

  @Option(name: .long, help: "AdamW's weight decay (default: 0.01).")
  var weightDecay: Double?

  @Option(name: .customLong("max-grad-norm"), help: "Clip gradients to this norm; 0 for no clipping (default: 1).")
  var maxGradientNorm: Double?

  @Flag(name: .long, help: "Take the records in their prepared order.")
  var noShuffle = false

  @Option(name: .long, help: "Seed of initialisation, order and dropout (default: 42).")
  var seed: UInt64?

  @Option(name: .long, help: "Threads (default: the cores this process may use).")
  var threads: Int?

  @Option(name: .long, help: "auto, or plain: the reference code, one sequence at a time (default: auto).")
  var engine: Engine?

  @Flag(name: .long, help: "Compute activations again instead of keeping them: the same bits, less memory, more time.")
  var gradientCheckpointing = false

  @Option(
    name: .customLong("dropout"),
    help: """
      Dropout on embeddings, attention weights and what is added to the stream, as GPT-2 has it; the configuration's own \
      is ignored (default: 0).
      """)
  var baseDropout: Double?

  func validate() throws {
    try atLeast(1, batchSize, "--batch-size")
    try atLeast(1, batchTokens, "--batch-tokens")
    try atLeast(1, gradientAccumulation, "--grad-accum")
    try atLeast(1, threads, "--threads")
    try atMost(65_536, batchSize, "--batch-size")
    try atMost(1 << 24, batchTokens, "--batch-tokens")
    try atMost(65_536, gradientAccumulation, "--grad-accum")
    try atMost(4096, threads, "--threads")
    try nonNegative(weightDecay, "--weight-decay")
    try nonNegative(maxGradientNorm, "--max-grad-norm")
    if batchSize != nil, batchTokens != nil { throw ValidationError("Give --batch-size or --batch-tokens, not both.") }
    _ = try parsedBetas()
    if let baseDropout, !(0..<1).contains(baseDropout) {
      throw ValidationError("--dropout must be from 0 to below 1.")
    }
  }

  private func parsedBetas() throws -> (Double, Double)? {
    guard let betas else { return nil }
    let numbers = betas.split(separator: ",", omittingEmptySubsequences: false).map { Double($0) }
    guard numbers.count == 2, let first = numbers[0], let second = numbers[1], (0..<1).contains(first),
      (0..<1).contains(second)
    else { throw ValidationError("--betas takes two numbers from 0 to below 1, such as 0.9,0.999.") }
    return (first, second)
  }

  func apply(to options: inout TrainOptions) throws {
    options.batchSize = batchSize
    options.batchTokens = batchTokens
    options.gradientAccumulation = gradientAccumulation
    options.optimizer = optimizer
    options.betas = try parsedBetas()
    options.weightDecay = weightDecay
    options.maxGradientNorm = maxGradientNorm
    options.shuffle = noShuffle ? false : nil
    options.seed = seed
    options.threads = threads
    options.engine = engine
    options.gradientCheckpointing = gradientCheckpointing ? true : nil
    options.baseDropout = baseDropout
  }
}

/// One learning rate, or several with commas between.
struct LearningRates: ExpressibleByArgument {
  private let parts: [(text: String, value: Double?)]

  /// nil for one that is no number; parts of a list are looked at by `validate`, which can say more.
  init?(argument: String) {
    parts = argument.split(separator: ",", omittingEmptySubsequences: false).map { (String($0), Double($0)) }
    if parts.count == 1, parts[0].value == nil { return nil }
  }

  var values: [Double] { parts.compactMap(\.value) }
  var single: Double? { parts.count == 1 ? parts[0].value : nil }

  func validate() throws {
    for (text, value) in parts where value == nil {
      throw ValidationError(
        "--lr takes a rate, or several such as 1e-4,3e-4,1e-3; "
          + (text.isEmpty ? "one of these is empty." : "'\(text)' is no number."))
    }
    for value in values { try positive(value, "--lr") }
    for (index, value) in values.enumerated() where values[..<index].contains(value) {
      throw ValidationError("--lr names the rate \(scientific(value)) twice.")
    }
  }
}

func atLeast(_ bound: Int, _ value: Int?, _ flag: String) throws {
  if let value, value < bound { throw ValidationError("\(flag) must be at least \(bound).") }
}

func atMost(_ bound: Int, _ value: Int?, _ flag: String) throws {
  if let value, value > bound { throw ValidationError("\(flag) must be at most \(grouped(bound)).") }
}

func positive(_ value: Double?, _ flag: String) throws {
  if let value, !(value > 0 && value.isFinite) { throw ValidationError("\(flag) must be above 0.") }
}

func nonNegative(_ value: Double?, _ flag: String) throws {
  if let value, !(value >= 0 && value.isFinite) { throw ValidationError("\(flag) must not be negative.") }
}
