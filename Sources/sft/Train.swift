import ArgumentParser
import Pipeline

struct Train: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Train a LoRA adapter, or all weights, on prepared data.",
    discussion: """
      Stop with Ctrl-C and go on with --resume: the result has the same bits as if it had never stopped. A resumed run
      takes its settings from its record; they need not be given again.
      """)

  @Option(name: .long, help: "\(modelWords) (default: the prepared data's).")
  var model: String?

  @Option(name: .long, help: "A folder that `sft prepare` printed (default: the newest prepared data).")
  var prepared: String?

  @Option(name: .customLong("run"), help: "The run's name (default: run-1, run-2, …).")
  var runName: String?

  @Flag(name: .long, help: "Go on from the newest sound checkpoint of --run, or of the newest run.")
  var resume = false

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

  @OptionGroup var training: TrainingFlags

  @Option(
    name: .long,
    help: """
      GB on the disk for the outputs of the frozen layers below --lora-layers, computed once and read in later epochs; 0 for \
      none (default: a quarter of the free space, and none below 1.5 epochs).
      """)
  var trunkCache: Double?

  @Flag(name: .long, help: "Start from an adapter although it was trained on another base.")
  var force = false

  @OptionGroup var common: CommonOptions

  func validate() throws {
    if let trunkCache, !(0...1e6).contains(trunkCache) {
      throw ValidationError("--trunk-cache must be from 0 to 1,000,000.")
    }
    let options = try options()
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

  private func options() throws -> TrainOptions {
    var options = TrainOptions()
    options.model = model
    options.prepared = prepared
    options.run = runName
    options.resume = resume
    options.rank = rank
    options.alpha = alpha
    options.dropout = dropout
    options.targets = targets.map { $0.split(separator: ",").map(String.init) }
    options.layers = try parsedLayers()
    options.rankStabilized = rankStabilized ? true : nil
    options.initialAdapter = initialAdapter
    options.full = full
    options.trunkCache = trunkCache.map { Int($0 * 1e9) }
    try training.apply(to: &options)
    options.force = force
    options.quantization = quantization.options
    return options
  }

  func run() throws {
    try runTraining(common) { workspace, shouldStop, event in
      try TrainRun(workspace: workspace, options: try options(), shouldStop: shouldStop, event: event)()
    }
  }
}
