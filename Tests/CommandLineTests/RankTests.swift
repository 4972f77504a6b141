import Files
import Foundation
import JSON
import TestSupport
import Testing

enum OpenMPI {
  static let mpirun = "/usr/bin/mpirun"

  /// Whether several processes can be tried here.
  static var isThere: Bool {
    guard let sft = try? SFTBinary.path() else { return false }
    return (try? fileExists(mpirun)) == true && (try? fileExists(parentPath(sft) + "/sft-mpi.so")) == true
  }
}

/// Several processes that train together: what they write has the bits that one writes, and they end together.
@Suite(.serialized, .enabled(if: OpenMPI.isThere, "there is no Open MPI, or no sft-mpi.so: make build MPI=1"))
struct RankTests {
  /// What `mpirun` needs where it is run as root on few cores.
  private static let environment = [
    "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_rmaps_base_oversubscribe": "1",
    // Room for a test's ranks on a machine that all tests share.
    "OMPI_MCA_hwloc_base_binding_policy": "none",
  ]

  private func withRanks(_ body: (inout SFTBinary) throws -> Void) throws {
    try withSFT { sft in
      sft.environment = Self.environment
      try body(&sft)
    }
  }

  private func start(_ sft: SFTBinary, _ ranks: Int, _ arguments: [String]) throws -> Running {
    try sft.start(["-n", "\(ranks)", try SFTBinary.path()] + arguments, executable: OpenMPI.mpirun)
  }

  /// Trains a run in one process, or in so many ranks.
  private func train(
    _ sft: SFTBinary, _ ranks: Int, run: String, _ arguments: [String],
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let arguments = arguments + ["--run", run, "--quiet"]
    let outcome = try ranks == 1 ? sft.run(arguments) : start(sft, ranks, arguments).finish()
    #expect(outcome.code == 0, "\(ranks) ranks: \(outcome.errors)", sourceLocation: sourceLocation)
  }

  /// All that a run leaves but times: weights, moments, metrics.
  private func result(_ sft: SFTBinary, _ run: String, _ weights: String, step: Int) throws -> [[UInt8]] {
    let folder = sft.path(".sft/runs/\(run)")
    let files = [
      "\(weights)", "best/\((weights as NSString).lastPathComponent)", "checkpoints/step-\(step)/optimizer.safetensors",
    ]
    return try files.map { try readFile("\(folder)/\($0)") } + [
      Array(try sft.metrics(run).joined(separator: "\n").utf8)
    ]
  }

  private static let adapter = [
    "train", "--max-steps", "9", "--batch-size", "6", "--shares", "4", "--eval-every", "4", "--lr", "1e-2",
  ]

  @Test(arguments: [
    ["--qlora", "--lora-dropout", "0.1"], ["--optimizer", "adamw8bit", "--lora-r", "48"], ["--engine", "plain"],
  ])
  func `An adapter has the same bits from one process and from several`(_ settings: [String]) throws {
    try withRanks { sft in
      try sft.prepare("--val", "0.4")
      for ranks in [1, 2, 3, 5] { try train(sft, ranks, run: "of-\(ranks)", Self.adapter + settings) }
      let one = try result(sft, "of-1", "adapter/adapter_model.safetensors", step: 9)
      for ranks in [2, 3, 5] {
        #expect(try result(sft, "of-\(ranks)", "adapter/adapter_model.safetensors", step: 9) == one, "\(ranks)")
      }
      #expect(try sft.leftovers() == [])
    }
  }

  @Test(arguments: [[], ["--optimizer", "adamw8bit", "--grad-accum", "2"]])
  func `A whole model has, whose moments the ranks divide`(_ settings: [String]) throws {
    try withRanks { sft in
      try sft.prepare("--val", "0.4")
      let arguments = [
        "train", "--full", "--max-steps", "7", "--batch-size", "6", "--shares", "3", "--eval-every", "3",
        "--save-every", "2",
      ]
      for ranks in [1, 2, 3, 4] { try train(sft, ranks, run: "of-\(ranks)", arguments + settings) }
      let one = try result(sft, "of-1", "model/model.safetensors", step: 7)
      for ranks in [2, 3, 4] {
        #expect(try result(sft, "of-\(ranks)", "model/model.safetensors", step: 7) == one, "\(ranks)")
      }
    }
  }

