import Files
import Foundation
import JSON
import TestSupport
import Testing

/// `runs`: what is there and how it stands, and which run the other verbs take.
@Suite struct RunsTests {
  static let short = ["--lora-r", "2", "--batch-size", "2", "--quiet"]

  private func row(_ sft: SFTBinary, _ name: String) throws -> JSONValue {
    try #require(try sft.succeed("runs", "--json").json().array?.first { $0["name"]?.string == name })
  }

  @Test func theTableSaysHowEachRunStands() throws {
    try withSFT { sft in
      #expect(try sft.succeed("runs").output == "no runs in .sft/runs\n")
      try sft.prepare("--val", "0.2")
      try sft.run(["train", "--run", "b", "--max-steps", "3", "--lr", "1e-2"] + Self.short)
      try sft.run(["train", "--run", "a", "--max-steps", "2", "--full", "--batch-size", "2", "--quiet"])
      let best = try #require(try row(sft, "b")["best_loss"]?.double)
      let lines = try sft.succeed("runs").output.split(separator: "\n").map {
        $0.replacing(/\d{4}-\d\d-\d\d \d\d:\d\d/, with: "DATE").split(separator: " ").joined(separator: " ")
      }
      #expect(lines.count == 3)
      #expect(lines[0] == "run started state model data updates best loss")
      #expect(lines[1].hasPrefix("b DATE finished model records.jsonl 3/3 \(best.rounded(.down) == 5 ? "5" : "")"))
      #expect(lines[2].hasPrefix("a DATE finished model records.jsonl 2/2 "))
      let shown = try sft.succeed("runs", "show", "b").output
      #expect(shown.contains("\ntrained     LoRA r 2, alpha 16\n") && shown.contains("\ncheckpoints 3"))
      #expect(
        shown.contains("\nstate       finished, 3 of 3 updates\n") && shown.contains("\nbest        validation loss "))
      #expect(try sft.succeed("runs", "show", "b", "--json").json()["best_loss"]?.double == best)
      try sft.fail(66, "there is no run 'c' in .sft/runs. Those that are there: b, a.", "runs", "show", "c")
    }
  }

  @Test func aRunInProgressIsShownAsSuch() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      let running = try sft.start(
        ["train", "--run", "dd", "--max-steps", "100000", "--save-every", "100000"] + Self.short)
      let log = sft.path(".sft/runs/dd/metrics.jsonl")
      while running.process.isRunning, ((try? readFile(log)) ?? []).count(where: { $0 == 10 }) < 3 { usleep(1000) }
      let live = try row(sft, "dd")
      #expect(live["state"]?.string == "training" && live["finished"]?.bool == false)
      #expect((live["step"]?.int ?? 0) >= 3 && live["steps"]?.int == 100_000)
      #expect(try sft.succeed("runs").output.contains(" training "))
      try sft.fail(64, ".sft/runs/dd: the run 'dd' is being trained now. Give another --run.", "train", "--run", "dd")
      try sft.fail(73, ".sft/runs/dd: another sft process is training this run.", "runs", "rm", "dd", "--yes")
      try sft.fail(
        66,
        ".sft/runs/dd: run dd has no weights yet. It is being trained now: wait for its first checkpoint.", "generate",
        "--instruction", "hi", "--quiet")
      kill(running.process.processIdentifier, SIGKILL)
      _ = try running.finish()
      let killed = try row(sft, "dd")
      #expect(killed["state"]?.string == "stopped" && killed["step"]?.int == 0)
    }
  }

  @Test func aRunThatDivergedIsNeverTheNewest() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      try sft.run(["train", "--run", "good", "--max-steps", "2"] + Self.short)
      let diverged = try sft.run(["train", "--run", "zz", "--max-steps", "20", "--lr", "1e30"] + Self.short)
      #expect(diverged.code == 70)
      let listed = try row(sft, "zz")
      #expect(listed["state"]?.string == "diverged" && listed["step"]?.int == 1)
      #expect(listed["failure"]?.string?.hasPrefix("the loss of step 2 is not a finite number") == true)
      #expect(try sft.succeed("runs", "show", "zz").output.contains("\nfailure     the loss of step 2 is not a finite"))
      let answer = try sft.succeed("generate", "--instruction", "hi", "--max-new-tokens", "2")
      #expect(answer.errors.contains("Run zz diverged at step 2 and is passed over; --run zz takes it.\n"))
      let again = try sft.succeed("train", "--resume")
      #expect(again.errors == "Run good is finished; there is nothing to do.\n")
      // Named, it is tried again and fails as before.
      #expect(try sft.run("train", "--resume", "--run", "zz", "--quiet").code == 70)
    }
  }

  @Test func runsAreRemovedWhenThatIsAgreedTo() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      for name in ["a", "b"] { try sft.run(["train", "--run", name, "--max-steps", "1"] + Self.short) }
      try sft.fail(64, "nobody can be asked whether to remove a. Give --yes.", "runs", "rm", "a")
      try sft.fail(66, "there is no run 'c' in .sft/runs. Those that are there: a, b.", "runs", "rm", "a", "c", "--yes")
      #expect(try directoryEntries(sft.path(".sft/runs")) == ["a", "b"])
      #expect(try sft.succeed("runs", "rm", "a", "--yes").output == "removed .sft/runs/a\n")
      #expect(try directoryEntries(sft.path(".sft/runs")) == ["b"])
      #expect(try sft.succeed("runs", "rm", "b", "-y", "--json").json().array?.map(\.string) == ["b"])
      #expect(try directoryEntries(sft.path(".sft/runs")) == [])
    }
  }

  @Test func aRunWithoutItsSettingsIsNotGoneOnWith() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      try sft.run(["train", "--run", "a", "--max-steps", "2"] + Self.short)
      try removeTree(sft.path(".sft/runs/a/config.json"))
      for verb in ["train", "pretrain"] {
        try sft.fail(
          65,
          ".sft/runs/a: the run has no config.json, so its settings are not known. Start it again under another name; "
            + "`sft runs rm a` removes this one.", verb, "--run", "a", "--resume")
      }
      #expect(try directoryEntries(sft.path(".sft/runs")) == ["a"])
      // It is none that another verb would take.
      try createDirectory(sft.path(".sft/runs/.hidden"))
      #expect(try sft.succeed("runs").output == "no runs in .sft/runs\n")
      try sft.fail(66, "there is no run to resume in .sft/runs.", "train", "--resume")
      try removeTree(sft.path(".sft/runs/.hidden"))
      // A run is there with its settings or not at all: what a killed process began is removed by the next.
      try createDirectory(sft.path(".sft/runs/b.tmp-4194304-7"))
      try sft.run(["train", "--run", "b", "--max-steps", "1"] + Self.short)
      #expect(try directoryEntries(sft.path(".sft/runs")) == ["a", "b"])
    }
  }
}
