import ArgumentParser
import Core
import Files
import Pipeline

struct Report: ParsableCommand {
  static let configuration = CommandConfiguration(
    verb: "report", abstract: "A page on a training run: loss, rate, speed, sample answers, settings and data.",
    usage: "[<RUN>] [options]", examples: ["sft report", "sft report run-1 --out run-1.html"])

  struct Page: ParsableArguments {
    @Option(name: .long, help: .takes("FILE", "File to write (default: report.html in the run's folder)."))
    var out: String?
  }

  @Argument(help: .takes("RUN", "The run's name (default: the newest)."))
  var name: String?

  @OptionGroup(title: "Page") var page: Page
  @OptionGroup(title: "General") var common: CommonOptions

  private struct Result: Encodable {
    var run: String
    var path: String
  }

  func run() throws {
    let progress = Progress(quiet: common.quiet)
    let workspace = Workspace(common.workspace) { progress.note($0) }
    let report = try RunReport(name, workspace: workspace)
    let path = page.out ?? report.run.folder.path + "/report.html"
    try writeAtomically(try report.page(), to: path)
    if common.json {
      try Terminal.printJSON(Result(run: report.run.folder.name, path: path))
    } else {
      Terminal.show("written to \(path)")
    }
  }
}
