import ArgumentParser
import Core
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
    let report = examineMachine(workspace, threads: computing.threads ?? Compute.availableThreads)
    if common.json {
      try Terminal.printJSON(report)
      return
    }
    let algebra = report.linearAlgebra
    print(
      "threads     \(report.threads), on \(report.affinity) of \(report.cores) cores"
        + (report.cpuQuota.map { ", CPU quota \(fixed($0, 1)) cores" } ?? ""))
    print("kernels     \(algebra.kernels)")
    print(
      "OpenBLAS    \(algebra.coreType) kernels, \(fixed(report.sgemmGflops, 0)) GFLOP/s in single precision"
        + (algebra.replacedCoreType.map { " (instead of its own choice, \($0))" } ?? ""))
    print(
      "memory      \(byteCount(report.memoryAvailableBytes)) free of \(byteCount(report.memoryTotalBytes)), "
        + "read at \(fixed(report.memoryGigabytesPerSecond, 1)) GB/s by one thread, "
        + "\(fixed(report.memoryGigabytesPerSecondAllThreads, 1)) GB/s by all "
        + "(over \(byteCount(report.memoryReadBytes)))")
    let free = report.workspaceFreeBytes.map { ", \(byteCount($0)) free" } ?? ""
    Terminal.show("workspace   \(report.workspace)\(free)")
    for remark in report.remarks { Terminal.show("note        \(remark)") }
  }
}
