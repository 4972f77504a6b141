import Files
import Foundation
import TestSupport
import Testing

/// Several processes that train together: what they write has the bits that one writes.
@Suite(.serialized, .enabled(if: OpenMPI.isThere, OpenMPI.isMissing))
struct RankTests {
  private static let adapter = [
    "train", "--max-steps", "9", "--batch-size", "6", "--shares", "4", "--eval-every", "4", "--lr", "1e-2",
  ]

  @Test(arguments: [
    ["--qlora", "--lora-dropout", "0.1"], ["--optimizer", "adamw8bit", "--lora-r", "48"], ["--engine", "plain"],
  ])
  func `An adapter has the same bits from one process and from several`(_ settings: [String]) throws {
    try OpenMPI.withRanks { sft in
      try sft.prepare("--val", "0.4")
      for ranks in [1, 2, 3, 5] { try sft.train(ranks: ranks, run: "of-\(ranks)", Self.adapter + settings) }
      let one = try sft.result(of: "of-1", "adapter/adapter_model.safetensors", step: 9)
      for ranks in [2, 3, 5] {
        #expect(try sft.result(of: "of-\(ranks)", "adapter/adapter_model.safetensors", step: 9) == one, "\(ranks)")
      }
      #expect(try sft.leftovers() == [])
    }
  }

  @Test(arguments: [[], ["--optimizer", "adamw8bit", "--grad-accum", "2"]])
  func `A whole model has, whose moments the ranks divide`(_ settings: [String]) throws {
    try OpenMPI.withRanks { sft in
      try sft.prepare("--val", "0.4")
      let arguments = [
        "train", "--full", "--max-steps", "7", "--batch-size", "6", "--shares", "3", "--eval-every", "3",
        "--save-every", "2",
      ]
      for ranks in [1, 2, 3, 4] { try sft.train(ranks: ranks, run: "of-\(ranks)", arguments + settings) }
      let one = try sft.result(of: "of-1", "model/model.safetensors", step: 7)
      for ranks in [2, 3, 4] {
        #expect(try sft.result(of: "of-\(ranks)", "model/model.safetensors", step: 7) == one, "\(ranks)")
      }
    }
  }

  @Test func `A new model has`() throws {
    try OpenMPI.withRanks { sft in
      try sft.write(
        (0..<400).map { "The \($0 % 7) birds of island \($0) sing when \($0 % 13) bells ring." }.joined(
          separator: "\n\n"),
        to: "text.txt")
      let arguments = [
        "pretrain", "text.txt", "--config", SFTBinary.tiny + "/model/config.json", "--tokenizer", SFTBinary.model,
        "--max-steps", "4", "--batch-size", "4", "--shares", "2", "--val", "0.1", "--eval-every", "2",
      ]
      for ranks in [1, 2] { try sft.train(ranks: ranks, run: "of-\(ranks)", arguments) }
      #expect(
        try sft.result(of: "of-2", "model/model.safetensors", step: 4)
          == sft.result(of: "of-1", "model/model.safetensors", step: 4))
    }
  }

  // MARK: - Refusals

  /// Another host's files under the same names are those of a mount that one process alone sees, which is root's to make.
  @Test(.enabled(if: getuid() == 0, "only root can mount"))
  func `Ranks that see another base are refused before the first step`() throws {
    try OpenMPI.withRanks { sft in
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
    try OpenMPI.withRanks { sft in
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
    try OpenMPI.withRanks { sft in
      for (arguments, code, words) in [
        (["doctor"], 64, "error: `sft doctor` is for one process, and 3 were started."),
        (["train", "--nonsense"], 64, "error: Unknown option '--nonsense'"),
        (["train"], 66, "error: there is no prepared data in .sft."),
      ] {
        let outcome = try sft.startRanks(3, arguments).finish()
        #expect(outcome.code == Int32(code), "\(outcome.errors)")
        #expect(outcome.errors.components(separatedBy: words).count == 2, "\(outcome.errors)")
      }
      let help = try sft.startRanks(3, ["train", "--help"]).finish()
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
