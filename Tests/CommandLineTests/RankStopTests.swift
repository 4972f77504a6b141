import Files
import Foundation
import TestSupport
import Testing

/// Several processes that train together end together, whatever stops one of them, and the run goes on.
@Suite(.serialized, .enabled(if: OpenMPI.isThere, OpenMPI.isMissing))
struct RankStopTests {
  private static let long = [
    "train", "--max-steps", "800", "--batch-size", "6", "--shares", "4", "--save-every", "20", "--eval-every", "200",
    "--lr", "1e-2",
  ]

  /// What a run leaves that is never stopped.
  private static let whole = Result {
    try OpenMPI.withRanks { sft in
      try sft.prepare("--val", "0.4")
      try sft.train(ranks: 1, run: "whole", long)
      return try sft.result(of: "whole", "adapter/adapter_model.safetensors", step: 800)
    }
  }

  /// Waits until a run has written so many metrics; gives up where it has ended.
  private func wait(_ sft: SFTBinary, _ run: String, metrics: Int, _ running: Running) throws {
    let path = sft.path(".sft/runs/\(run)/metrics.jsonl")
    while running.process.isRunning {
      if let lines = try? lines(of: path).count, lines >= metrics { return }
      usleep(2_000)
    }
  }

  /// Processes that train this test's run, without `mpirun`, by their numbers among the ranks.
  private func ranks(_ sft: SFTBinary) throws -> [Int: pid_t] {
    var found: [Int: pid_t] = [:]
    for name in try directoryEntries("/proc") {
      // Files that say that they are empty, and are not.
      func content(_ file: String) -> Data? { FileManager.default.contents(atPath: "/proc/\(name)/\(file)") }
      guard let pid = pid_t(name), let environment = content("environ"), let command = content("cmdline") else {
        continue
      }
      let variables = environment.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
      guard variables.contains("HOME=\(sft.folder)"), !command.starts(with: Array(OpenMPI.mpirun.utf8)),
        let rank = variables.first(where: { $0.hasPrefix("OMPI_COMM_WORLD_RANK=") })
      else { continue }
      found[Int(rank.dropFirst(21)) ?? -1] = pid
    }
    return found
  }

  private func expectEnd(_ running: Running, within seconds: Double, sourceLocation: SourceLocation = #_sourceLocation)
  {
    let end = Date.now.addingTimeInterval(seconds)
    while running.process.isRunning, Date.now < end { usleep(10_000) }
    #expect(!running.process.isRunning, "the ranks hang", sourceLocation: sourceLocation)
    if running.process.isRunning { running.process.terminate() }
  }

  private func expectSameAfterResuming(
    _ sft: SFTBinary, _ ranks: Int, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    try sft.train(ranks: ranks, run: "stopped", ["train", "--resume"], sourceLocation: sourceLocation)
    #expect(
      try sft.result(of: "stopped", "adapter/adapter_model.safetensors", step: 800)
        == Self.whole.get(), sourceLocation: sourceLocation)
    #expect(try sft.leftovers() == [], sourceLocation: sourceLocation)
  }

  @Test func `A rank that is killed ends all, and the run goes on with another number of ranks`() throws {
    try OpenMPI.withRanks { sft in
      try sft.prepare("--val", "0.4")
      for (killed, metrics) in [(0, 50), (1, 250), (2, 450)] {
        let isFirst = metrics == 50
        let arguments = isFirst ? Self.long + ["--run", "stopped"] : ["train", "--run", "stopped", "--resume"]
        let running = try sft.startRanks(3, arguments)
        try wait(sft, "stopped", metrics: metrics, running)
        if let pid = try ranks(sft)[killed] { kill(pid, SIGKILL) }
        expectEnd(running, within: 20)
        #expect(try running.finish().code != 0)
      }
      try expectSameAfterResuming(sft, 2)
    }
  }

  @Test func `A rank that stands still is missed, and all end with a line that says so`() throws {
    try OpenMPI.withRanks { sft in
      try sft.prepare("--val", "0.4")
      let running = try sft.startRanks(2, Self.long + ["--run", "stopped"])
      try wait(sft, "stopped", metrics: 30, running)
      if let pid = try ranks(sft)[1] { kill(pid, SIGSTOP) }
      expectEnd(running, within: 40)
      let outcome = try running.finish()
      #expect(outcome.code != 0)
      #expect(outcome.errors.contains("error: rank 1 has not been heard of for some seconds, so the run ends."))
      try expectSameAfterResuming(sft, 1)
    }
  }

  @Test func `SIGTERM to one rank saves and stops all, and the run goes on in one process`() throws {
    try OpenMPI.withRanks { sft in
      try sft.prepare("--val", "0.4")
      // No checkpoint but that of the end, or of the stop.
      let running = try sft.startRanks(2, Self.long + ["--run", "stopped", "--save-every", "0"])
      try wait(sft, "stopped", metrics: 30, running)
      if let pid = try ranks(sft)[1] { kill(pid, SIGTERM) }
      expectEnd(running, within: 30)
      let outcome = try running.finish()
      #expect(outcome.code != 0)
      let steps = try directoryEntries(sft.path(".sft/runs/stopped/checkpoints")).filter { $0.hasPrefix("step-") }
      #expect(!steps.isEmpty && steps != ["step-800"], "\(outcome.errors)")
      try expectSameAfterResuming(sft, 1)
    }
  }
}
