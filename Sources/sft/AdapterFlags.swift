import ArgumentParser
import Pipeline

/// What is trained on which base and data, as an adapter or whole.
struct AdapterFlags: ParsableArguments {
  @Option(name: .long, help: "\(modelWords) (default: the prepared data's).")
  var model: String?

  @Option(name: .long, help: "A folder that `sft prepare` printed (default: the newest prepared data).")
  var prepared: String?

  @Option(name: .customLong("lora-r"), help: "Rank (default: 16).")
  var rank: Int?

  @Option(name: .customLong("lora-alpha"), help: "Alpha (default: 16).")
  var alpha: Double?

  @Option(name: .customLong("lora-dropout"), help: "Dropout before A (default: 0).")
  var dropout: Double?

  @Option(
    name: .customLong("lora-targets"), help: "all-linear, or module names: c_attn,attn.c_proj,… (default: all-linear).")
  var targets: String?

  @Option(name: .customLong("lora-layers"), help: "Layers to adapt: 8-11, or 0,2,4 (default: all).")
  var layers: String?

  @Flag(name: .customLong("rslora"), help: "Scale by alpha/√r instead of alpha/r.")
  var rankStabilized = false

  @Option(
    name: .customLong("init-adapter"), help: "Start from this adapter folder; it brings its own r, alpha and targets.")
  var initialAdapter: String?

  @OptionGroup var quantization: QuantizationFlags

  @Flag(
    name: .long,
    help:
      "Train all weights instead of an adapter; the run's weights are then a model folder, and LoRA's flags are errors."
  )
  var full = false

  @Flag(name: .long, help: "Start from an adapter although it was trained on another base.")
  var force = false

  /// Throws for a flag of `options` that does not go with --full, where that is given.
  func refuseFlagsOfAdapters(_ options: TrainOptions) throws {
    if full, let flag = options.loraFlags.first ?? (quantization.quantized == true ? "--qlora" : nil) {
      throw ValidationError("\(flag) does not go with --full, which trains all weights instead of an adapter.")
    }
  }

  /// "8-11", "3", "0,2,5-7".
  private func parsedLayers() throws -> [Int]? {
    guard let layers else { return nil }
    var numbers = Set<Int>()
    for part in layers.split(separator: ",", omittingEmptySubsequences: false) {
      let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
      guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1], first >= 0,
        first <= last, last < 100_000
      else { throw ValidationError("--lora-layers takes layers such as 8-11 or 0,2,4.") }
      numbers.formUnion(first...last)
    }
    return numbers.sorted()
  }

  func apply(to options: inout TrainOptions) throws {
    options.model = model
    options.prepared = prepared
    options.rank = rank
    options.alpha = alpha
    options.dropout = dropout
    options.targets = targets.map { $0.split(separator: ",").map(String.init) }
    options.layers = try parsedLayers()
    options.rankStabilized = rankStabilized ? true : nil
    options.initialAdapter = initialAdapter
    options.full = full
    options.force = force
    options.quantization = quantization.options
  }
}
