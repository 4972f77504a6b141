import ArgumentParser
import Kernels
import Pipeline

struct Doctor: ParsableCommand {
  static let configuration = CommandConfiguration(
    verb: "doctor", abstract: "What this machine offers: cores, kernels chosen, memory, measured speed.",
    examples: ["sft doctor", "sft doctor --threads 1 --json"])

  @OptionGroup(title: "Computing") var computing: ThreadOption

  @OptionGroup(title: "General") var common: CommonOptions

  func run() throws {
    let workspace = Workspace(common.workspace) { _ in }
    var report = examineMachine(workspace, threads: computing.threads ?? Compute.availableThreads)
    if let remark = domainRemark(report) { report.remarks.append(remark) }
    if common.json {
      try Terminal.printJSON(report)
    } else {
      for line in doctorLines(report) { Terminal.show(line) }
    }
  }
}
