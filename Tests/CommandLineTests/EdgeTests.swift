import Files
import Foundation
import JSON
import TestSupport
import Testing

/// Unusual but reasonable uses.
@Suite struct EdgeTests {
  @Test func anEmptyWorkspaceNameCountsAsNone() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0", "--workspace", "")
      #expect(try fileExists(sft.path(".sft/latest/prepared")))
    }
  }

  @Test func theValidationFileCountsToo() throws {
    try withSFT { sft in
      try sft.write("{\"instruction\":\"a\",\"output\":\"b\"}\nnot json\n", to: "d.jsonl")
      try sft.write("{\"instruction\":\"c\",\"output\":\"d\"}\n{\"output\":\"x\"}\n", to: "v.jsonl")
      let summary = try sft.succeed(
        "prepare", "d.jsonl", "--val-file", "v.jsonl", "--skip-bad", "--model", SFTBinary.model, "--json", "--quiet"
      ).json()["summary"]
      #expect(summary?["counts"]?["skipped_bad"]?.int == 2)
      let messages = (summary?["skipped_messages"]?.array ?? []).compactMap(\.string)
      #expect(messages.count == 2 && messages[0].hasPrefix("d.jsonl:2: ") && messages[1].hasPrefix("v.jsonl:2: "))
      // The same content under another name is named by that name.
      try sft.write(try sft.read("d.jsonl"), to: "e.jsonl")
      let other = try sft.succeed("prepare", "e.jsonl", "--skip-bad", "--model", SFTBinary.model)
      #expect(other.errors.contains("records: already there, skipped"))
      #expect(other.errors.contains("skipped: e.jsonl:2: "))
      try sft.write(
        "{\"instruction\":\"long\",\"output\":\"\(String(repeating: "word ", count: 400))\"}", to: "l.jsonl")
      let none = try sft.run(
        "prepare", "e.jsonl", "--skip-bad", "--val-file", "l.jsonl", "--overlong", "drop", "--model", SFTBinary.model)
      #expect(none.code == 65 && none.errors.contains("l.jsonl: no record is left to validate on"))
      #expect(
        try sft.run("prepare", "e.jsonl", "--val", "0.2", "--val-file", "v.jsonl", "--model", SFTBinary.model).code
          == 64)
    }
  }

  @Test func aRunsNameIsTakenOnce() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      let running = try (0..<3).map { _ in try sft.start(["train", "--max-steps", "3", "--quiet"]) }
      for process in running { #expect(try process.finish().code == 0) }
      #expect(try directoryEntries(sft.path(".sft/runs")) == ["run-1", "run-2", "run-3"])
    }
  }

  @Test func resumingRefusesWhatWouldNotBeTheSame() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      try sft.succeed("train", "--run", "a", "--max-steps", "2", "--quiet")
      let changed = try sft.run("train", "--run", "a", "--resume", "--save-every", "9", "--keep-checkpoints", "5")
      #expect(changed.code == 64)
      #expect(changed.errors.contains("--save-every 9 (it was 50), --keep-checkpoints 5 (it was 2)"))
      try sft.succeed(
        "train", "--run", "b", "--init-adapter", ".sft/runs/a/adapter", "--max-steps", "2", "--quiet")
      try removeTree(sft.path(".sft/runs/b/finished.json"))
      for step in try directoryEntries(sft.path(".sft/runs/b/checkpoints")) {
        try sft.write("damaged", to: ".sft/runs/b/checkpoints/\(step)/optimizer.safetensors")
      }
      let lost = try sft.run("train", "--run", "b", "--resume")
      #expect(lost.code == 66)
      #expect(lost.errors.contains("run b started from another adapter and has no sound checkpoint to go on from"))
    }
  }

  @Test func valuesThatAreNotFiniteAreNamed() throws {
    try withSFT { sft in
      try sft.copyModelWithNaN(to: "nan")
      let evaluation = try sft.run("eval", "--model", "nan", "--data", SFTBinary.records, "--json", "--quiet")
      #expect(evaluation.code == 65 && evaluation.errors.contains("the loss is not a finite number"))
      let generation = try sft.run("generate", "--model", "nan", "--prompt", "a", "--quiet")
      #expect(generation.code == 65 && generation.errors.contains("the model's output is not a finite number"))
    }
  }

  @Test func limitsThatExcludeNothingChangeNothing() throws {
    try withSFT { sft in
      func ids(_ arguments: String...) throws -> JSONValue? {
        try sft.run(
          ["generate", "--model", SFTBinary.model, "--prompt", "a", "--temperature", "1", "--seed", "5", "--json"]
            + arguments
        ).json()["token_ids"]
      }
      let plain = try ids()
      #expect(plain?.array?.isEmpty == false)
      #expect(try ids("--top-p", "1") == plain)
      #expect(try ids("--top-k", "512") == plain)
    }
  }

  @Test func compareTakesArraysAndTheRunsAdapter() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      try sft.succeed("train", "--max-steps", "2", "--quiet")
      try sft.write("[\n {\"instruction\": \"a\"},\n {\"instruction\": \"b\", \"output\": \"c\"}\n]", to: "q.json")
      let comparison = try sft.succeed(
        "compare", "--questions", "q.json", "--model", SFTBinary.model, "--max-new-tokens", "4", "--json", "--quiet"
      ).json()
      #expect((comparison["items"]?.array ?? []).compactMap { $0["question"]?.string } == ["a", "b"])
      #expect(comparison["items"]?.array?.last?["reference"]?.string == "c")
    }
  }
}
