import ArgumentParser
import Core
import Exporting
import Pipeline

extension ExportFormat: ExpressibleByArgument {}

struct Export: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Write an adapter for PEFT, or a whole model for transformers.")

  @OptionGroup var model: ModelOptions

  @Option(name: .long, help: "Adapter folder (default: the newest run's, unless only --model is given).")
  var adapter: String?

  @Option(name: .long, help: "peft: an adapter folder; merged: a model folder with the adapter in its weights.")
  var format: ExportFormat = .peft

  @Option(name: .long, help: "Folder to write; it must be empty or not there.")
  var to: String

  @Flag(name: .long, help: "Replace an earlier export in --to.")
  var overwrite = false

  @OptionGroup var common: CommonOptions

  private struct Report: Encodable {
    var path: String
    var format: String
    var model: String
    var adapter: String?
  }

  func run() throws {
    let progress = Progress(quiet: common.quiet)
    let workspace = Workspace(common.workspace) { progress.note($0) }
    var options = InferenceOptions(model)
    options.adapter = adapter
    // An adapter is merged into the weights as they are, not into their 4-bit shadow.
    if format == .merged { options.quantized = false }
    let session = try InferenceSession(options, workspace: workspace) { progress.note($0) }
    progress.note("exporting \(session.base.name) with \(session.description)")
    try export(session, format: format, to: to, replacing: overwrite)
    if common.json {
      try Terminal.printJSON(
        Report(path: to, format: format.rawValue, model: session.base.reference, adapter: session.adapterFolder))
    } else {
      print("written to \(to)")
    }
  }
}
