import ArgumentParser
import Core
import Loading
import Pipeline

/// Where the artifacts and runs are, and how much is said.
struct CommonOptions: ParsableArguments {
  @Option(name: .long, help: .takes("DIR", "Folder of artifacts and runs (default: $SFT_WORKSPACE, else .sft)."))
  var workspace: String?

  @Flag(name: .long, help: "Only results and errors: no progress and no notes on standard error.")
  var quiet = false

  @Flag(name: .long, help: "One machine-readable value on standard output, {\"error\": …} where it failed.")
  var json = false
}

/// How much is said, where no workspace is needed.
struct QuietOptions: ParsableArguments {
  @Flag(name: .long, help: "Only results and errors: no progress and no notes on standard error.")
  var quiet = false

  @Flag(name: .long, help: "One machine-readable value on standard output, {\"error\": …} where it failed.")
  var json = false
}

/// Which weights to use, and how.
struct WeightsOptions: ParsableArguments {
  @Option(
    name: .long,
    help: .takes("DIR|NAME", "\(modelWords) (default: the newest run's, else the prepared data's, else embedded)."))
  var model: String?

  @Option(name: .long, help: .takes("NAME", "Run whose adapter to use (default: the newest)."))
  var run: String?

  @Option(name: .long, help: .takes("N", "Use the run's checkpoint of step N instead of its best or last weights."))
  var checkpoint: Int?

  @OptionGroup var quantization: QuantizationFlags

  @Flag(name: .long, help: "Use an adapter although it was trained on another base.")
  var force = false

  @Option(name: .long, help: .threads)
  var threads: Int?
}

/// Which weights and which template to use.
struct ModelOptions: ParsableArguments {
  @OptionGroup var weights: WeightsOptions

  @Option(
    name: .long,
    help: .takes(
      "NAME|FILE",
      """
      Shipped or built-in template, template file, or model for the model's own (default: the newest run's, else \
      alpaca).
      """))
  var template: String?
}

/// An adapter for the model, or none.
struct AdapterChoice: ParsableArguments {
  @Option(
    name: .long, help: .takes("DIR", "Adapter folder (default: the newest run's, unless \(OptionName.model) is given).")
  )
  var adapter: String?

  @Flag(name: .long, help: "Use the base alone.")
  var base = false
}

/// What columns of tables, or members of objects, are called.
struct ColumnFlags: ParsableArguments {
  @Option(
    name: .long,
    help: .takes(
      "FIELD=COLUMN,…",
      "What holds a record's fields, where that is not named as usual: instruction=task,output=text."),
    transform: { try ColumnNames($0) })
  var columns = ColumnNames()
}

/// How many threads a verb takes that computes without a model's options.
struct ThreadOption: ParsableArguments {
  @Option(name: .long, help: .threads)
  var threads: Int?

  func validate() throws { try atLeast(1, threads, OptionName.threads.description) }
}
