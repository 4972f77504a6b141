import Files
import Foundation
import JSON
import TestSupport
import Testing

/// `train --lr a,b,c`: each run's bits are those of the run alone, whatever happens to the sweep.
@Suite struct SweepTests {
  private static let settings = [
    "--max-steps", "150", "--batch-size", "4", "--save-every", "20", "--eval-every", "50", "--lora-dropout", "0.1",
    "--lora-r", "4", "--warmup-steps", "3", "--min-lr", "1e-5", "--quiet",
  ]
  private static let rates = ["1e-3", "1e-2", "3e-2"]

  /// Everything in a run's folder that no clock decides.
  private func content(_ sft: SFTBinary, _ run: String) throws -> [String: [UInt8]] {
    let folder = sft.path(".sft/runs/\(run)")
    var files: [String: [UInt8]] = ["metrics": try sft.metrics(run).joined(separator: "\n").utf8.map { $0 }]
    func add(_ path: String) throws {
      for name in try directoryEntries(folder + path) where !["metrics.jsonl", "origin.json", "lock"].contains(name) {
        let place = path + "/" + name
        if try directoryExists(folder + place) { try add(place) } else { files[place] = try readFile(folder + place) }
      }
    }
    try add("")
    return files
  }

  private func expectSame(
    _ sft: SFTBinary, _ run: String, _ other: String, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let (first, second) = (try content(sft, run), try content(sft, other))
    #expect(first.keys.sorted() == second.keys.sorted(), sourceLocation: sourceLocation)
    for (name, bytes) in first { #expect(second[name] == bytes, "\(name)", sourceLocation: sourceLocation) }
  }

  @Test(arguments: [
    [], ["--qlora"], ["--lora-layers", "2", "--epochs", "10"], ["--init-adapter", SFTBinary.tiny + "/adapter"],
    ["--full"],
  ])
  func eachRunIsTheRunAlone(_ options: [String]) throws {
    try withSFT { sft in
      try sft.prepare("--val", "0.2")
      let common = ["--batch-size", "4", "--eval-every", "5", "--quiet"]
      let settings = (options.contains("--epochs") ? [] : ["--max-steps", "12"]) + common + options
      let report = try sft.run(["train", "--json", "--lr", "1e-3,1e-2"] + settings)
      #expect(report.code == 0 && report.errors == "", "\(report.errors)")
      for rate in ["1e-3", "1e-2"] {
        #expect(try sft.run(["train", "--run", "alone-\(rate)", "--lr", rate] + settings).code == 0)
        try expectSame(sft, "alone-\(rate)", "run-1-lr\(rate)")
      }
      if options == ["--qlora"] {
        #expect(try directoryEntries(sft.path(".sft/artifacts/quantized")).count { !$0.hasPrefix(".") } == 1)
      }
      let runs = try #require(try report.json()["runs"]?.array)
      #expect(runs.compactMap { $0["run"]?.string } == ["run-1-lr1e-3", "run-1-lr1e-2"])
      #expect(runs.compactMap { $0["learning_rate"]?.double } == [1e-3, 1e-2])
      for run in runs {
        let finished = try parseJSONFile(sft.path((run["path"]?.string ?? "") + "/finished.json"))
        #expect(run["best_loss"]?.double == finished["best_loss"]?.double && run["best_loss"] != nil)
        #expect(run["best_step"]?.int == finished["best_step"]?.int)
        #expect((run["tokens_per_second"]?.double ?? 0) > 0 && run["diverged_at"] == nil)
      }
      let best = runs.min { ($0["best_loss"]?.double ?? 0) < ($1["best_loss"]?.double ?? 0) }
      #expect(try report.json()["best"]?.string == best?["run"]?.string)
    }
  }

  @Test func theTableNamesTheBest() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0.2")
      let output = try sft.succeed(
        "train", "--lr", "1e-4,1e-2,1e30", "--run", "a", "--max-steps", "10", "--quiet"
      ).output
      let lines = output.split(separator: "\n").map(String.init)
      try #require(lines.count == 7)
      func words(_ line: String) -> [String] { line.split(separator: " ").map(String.init) }
      #expect(words(lines[0]) == ["lr", "last", "loss", "validation", "at", "step", "updates", "tokens/s", "run"])
      #expect(lines[1].hasPrefix("  1e-4 ") && lines[2].hasPrefix("* 1e-2 ") && lines[3].hasPrefix("  1e30 "))
      #expect(words(lines[2]).last == "a-lr1e-2" && words(lines[3])[1] == "diverged")
      #expect(
        lines[4...] == [
          "* lowest validation loss. The other verbs take the newest run; for this one say",
          "  sft compare --questions FILE --run a-lr1e-2", "  sft export --to DIR --run a-lr1e-2",
        ])
      #expect(try sft.run("export", "--to", "out", "--run", "a-lr1e-2").code == 0)
    }
  }

  @Test func withoutValidationTheLastLossDecides() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      let outcome = try sft.succeed("train", "--lr", "1e-2,1e-5", "--max-steps", "10", "--json", "--quiet")
      #expect(try outcome.json()["best"]?.string == "run-1-lr1e-2")
      #expect(try outcome.json()["runs"]?.array?.allSatisfy { $0["best_loss"] == nil } == true)
    }
  }

  @Test func whereAllDivergeThereIsNoBest() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      let outcome = try sft.run("train", "--lr", "1e29,1e30", "--max-steps", "10", "--quiet")
      #expect(outcome.code == 70)
      #expect(outcome.errors == "error: every run diverged. Try lower rates; `sft lr-find` suggests one.\n")
      #expect(outcome.output.split(separator: "\n").count == 3)
    }
  }

  private func updates(_ sft: SFTBinary, _ run: String) -> Int {
    ((try? readFile(sft.path(".sft/runs/\(run)/metrics.jsonl"))) ?? []).count { $0 == 10 }
  }

  /// Starts a sweep and sends a signal when the run of a rate has some updates.
  private func stopped(_ sft: SFTBinary, at rate: String, by signal: Int32) throws -> Outcome {
    let running = try sft.start(
      ["train", "--run", "stopped", "--lr", Self.rates.joined(separator: ",")] + Self.settings)
    while running.process.isRunning, updates(sft, "stopped-lr\(rate)") < 5 { usleep(500) }
    kill(running.process.processIdentifier, signal)
    return try running.finish()
  }

  /// Neither the settings nor the name need be given again.
  @Test(arguments: rates, [SIGINT, SIGKILL]) func itGoesOn(_ rate: String, _ signal: Int32) throws {
    try withSFT { sft in
      try sft.prepare("--val", "0.2")
      let list = Self.rates.joined(separator: ",")
      #expect(try sft.run(["train", "--run", "whole", "--lr", list] + Self.settings).code == 0)
      let outcome = try stopped(sft, at: rate, by: signal)
      if signal == SIGINT {
        #expect(outcome.code == 130 && outcome.output == "")
        #expect(outcome.errors.hasPrefix("stopped after step "), "\(outcome.errors)")
        #expect(
          outcome.errors.hasSuffix(
            " of run stopped-lr\(rate); a checkpoint is saved. "
              + "Go on with `sft train --run stopped --lr \(list) --resume`.\n"))
      }
      #expect(try !fileExists(sft.path(".sft/runs/stopped-lr\(rate)/finished.json")))
      let done = Self.rates.prefix { $0 != rate }
      let before = try done.map { try readFile(sft.path(".sft/runs/stopped-lr\($0)/metrics.jsonl")) }
      let resumed = try sft.succeed("train", "--resume", "--lr", list, "--json")
      for name in done {
        #expect(resumed.errors.contains("Run stopped-lr\(name) is finished; there is nothing to do.\n"))
      }
      #expect(try done.map { try readFile(sft.path(".sft/runs/stopped-lr\($0)/metrics.jsonl")) } == before)
      #expect(try resumed.json()["runs"]?.array?.count == 3)
      for rate in Self.rates { try expectSame(sft, "whole-lr\(rate)", "stopped-lr\(rate)") }
      #expect(try sft.leftovers() == [])
    }
  }

  @Test func anInitialAdapterIsAskedForAgain() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      let adapter = ["--init-adapter", SFTBinary.tiny + "/adapter"]
      let short = ["--max-steps", "3", "--quiet"]
      #expect(try sft.run(["train", "--run", "s-lr1e-2", "--lr", "1e-2"] + adapter + short).code == 0)
      #expect(try sft.run(["train", "--run", "alone", "--lr", "1e-3"] + adapter + short).code == 0)
      try sft.fail(
        64,
        "run s-lr1e-3 is to start from another adapter, as the others did. Give that again with --init-adapter.",
        "train", "--run", "s", "--lr", "1e-2,1e-3", "--resume")
      #expect(try !fileExists(sft.path(".sft/runs/s-lr1e-3")))
      #expect(try sft.run(["train", "--run", "s", "--lr", "1e-2,1e-3", "--resume", "--quiet"] + adapter).code == 0)
      try expectSame(sft, "alone", "s-lr1e-3")
    }
  }

  @Test func wrongListsAreRefused() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      func refuse(_ message: String, _ list: String, _ options: String...) throws {
        let outcome = try sft.run(["train", "--lr=\(list)"] + options)
        #expect(outcome.errors.hasPrefix("error: \(message)\n"), "\(outcome.errors)")
        #expect(outcome.code == 64 && outcome.output == "")
      }
      let form = "--lr takes a rate, auto, or several such as 1e-4,3e-4,1e-3; "
      for list in ["1e-4,", ",1e-4", "1e-4,,1e-3", ","] { try refuse(form + "one of these is empty.", list) }
      try refuse(form + "'x' is no number.", "1e-4,x")
      try refuse("--lr names the rate 1e-4 twice.", "1e-4,2e-4,0.0001")
      for list in ["0,1", "1e-4,-1", "1e-4,nan", "1e-4,inf"] { try refuse("--lr must be above 0.", list) }
      try refuse("--min-lr must not be above --lr.", "1e-3,1e-5", "--min-lr", "1e-4")
      try refuse("The value 'x' is invalid for '--lr <RATE>'", "x")
      #expect(try !fileExists(sft.path(".sft/runs")))
      try sft.fail(
        66, "there is no sweep over any of these rates to go on with in .sft/runs.", "train", "--lr", "1e-3,1e-4",
        "--resume")
    }
  }

  @Test func collisionsAreRefusedBeforeAnythingStarts() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      try sft.succeed("train", "--run", "a-lr1e-2", "--max-steps", "1", "--quiet")
      try sft.fail(
        64,
        ".sft/runs/a-lr1e-2: the run 'a-lr1e-2' exists already. Give another --run, or go on with it with --resume.",
        "train", "--run", "a", "--lr", "1e-3,1e-2")
      try sft.fail(
        64, "'../x-lr1e-3' cannot be a run's name. Use letters, digits, '-', '_' and '.'.", "train", "--run", "../x",
        "--lr", "1e-3,1e-2")
      try createDirectory(sft.path("charts/b-lr1e-2"))
      try sft.write("", to: "charts/b-lr1e-2/events.out.tfevents.1.x")
      try sft.fail(
        64,
        "HERE/charts/b-lr1e-2: holds event files of another run already. Remove them, or give another --run or "
          + "--tensorboard.", "train", "--run", "b", "--lr", "1e-3,1e-2", "--tensorboard", "charts")
      #expect(try directoryEntries(sft.path(".sft/runs")) == ["a-lr1e-2"])
      // Changed settings are refused as of one run, of those that are still to start too.
      try sft.fail(
        64,
        "run a-lr1e-2 cannot go on with changed settings: --lr 0.01 (it was 0.0002). Leave them out, or start a new run.",
        "train", "--run", "a", "--lr", "1e-2,1e-3", "--resume")
      try sft.succeed("train", "--run", "c-lr1e-2", "--lr", "1e-2", "--max-steps", "1", "--quiet")
      try sft.fail(
        64,
        "run c-lr1e-3 cannot go on with changed settings: --seed 7 (it was 42). Leave them out, or start a new run.",
        "train", "--run", "c", "--lr", "1e-3,1e-2", "--resume", "--seed", "7")
      // Numbers that runs and sweeps have are not taken.
      let short = ["train", "--max-steps", "1", "--quiet"]
      #expect(try sft.run(short).code == 0)
      #expect(try sft.run(short + ["--lr", "1e-3,1e-2"]).code == 0)
      #expect(try sft.run(short + ["--lr", "1e-3,1e-4"]).code == 0)
      #expect(
        try directoryEntries(sft.path(".sft/runs")).filter { $0.hasPrefix("run-") }.sorted() == [
          "run-1", "run-2-lr1e-2", "run-2-lr1e-3", "run-3-lr1e-3", "run-3-lr1e-4",
        ])
    }
  }

  @Test func modelsFromScratchTakeRatesToo() throws {
    try withSFT { sft in
      try sft.write(#"{"model_type":"gpt2","n_positions":32,"n_embd":16,"n_layer":2,"n_head":2}"#, to: "c.json")
      try sft.write((0..<400).map { "The number \($0) follows \($0 - 1)." }.joined(separator: "\n"), to: "text.txt")
      let settings = ["--max-steps", "30", "--save-every", "5", "--batch-size", "3", "--val", "0.1", "--quiet"]
      let command = ["pretrain", "text.txt", "--config", "c.json", "--vocab-size", "300"] + settings
      for rate in ["1e-3", "1e-2"] {
        #expect(try sft.run(command + ["--run", "alone-\(rate)", "--lr", rate]).code == 0)
      }
      let running = try sft.start(command + ["--run", "s", "--lr", "1e-3,1e-2"])
      while running.process.isRunning, updates(sft, "s-lr1e-3") < 5 { usleep(500) }
      kill(running.process.processIdentifier, SIGINT)
      let outcome = try running.finish()
      #expect(outcome.code == 130)
      #expect(outcome.errors.hasSuffix("Go on with `sft pretrain --run s --lr 1e-3,1e-2 --resume`.\n"))
      // The text is not asked for again, nor looked at.
      try removeTree(sft.path("text.txt"))
      let table = try sft.succeed("pretrain", "--run", "s", "--lr", "1e-3,1e-2", "--resume", "--quiet").output
      #expect(table.hasSuffix("  sft generate --prompt TEXT --run s-lr1e-2\n  sft export --to DIR --run s-lr1e-2\n"))
      for rate in ["1e-3", "1e-2"] {
        for file in ["model/model.safetensors", "best/model.safetensors", "finished.json", "blueprint/config.json"] {
          #expect(
            try readFile(sft.path(".sft/runs/s-lr\(rate)/\(file)"))
              == readFile(sft.path(".sft/runs/alone-\(rate)/\(file)")), "\(file)")
        }
        #expect(try sft.metrics("s-lr\(rate)") == sft.metrics("alone-\(rate)"))
      }
      try sft.fail(
        64, "run s-lr1e-3 was started by `sft pretrain`. Go on with it with `sft pretrain --run s-lr1e-3 --resume`.",
        "train", "--run", "s", "--lr", "1e-3,1e-2", "--resume")
    }
  }
}