  @Test func `A new model has`() throws {
    try withRanks { sft in
      try sft.write(
        (0..<400).map { "The \($0 % 7) birds of island \($0) sing when \($0 % 13) bells ring." }.joined(
          separator: "\n\n"),
        to: "text.txt")
      let arguments = [
        "pretrain", "text.txt", "--config", SFTBinary.tiny + "/model/config.json", "--tokenizer", SFTBinary.model,
        "--max-steps", "4", "--batch-size", "4", "--shares", "2", "--val", "0.1", "--eval-every", "2",
      ]
      for ranks in [1, 2] { try train(sft, ranks, run: "of-\(ranks)", arguments) }
      #expect(
        try result(sft, "of-2", "model/model.safetensors", step: 4)
          == result(sft, "of-1", "model/model.safetensors", step: 4))
    }
  }

  // MARK: - Stops

  private static let long = [
    "train", "--max-steps", "800", "--batch-size", "6", "--shares", "4", "--save-every", "20", "--eval-every", "200",
    "--lr", "1e-2",
  ]

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
    try train(sft, ranks, run: "stopped", ["train", "--resume"], sourceLocation: sourceLocation)
    #expect(
      try result(sft, "stopped", "adapter/adapter_model.safetensors", step: 800)
        == result(sft, "whole", "adapter/adapter_model.safetensors", step: 800), sourceLocation: sourceLocation)
    #expect(try sft.leftovers() == [], sourceLocation: sourceLocation)
  }

  @Test func `A rank that is killed ends all, and the run goes on with another number of ranks`() throws {
    try withRanks { sft in
      try sft.prepare("--val", "0.4")
      try train(sft, 1, run: "whole", Self.long)
      for (killed, metrics) in [(0, 50), (1, 250), (2, 450)] {
        let isFirst = metrics == 50
        let arguments = isFirst ? Self.long + ["--run", "stopped"] : ["train", "--run", "stopped", "--resume"]
        let running = try start(sft, 3, arguments)
        try wait(sft, "stopped", metrics: metrics, running)
        if let pid = try ranks(sft)[killed] { kill(pid, SIGKILL) }
        expectEnd(running, within: 20)
        #expect(try running.finish().code != 0)
      }
      try expectSameAfterResuming(sft, 2)
    }
  }

  @Test func `A rank that stands still is missed, and all end with a line that says so`() throws {
    try withRanks { sft in
      try sft.prepare("--val", "0.4")
      try train(sft, 1, run: "whole", Self.long)
      let running = try start(sft, 2, Self.long + ["--run", "stopped"])
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
    try withRanks { sft in
      try sft.prepare("--val", "0.4")
      try train(sft, 1, run: "whole", Self.long)
      // No checkpoint but that of the end, or of the stop.
      let running = try start(sft, 2, Self.long + ["--run", "stopped", "--save-every", "0"])
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

  // MARK: - Refusals

  /// Another host's files under the same names are those of a mount that one process alone sees, which is root's to make.
  @Test(.enabled(if: getuid() == 0, "only root can mount"))
  func `Ranks that see another base are refused before the first step`() throws {
    try withRanks { sft in
      try sft.copyModel(to: "model")
      try sft.copyModelWithNaN(to: "other")
      try sft.succeed("prepare", SFTBinary.records, "--model", "model", "--val", "0", "--quiet")
      let outcome = try sft.shell(
        """
        \(OpenMPI.mpirun) -n 1 "$SFT" train --max-steps 2 --run r : \
          -n 1 unshare --mount sh -c 'mount --bind other model && exec "$SFT" train --max-steps 2 --run r'
        """)
      #expect(outcome.code == 65, "\(outcome.errors)")
      #expect(
        outcome.errors.contains("rank 1: the model is not the one that run r was started on"), "\(outcome.errors)")
      #expect(outcome.errors.components(separatedBy: "error: ").count == 2, "\(outcome.errors)")
      #expect(try !fileExists(sft.path(".sft/runs/r/metrics.jsonl")))
    }
  }

  @Test func `Ranks that lack the data are refused`() throws {
    try withRanks { sft in
      try sft.prepare("--val", "0")
      let outcome = try sft.shell(
        """
        \(OpenMPI.mpirun) -n 1 "$SFT" train --max-steps 2 --run r : \
          -n 1 env SFT_WORKSPACE="$PWD/empty" "$SFT" train --max-steps 2 --run r
        """)
      #expect(outcome.code == 66, "\(outcome.errors)")
      #expect(outcome.errors.contains("rank 1: the data that run r was prepared with is gone"))
    }
  }

  @Test func `What is wrong is said once`() throws {
    try withRanks { sft in
      for (arguments, code, words) in [
        (["doctor"], 64, "error: `sft doctor` is for one process, and 3 were started."),
        (["train", "--nonsense"], 64, "error: Unknown option '--nonsense'"),
        (["train"], 66, "error: there is no prepared data in .sft."),
      ] {
        let outcome = try start(sft, 3, arguments).finish()
        #expect(outcome.code == Int32(code), "\(outcome.errors)")
        #expect(outcome.errors.components(separatedBy: words).count == 2, "\(outcome.errors)")
      }
      let help = try start(sft, 3, ["train", "--help"]).finish()
      #expect(help.code == 0 && help.output.components(separatedBy: "USAGE").count == 2)
    }
  }
}

/// What is said where there is no MPI to join with; needs none.
@Suite struct LaunchedAloneTests {
  @Test func `Without its library sft does not train as many times as it was started`() throws {
    try withSFT { sft in
      // A program with nothing beside it.
      try FileManager.default.copyItem(atPath: SFTBinary.path(), toPath: sft.path("sft"))
      for rank in 0..<2 {
        sft.environment = ["OMPI_COMM_WORLD_RANK": "\(rank)", "OMPI_COMM_WORLD_SIZE": "2"]
        let outcome = try sft.start(["train"], executable: sft.path("sft")).finish()
        #expect(outcome.code == 64)
        #expect(
          outcome.errors
            == (rank == 0
              ? "error: sft was started as 2 processes, but it was built without MPI: each would train the same. "
                + "Build it with `make build MPI=1`.\n" : ""))
      }
      sft.environment = ["PMI_RANK": "0", "PMI_SIZE": "2", "SFT_MPI_LIBRARY": sft.path("sft")]
      let outcome = try sft.run("train")
      #expect(outcome.code == 64 && outcome.errors.contains("the library for MPI cannot be used"))
    }
  }
}
