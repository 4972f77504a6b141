import ArgumentParser
import Core
import Exporting
import Pipeline

extension ExportFormat: ExpressibleByArgument {}
extension WeightType: ExpressibleByArgument {}

struct Export: ParsableCommand {
  static let configuration = CommandConfiguration(
    verb: "export", abstract: "Write an adapter for PEFT, or a whole model for transformers.",
    usage: "\(OptionName.to) <DIR> [options]",
    examples: ["sft export --format peft --to out", "sft export --run run-1 --format merged --dtype bfloat16 --to out"])

  struct Target: ParsableArguments {
    @Option(name: .long, help: .takes("DIR", "Folder to write; it must be empty or not there."))
    var to: String

    @Option(
      name: .long,
      help: .takes(
        "KIND",
        """
        peft: an adapter folder; merged: a model folder with the adapter in its weights; model: the model as \
        it is, without an adapter (default: peft, or merged for a run that trained all weights, or model where there is \
        no run and no adapter, or \(OptionName.model) alone is given).
        """))
    var format: ExportFormat?

    @Option(name: .long, help: .takes("TYPE", "Type of a merged model's weights (default: as the base's are stored)."))
    var dtype: WeightType?

    @Flag(name: .long, help: "Replace an earlier export in \(OptionName.to).")
    var overwrite = false

    @Flag(
      name: .long, inversion: .prefixedNo,
      help: """
        With \(OptionName.format) merged: how much of the adapter is left where the merged model is quantised again, as \(OptionName.qlora), \
        \(OptionName.quant), --no-double-quant and \(OptionName.quantSkip) say, else as in training. With D what the adapter adds to a weight \
        W, Q() quantising and decoding, and C = Q(W + D) - Q(W): survived = <C,D> / <D,D>, the share of D that is there, \
        and error = |C - D| / |D|, where the noise of rounding counts too: 0 is D whole, 1 as far from the quantised \
        weight with the adapter beside it as the quantised weight alone (default: where the adapter was trained with \
        \(OptionName.qlora)).
        """)
    var report: Bool?

    func validate() throws {
      if report == true, format != .merged { throw ValidationError("--report goes with \(OptionName.format) merged.") }
    }
  }

  struct Source: ParsableArguments {
    @Option(
      name: .long,
      help: .takes("DIR", "Adapter folder (default: the newest run's, unless only \(OptionName.model) is given)."))
    var adapter: String?
  }

  @OptionGroup(title: "Export") var target: Target
  @OptionGroup(title: "Model") var source: Source
  @OptionGroup(title: "Model") var model: ModelOptions
  @OptionGroup(title: "General") var common: CommonOptions

  func validate() throws {
    if target.format == .model, source.adapter != nil || model.weights.checkpoint != nil {
      throw ValidationError(
        "\(OptionName.format) model writes the model alone: \(OptionName.adapter) and \(OptionName.checkpoint) have no part in it."
      )
    }
  }

  private struct Report: Encodable {
    var path: String
    var format: String
    var model: String
    var adapter: String?
    var requantization: RequantizationReport?
  }

  func run() throws {
    let progress = Progress(quiet: common.quiet)
    let workspace = Workspace(common.workspace, remark: progress.remark, progress: progress.show) { progress.note($0) }
    var options = InferenceOptions(model)
    options.adapter = source.adapter
    let format = target.format
    // An adapter is merged into the weights as they are, not into their 4-bit shadow.
    if format == .merged || format == .model { options.quantized = false }
    options.baseOnly = format == .model
    let session = try InferenceSession(options, workspace: workspace)
    progress.note("exporting \(session.base.name) with \(session.description)")
    let report = try Pipeline.export(session, exportOptions)
    Self.noteBase(session, format ?? session.exportFormat, progress)
    progress.close()
    if common.json {
      try Terminal.printJSON(
        Report(
          path: target.to, format: (format ?? session.exportFormat).rawValue, model: session.base.reference,
          adapter: session.adapterFolder,
          requantization: report))
      return
    }
    if let report { Self.show(report) }
    Terminal.show("written to \(target.to)")
  }

  /// What PEFT needs besides the adapter, and cannot find by the base's name.
  private static func noteBase(_ session: InferenceSession, _ format: ExportFormat, _ progress: Progress) {
    guard format == .peft, session.base.isEmbedded else { return }
    progress.note(
      "The adapter's base is inside sft: `sft export --model \(session.base.name) --to DIR` writes it as the folder that "
        + "PEFT puts the adapter on.")
  }

  private var exportOptions: ExportOptions {
    var options = ExportOptions(target.format, to: target.to)
    options.replacing = target.overwrite
    options.dtype = target.dtype
    options.modelIsNamed = model.weights.model != nil
    options.reportsRequantization = target.report ?? (model.weights.quantization.quantized == false ? false : nil)
    options.quantization = model.weights.quantization.options
    return options
  }

  /// A line for each adapted linear that would be quantised, the worst first; then what it means.
  private static func show(_ report: RequantizationReport) {
    func row(_ name: String, _ survived: Double?, _ error: Double?) -> [String] {
      [name, percentage(survived), error.map { fixed($0, 3) } ?? "–"]
    }
    let kind = QuantizationOptions(settings: report.quantization).description
    let rows =
      [["merged, then \(kind); worst first", "survived", "error"]]
      + report.worstFirst.map { row($0.name, $0.survived, $0.relativeError) }
      + [row("all \(report.layers.count) together", report.survived, report.relativeError)]
    if !report.layers.isEmpty { for line in tableLines(rows) { Terminal.show(line) } }
    if !report.kept.isEmpty {
      let names = report.kept.joined(separator: ", ")
      Terminal.show("kept        \(report.kept.count) linears in full precision: \(names)")
    }
    Terminal.show(report.conclusion)
  }
}
