import ArgumentParser
import Core
import Kernels
import Pipeline
import Quantizing

struct Quantize: ParsableCommand {
  static let configuration = CommandConfiguration(
    verb: "quantize",
    abstract: "Write a model with its linears in 4 bits, as bitsandbytes stores them, or report what that costs.",
    examples: ["sft quantize --model gpt2 --to gpt2-4bit", "sft quantize --model gpt2 --report --data eval.json"])

  struct Target: ParsableArguments {
    @Option(
      name: .long,
      help: .takes("DIR|NAME", "\(modelWords) (default: the newest run's, else the prepared data's, else embedded)."))
    var model: String?

    @Option(name: .long, help: .takes("DIR", "Folder to write; it must be empty or not there."))
    var to: String?

    @Flag(name: .long, help: "Replace an earlier export in \(OptionName.to).")
    var overwrite = false
  }

  struct Settings: ParsableArguments {
    @Option(name: .long, help: .takes("CODE", "The 4-bit code."))
    var quant: FourBitCode = .nf4

    @Flag(name: .long, help: "Keep the blocks' statistics in float32.")
    var noDoubleQuant = false

    @Option(name: .long, help: .takes("NAMES", "Linears to leave in full precision: c_proj,h.0.attn.c_attn,…"))
    var quantSkip: String?

    var options: QuantizationOptions {
      QuantizationOptions(
        settings: QuantizationSettings(kind: quant, doubleQuantization: !noDoubleQuant),
        skip: quantSkip.map { $0.split(separator: ",").map(String.init) } ?? [])
    }
  }

  struct Measuring: ParsableArguments {
    @Flag(
      name: .long,
      help: """
        Show each linear's relative error, the worst first: of its weights, |Q - W| / |W|, and with \(OptionName.data) of its \
        outputs, |xQ - xW| / |xW|, x being what the full-precision model gives it over at most 4,096 tokens of the data, \
        biases left out. A linear that stands out is one for \(OptionName.quantSkip).
        """)
    var report = false

    @Option(
      name: .long,
      help: .takes("FILE", "Raw records: how much the loss changes, and with --report each linear's outputs."))
    var data: String?

    @Option(
      name: .long,
      help: .takes("NAME|FILE", "Template for \(OptionName.data) (default: the newest run's, else alpaca)."))
    var template: String?
  }

  @OptionGroup(title: "Model") var target: Target
  @OptionGroup(title: "4-bit code") var settings: Settings
  @OptionGroup(title: "What it costs") var measuring: Measuring
  @OptionGroup(title: "Computing") var computing: ThreadOption
  @OptionGroup(title: "General") var common: CommonOptions

  func validate() throws {
    guard target.to != nil || measuring.report || measuring.data != nil else {
      throw ValidationError("Give \(OptionName.to) DIR, --report or \(OptionName.data) FILE.")
    }
  }

  func run() throws {
    let progress = Progress(quiet: common.quiet)
    let workspace = Workspace(common.workspace, remark: progress.remark, progress: progress.show) { progress.note($0) }
    var options = QuantizeOptions(model: target.model)
    options.quantization = settings.options
    (options.target, options.replacing) = (target.to, target.overwrite)
    (options.data, options.template) = (measuring.data, measuring.template)
    options.measures = measuring.report || common.json
    options.measuresOutputs = options.measures
    if let threads = computing.threads { options.threads = threads }
    let result = try quantizeModel(options, in: workspace)
    progress.close()
    if common.json {
      try Terminal.printJSON(result)
      return
    }
    if measuring.report { Self.printTable(result) }
    print(
      "quantised   \(result.layers.count) linears to \(options.quantization.description): "
        + "\(byteCount(result.bytes)), \(fixed(result.bitsPerWeight, 3)) bits a weight")
    if !result.kept.isEmpty {
      let names = result.kept.joined(separator: ", ")
      Terminal.show("kept        \(result.kept.count) linears in full precision: \(names)")
    }
    if let loss = result.loss, let quantized = result.quantizedLoss {
      print("loss        \(fixed(loss, 4)), quantised \(fixed(quantized, 4)) (\(fixed(quantized - loss, 4)))")
    }
    if let path = result.path { Terminal.show("written to \(path)") }
  }

  /// A line for each quantised linear, the worst first.
  private static func printTable(_ result: QuantizationReport) {
    let data = result.outputData
    let rows = result.worstFirst.map { layer in
      [layer.name, percentage(layer.relativeError)] + (data == nil ? [] : [percentage(layer.outputError)])
    }
    let header = ["relative error, worst first", "weights"] + (data == nil ? [] : ["outputs"])
    for line in tableLines([header] + rows) { Terminal.show(line) }
    if let data {
      print(
        "outputs     over \(grouped(data.tokens)) tokens of \(grouped(data.records)) of "
          + "\(grouped(data.totalRecords)) records, biases left out")
    }
  }
}
