import ArgumentParser
import Core
import Exporting
import Pipeline

extension ExportFormat: ExpressibleByArgument {}
extension ExportedType: ExpressibleByArgument {}

struct Export: ParsableCommand {
  static let configuration = CommandConfiguration(
    verb: "export", abstract: "Write an adapter or a whole model for other tools: PEFT, transformers, llama.cpp, ONNX.",
    usage: "\(OptionName.to) <DIR> [options]",
    examples: [
      "sft export --format peft --to out", "sft export --run run-1 --format merged --dtype bfloat16 --to out",
      "sft export --format gguf --dtype q8_0 --to out",
      "sft export --format onnx --to out --verify python3",
    ])

  struct Target: ParsableArguments {
    @Option(name: .long, help: .takes("DIR", "Folder to write; it must be empty or not there."))
    var to: String

    @Option(
      name: .long,
      help: .takes(
        "KIND",
        """
        peft: an adapter folder; merged: a model folder with the adapter in its weights; model: the model as \
        it is, without an adapter; gguf: a merged model for llama.cpp and Ollama; gguf-lora: an adapter for them; onnx: a \
        merged model as graphs for ONNX Runtime (default: peft, or merged for a run that trained all weights, or model where there is \
        no run and no adapter, or \(OptionName.model) alone is given).
        """))
    var format: ExportFormat?

    @Option(
      name: .long,
      help: .takes(
        "TYPE",
        "Type of a merged model's weights (default: as the base's are stored), of a GGUF file's (16 bits) or its adapter's (f32)."
      ))
    var dtype: ExportedType?

    @Option(
      name: .long,
      help: .takes(
        "FILE|NAME",
        "With \(OptionName.format) gguf-lora: what the Modelfile calls the base (default: the GGUF file that it is, else ./BASE.gguf)."
      ))
    var ggufBase: String?

    @Flag(name: .long, help: "Replace an earlier export in \(OptionName.to).")
    var overwrite = false

    @Option(
      name: .long,
      help: .takes(
        "PYTHON",
        """
        Load what was written in this Python with the tool that it is for (transformers and PEFT, llama-cpp-python or \
        onnxruntime) and compare its logits on ten prompts with sft's. They may differ, relative to the largest, by \
        \(VerificationBound.summary), as the weights are written; farther apart is an error, though the files stay.
        """))
    var verify: String?

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
      if ggufBase != nil, format != .ggufLoRA {
        throw ValidationError("--gguf-base goes with \(OptionName.format) gguf-lora.")
      }
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
    /// What llama.cpp does otherwise than the model's files say.
    var remarks: [String]?
    var verification: ExportVerification?
  }

  func run() throws {
    let progress = Progress(quiet: common.quiet)
    let workspace = Workspace(common.workspace, remark: progress.remark, progress: progress.show) { progress.note($0) }
    var options = InferenceOptions(model)
    options.adapter = source.adapter
    let format = target.format
    // An adapter is merged into the weights as they are, not into their 4-bit shadow.
    let isWhole = format.map { [.merged, .model, .gguf, .onnx].contains($0) } ?? false
    if isWhole { options.quantized = false }
    options.baseOnly = format == .model
    let session = try InferenceSession(options, workspace: workspace)
    progress.note("exporting \(session.base.name) with \(session.description)")
    let verifier = try target.verify.map {
      try ExportVerifier($0, for: format ?? session.exportFormat, of: session)
    }
    let outcome = try Pipeline.export(session, exportOptions)
    let remarks = outcome.gguf.map { Self.remarks($0) }
    for remark in remarks ?? [] { progress.note(remark) }
    Self.noteBase(session, format ?? session.exportFormat, progress)
    if let python = target.verify { progress.note("verifying with \(python)") }
    let verification = try verifier?.verify(session, outcome, in: target.to)
    progress.close()
    if common.json {
      try Terminal.printJSON(
        Report(
          path: target.to, format: (format ?? session.exportFormat).rawValue, model: session.base.reference,
          adapter: session.adapterFolder,
          requantization: outcome.requantization, remarks: remarks, verification: verification))
      try verification?.check(target.to)
      return
    }
    if let report = outcome.requantization { Self.show(report) }
    if let verification { Self.show(verification) }
    try verification?.check(target.to)
    Terminal.show("written to \(target.to)")
  }

  /// What is to be known of a file for llama.cpp, in sentences.
  private static func remarks(_ report: GGUFExportReport) -> [String] {
    var remarks = report.remarks.map { $0 + "." }
    if !report.halved.isEmpty {
      remarks.append("In f16, as their rows are no whole blocks: \(listed(report.halved)).")
    }
    return remarks
  }

  private static func show(_ verification: ExportVerification) {
    for line in tableLines(verification.table) { Terminal.show(line) }
    for remark in verification.remarks { Terminal.show(remark) }
  }

  /// What PEFT needs besides the adapter, and cannot find by the base's name.
  private static func noteBase(_ session: InferenceSession, _ format: ExportFormat, _ progress: Progress) {
    if format == .peft, session.base.checkpoint.isGGUF {
      progress.note(
        "The adapter's base is a GGUF file, which transformers loads by its folder and gguf_file, not by its path alone: load it "
          + "first, and put the adapter on it with PeftModel.from_pretrained.")
    }
    guard format == .peft, session.base.isEmbedded else { return }
    progress.note(
      "The adapter's base is inside sft: `sft export --model \(session.base.name) --to DIR` writes it as the folder that "
        + "PEFT puts the adapter on.")
  }

  private var exportOptions: ExportOptions {
    var options = ExportOptions(target.format, to: target.to)
    options.replacing = target.overwrite
    options.dtype = target.dtype
    options.ggufBase = target.ggufBase
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
