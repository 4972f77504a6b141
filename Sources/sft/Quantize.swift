import ArgumentParser
import Core
import Kernels
import Pipeline
import Quantizing

struct Quantize: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Write a model with its linears in 4 bits, as bitsandbytes stores them, or report what that costs.")

  @Option(name: .long, help: "Model folder, or a name in the local Hugging Face cache.")
  var model: String

  @Option(name: .long, help: "Folder to write; it must be empty or not there.")
  var to: String?

  @Option(name: .long, help: "The 4-bit code: nf4 or fp4.")
  var quant: FourBitCode = .nf4

  @Flag(name: .long, help: "Keep the blocks' statistics in float32.")
  var noDoubleQuant = false

  @Option(name: .long, help: "Linears to leave in full precision: c_proj,h.0.attn.c_attn,…")
  var quantSkip: String?

  @Flag(name: .long, help: "Show the relative error of each linear's weights.")
  var report = false

  @Option(name: .long, help: "Raw records: how much the loss changes.")
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
    let options = QuantizationOptions(
      settings: QuantizationSettings(kind: quant, doubleQuantization: !noDoubleQuant),
      skip: quantSkip.map { $0.split(separator: ",").map(String.init) } ?? [])
    let result = try quantizeModel(
      model, options, to: to, replacing: overwrite, data: data, template: template,
      threads: threads ?? Compute.availableThreads, in: workspace
    ) { progress.note($0) }
    if common.json {
      try Terminal.printJSON(result)
      return
    }
    if report {
      for layer in result.layers { print("\(layer.name)  relative error \(fixed(layer.relative_error, 4))") }
    }
    print(
      "quantised   \(result.layers.count) linears to \(options.description): \(byteCount(result.bytes)), "
        + "\(fixed(result.bits_per_weight, 3)) bits a weight")
    if let loss = result.loss, let quantized = result.quantized_loss {
      print("loss        \(fixed(loss, 4)), quantised \(fixed(quantized, 4)) (\(fixed(quantized - loss, 4)))")
    }
    if let path = result.path { print("written to \(path)") }
  }
}
