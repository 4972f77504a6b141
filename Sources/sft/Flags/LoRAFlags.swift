import ArgumentParser
import Pipeline

/// The adapter that is trained.
struct LoRAFlags: ParsableArguments {
  @Option(name: .customLong("lora-r"), help: .takes("N", "Rank (default: 16)."))
  var rank: Int?

  @Option(name: .customLong("lora-alpha"), help: .takes("X", "Alpha (default: 16)."))
  var alpha: Double?

  @Option(name: .customLong("lora-dropout"), help: .takes("P", "Dropout before A (default: 0)."))
  var dropout: Double?

  @Option(
    name: .customLong("lora-targets"),
    help: .takes(
      "NAMES",
      "all-linear, or module names: q_proj,v_proj,… (default: all-linear, whatever PEFT's default for the model is)."))
  var targets: String?

  @Option(
    name: .customLong("lora-layers"), help: .takes("LIST", "Layers to adapt: 8-11, or 0,2,4 (default: all)."))
  var layers: String?

  @Flag(name: .customLong("rslora"), help: "Scale by alpha/√r instead of alpha/r.")
  var rankStabilized = false

  @Option(
    name: .customLong("init-adapter"),
    help: .takes("DIR", "Start from this adapter folder; it brings its own r, alpha and targets."))
  var initialAdapter: String?

  @Option(
    name: .customLong("train-tokens"),
    help: .takes(
      "TOKENS",
      """
      Train the rows of tokens in embedding and head too, as PEFT's trainable_token_indices: auto, or no value, for the \
      special tokens that the data's chat template writes; else tokens with commas between, auto among them or not \
      (default: none).
      """))
  var trainedTokens: String?

  @Option(
    name: .customLong("modules-to-save"),
    help: .takes(
      "NAMES",
      """
      Train these modules whole beside the adapter and store them with it, as PEFT does: embed_tokens,lm_head, or the \
      final norm (model.norm). Where embedding and head are one matrix, each named becomes its own (default: none).
      """))
  var savedModules: String?

  func validate() throws {
    for (option, value) in [("--train-tokens", trainedTokens), ("--modules-to-save", savedModules)] {
      if let value, list(value).isEmpty { throw ValidationError("\(option) names nothing.") }
    }
  }

  private func list(_ names: String) -> [String] { names.split(separator: ",").map(String.init) }

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
    options.rank = rank
    options.alpha = alpha
    options.dropout = dropout
    options.targets = targets.map(list)
    options.layers = try parsedLayers()
    options.rankStabilized = rankStabilized ? true : nil
    options.initialAdapter = initialAdapter
    options.trainedTokens = trainedTokens.map(list)
    options.savedModules = savedModules.map(list)
  }
}
