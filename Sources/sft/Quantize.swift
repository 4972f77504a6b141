import ArgumentParser
import Core
import Kernels
import Pipeline
import Quantizing

struct Quantize: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Write a model with its linears in 4 bits, as bitsandbytes stores them, or report what that costs.")

  @Option(name: .long, help: "\(modelWords) (default: the newest run's, else the prepared data's, else embedded).")
  var model: String?

  @Option(name: .long, help: "Folder to write; it must be empty or not there.")
  var to: String?

  @Option(name: .long, help: "The 4-bit code: nf4 or fp4.")
  var quant: FourBitCode = .nf4

  @Flag(name: .long, help: "Keep the blocks' statistics in float32.")
  var noDoubleQuant = false

  @Option(name: .long, help: "Linears to leave in full precision: c_proj,h.0.attn.c_attn,…")
  var quantSkip: String?

  @Flag(
    name: .long,
    help: """
      Show each linear's relative error, the worst first: of its weights, |Q - W| / |W|, and with --data of its outputs, \
      |xQ - xW| / |xW|, x being what the full-precision model gives it over at most 4,096 tokens of the data, biases left \
      out. A linear that stands out is one for --quant-skip.
      """)
  var report = false

  @Option(name: .long, help: "Raw records: how much the loss changes, and with --report each linear's outputs.")
  var data: String?

  @Option(name: .long, help: "Template for --data (default: the newest run's, else alpaca).")
  var template: String?

  @Option(name: .long, help: "Threads (default: the cores this process may use).")
  var threads: Int?

  @Flag(name: .long, help: "Replace an earlier export in --to.")
  var overwrite = false

  @OptionGroup var common: CommonOptions

  func validate() throws {
    guard to != nil || report || data != nil else { throw ValidationError("Give --to DIR, --report or --data FILE.") }
    if let threads, threads < 1 { throw ValidationError("--threads must be at least 1.") }
  }

  func run() throws {
    let progress = Progress(quiet: common.quiet)
    let workspace = Workspace(common.workspace) { progress.note($0) }
    var options = QuantizeOptions(model: model)
    options.quantization = QuantizationOptions(
      settings: QuantizationSettings(kind: quant, doubleQuantization: !noDoubleQuant),
      skip: quantSkip.map { $0.split(separator: ",").map(String.init) } ?? [])
    (options.target, options.replacing) = (to, overwrite)
    (options.data, options.template) = (data, template)
    options.measuresOutputs = report || common.json
    if let threads { options.threads = threads }
    let result = try quantizeModel(options, in: workspace) { progress.note($0) }
    if common.json {
      try Terminal.printJSON(result)
      return
    }
    if report { Self.printTable(result) }
    print(
      "quantised   \(result.layers.count) linears to \(options.quantization.description): "
        + "\(byteCount(result.bytes)), \(fixed(result.bits_per_weight, 3)) bits a weight")
    if !result.kept.isEmpty {
      let names = result.kept.joined(separator: ", ")
      Terminal.show("kept        \(result.kept.count) linears in full precision: \(names)")
    }
    if let loss = result.loss, let quantized = result.quantized_loss {
      print("loss        \(fixed(loss, 4)), quantised \(fixed(quantized, 4)) (\(fixed(quantized - loss, 4)))")
    }
    if let path = result.path { Terminal.show("written to \(path)") }
  }

  /// A line for each quantised linear, the worst first.
  private static func printTable(_ result: QuantizationReport) {
    let data = result.output_data
    let rows = result.worstFirst.map { layer in
      [layer.name, percentage(layer.relative_error)] + (data == nil ? [] : [percentage(layer.output_error)])
    }
    let header = ["relative error, worst first", "weights"] + (data == nil ? [] : ["outputs"])
    for line in tableLines([header] + rows) { Terminal.show(line) }
    if let data {
      print(
        "outputs     over \(grouped(data.tokens)) tokens of \(grouped(data.records)) of "
          + "\(grouped(data.total_records)) records, biases left out")
    }
  }
}
