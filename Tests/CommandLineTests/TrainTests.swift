import Files
import Foundation
import JSON
import Testing
import TestSupport

/// `train`: the reference curve, resume after every kind of stop, and what it refuses.
@Suite struct TrainTests {
  /// A run of a second or less with everything in it that a resumed run could get wrong: shuffling, dropout, accumulation,
  /// warm-up, validation, samples, early stopping's count.
  static let settings = [
    "--max-steps", "60", "--batch-size", "4", "--grad-accum", "2", "--save-every", "7", "--eval-every", "10",
    "--early-stopping", "50", "--lora-dropout", "0.1", "--lr", "1e-2", "--scheduler", "cosine", "--min-lr", "1e-4",
    "--warmup-steps", "5", "--weight-decay", "0.1", "--quiet",
  ]

  /// And what is added to them: nothing, or an optimiser in 8 bits with tensors of 3,072 to 12,288 elements.
  static let variants: [[String]] = [[], ["--optimizer", "adamw8bit", "--lora-r", "48"]]

  /// Everything that must be equal in two runs.
  private func result(_ sft: SFTBinary, _ run: String) throws -> [[UInt8]] {
    let folder = sft.path(".sft/runs/\(run)")
    let files = ["adapter", "best", "checkpoints/step-60"].map { "\(folder)/\($0)/adapter_model.safetensors" }
    return try (files + ["\(folder)/checkpoints/step-60/optimizer.safetensors", "\(folder)/finished.json"]).map {
      try readFile($0)
    }
  }

  private func expectEqualRuns(
    _ sft: SFTBinary, _ run: String, _ other: String, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    #expect(try result(sft, run) == result(sft, other), sourceLocation: sourceLocation)
    #expect(try sft.metrics(run) == sft.metrics(other), sourceLocation: sourceLocation)
    #expect(try sft.leftovers() == [], sourceLocation: sourceLocation)
  }

  @Test(arguments: ["gpt2-tiny", "gpt2-odd"], ["auto", "plain"])
  func theCurveIsTheReference(_ name: String, _ engine: String) throws {
    try withSFT { sft in
      let reference = try ReferenceCase(name)
      try sft.succeed("prepare", reference.records, "--model", reference.model, "--val", "0", "--quiet")
      let report = try sft.succeed(
        "train", "--init-adapter", reference.adapter, "--no-shuffle", "--batch-size", "4", "--lr", "1e-2",
        "--scheduler",
        "constant", "--max-steps", "6", "--engine", engine, "--run", "curve", "--json"
      ).json()
      #expect(report["steps"]?.int == 6)
      #expect(report["path"]?.string == ".sft/runs/curve")
      let measured = try lines(of: sft.path(".sft/runs/curve/metrics.jsonl")).map { line in
        try line.withUnsafeBytes { try parseJSON($0, file: "metrics.jsonl") }
      }
      let expected = reference.curve("train_lora")
      try #require(expected.count == 6 && measured.count == 6)
      for (index, line) in measured.enumerated() {
        #expect(line["kind"]?.string == "train")
        #expect(line["step"]?.int == index + 1)
        #expect(abs((line["loss"]?.double ?? .nan) - expected[index].loss) < 1e-3)
        #expect(relativeError(line["grad_norm"]?.double ?? .nan, expected[index].gradientNorm) < 1e-3)
        #expect(line["lr"]?.double == 0.01)
        for key in ["accuracy", "tokens", "supervised_tokens", "seconds", "elapsed", "tokens_per_second"] {
          #expect(line[key]?.double != nil, "\(key)")
        }
      }
    }
  }

  @Test func accumulationChangesNothing() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      for (run, batch, accumulation) in [("whole", "8", "1"), ("parts", "2", "4")] {
        try sft.succeed(
          "train", "--max-steps", "4", "--batch-size", batch, "--grad-accum", accumulation, "--run", run, "--lr",
          "1e-2",
          "--quiet")
      }
      func losses(_ run: String) throws -> [Double] {
        try lines(of: sft.path(".sft/runs/\(run)/metrics.jsonl")).map { line in
          try line.withUnsafeBytes { try parseJSON($0, file: "metrics.jsonl") }["loss"]?.double ?? .nan
        }
      }
      for (whole, parts) in zip(try losses("whole"), try losses("parts")) { #expect(abs(whole - parts) < 1e-4) }
    }
  }

  @Test(arguments: variants) func killedRunsGoOnToTheSameBits(_ variant: [String]) throws {
    let settings = Self.settings + variant
    try withSFT { sft in
      try sft.prepare("--val", "0.2")
      try sft.run(["train", "--run", "whole"] + settings)
      var kills = 0
      // Killed after each new checkpoint or so, at a random instant.
      for attempt in 0..<40 where try !fileExists(sft.path(".sft/runs/killed/finished.json")) {
        let isFirst = attempt == 0
        let running = try sft.start(
          ["train", "--run", "killed"] + (isFirst ? settings : ["--resume", "--quiet"]))
        let before = steps(sft, "killed")
        while running.process.isRunning, kills < 6, steps(sft, "killed") < before + 8 { usleep(2000) }
        if running.process.isRunning, kills < 6 {
          usleep(.random(in: 0..<40_000))
          kill(running.process.processIdentifier, SIGKILL)
          kills += 1
        }
        _ = try running.finish()
      }
      #expect(kills >= 3)
      try expectEqualRuns(sft, "whole", "killed")
    }
  }

  /// Updates that a run has logged.
  private func steps(_ sft: SFTBinary, _ run: String) -> Int {
    let log = (try? readFile(sft.path(".sft/runs/\(run)/metrics.jsonl"))) ?? []
    return log.count { $0 == 10 }
  }

  @Test(arguments: [SIGINT, SIGTERM]) func interruptedRunsSayHowToGoOn(_ signal: Int32) throws {
    try withSFT { sft in
      try sft.prepare("--val", "0.2")
      try sft.run(["train", "--run", "whole"] + Self.settings)
      let running = try sft.start(["train", "--run", "stopped"] + Self.settings)
      while running.process.isRunning, steps(sft, "stopped") < 3 { usleep(1000) }
      kill(running.process.processIdentifier, signal)
      let outcome = try running.finish()
      #expect(outcome.code == 128 + signal)
      #expect(running.process.terminationReason == .exit)
      let words = outcome.errors.split(separator: " ")
      let step = words.firstIndex(of: "step").map { String(words[$0 + 1].dropLast()) } ?? "?"
      #expect(
        outcome.errors
          == "stopped after step \(step); a checkpoint is saved. Go on with `sft train --run stopped --resume`.\n"
      )
      #expect(try fileExists(sft.path(".sft/runs/stopped/checkpoints/step-\(step)")))
      let listed = try sft.succeed("runs", "--json").json().array?.last
      #expect(listed?["name"]?.string == "stopped" && listed?["state"]?.string == "stopped")
      #expect(listed?["step"]?.int == Int(step) && listed?["steps"]?.int == 60)
      let resumed = try sft.succeed("train", "--resume")
      #expect(resumed.errors.contains("Going on from the checkpoint of step \(step).\n"))
      try expectEqualRuns(sft, "whole", "stopped")
    }
  }

  @Test(arguments: variants) func aDamagedCheckpointIsPassedOver(_ variant: [String]) throws {
    let settings = Self.settings + variant
    try withSFT { sft in
      try sft.prepare("--val", "0.2")
      try sft.run(["train", "--run", "whole"] + settings)
      try sft.run(["train", "--run", "damaged"] + settings)
      let folder = sft.path(".sft/runs/damaged")
      try removeTree(folder + "/finished.json")
      var bytes = try readFile(folder + "/checkpoints/step-60/optimizer.safetensors")
      bytes[bytes.count / 2] ^= 1
      try writeAtomically(bytes, to: folder + "/checkpoints/step-60/optimizer.safetensors")
      let outcome = try sft.succeed("train", "--resume", "--run", "damaged")
      #expect(outcome.errors.contains("checkpoint step-60 is passed over: "))
      #expect(outcome.errors.contains("Going on from the checkpoint of step 56.\n"))
      try expectEqualRuns(sft, "whole", "damaged")
    }
  }

  @Test func finishedAndChangedRunsAreNotResumed() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      try sft.succeed("train", "--max-steps", "2", "--run", "a", "--quiet")
      let before = try sft.metrics("a")
      let again = try sft.succeed("train", "--run", "a", "--resume")
      #expect(again.errors == "Run a is finished; there is nothing to do.\n")
      #expect(try sft.metrics("a") == before)
      try sft.fail(
        64,
        "run a cannot go on with changed settings: --lr 0.1 (it was 0.0002), --seed 7 (it was 42). Leave them out, or "
          + "start a new run.", "train", "--run", "a", "--resume", "--lr", "0.1", "--seed", "7")
      try sft.fail(
        64, ".sft/runs/a: the run 'a' exists already. Give another --run, or go on with it with --resume.", "train",
        "--run", "a")
      try sft.fail(
        66, "there is no run 'b' in .sft/runs. Those that are there: a.", "train", "--run", "b", "--resume",
        "--max-steps", "1")
      #expect(try directoryEntries(sft.path(".sft/runs")) == ["a"])
      try sft.fail(66, "there is no run to resume in other/runs.", "train", "--resume", "--workspace", "other")
    }
  }

  @Test func aLossThatIsNotANumberStopsTheRun() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      let outcome = try sft.run(
        "train", "--lr", "1e30", "--max-steps", "20", "--save-every", "1", "--batch-size", "2", "--no-shuffle",
        "--quiet")
      #expect(outcome.code == 70)
      #expect(
        outcome.errors.replacing(SFTBinary.records, with: "R") == """
          error: the loss of step 2 is not a finite number at the learning rate 9.5e29, over the records R:3, R:4; the \
          checkpoint of step 1 is kept. Try a lower --lr, or a warm-up with --warmup-steps, or look at those records.

          """)
      #expect(try directoryEntries(sft.path(".sft/runs/run-1/checkpoints")) == ["step-1"])
      #expect(try sft.metrics("run-1").count == 1)
    }
  }

  @Test func earlyStoppingKeepsTheBest() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0.2")
      let report = try sft.succeed(
        "train", "--max-steps", "200", "--lr", "0.05", "--eval-every", "1", "--early-stopping", "2", "--json", "--quiet"
      ).json()
      let steps = try #require(report["steps"]?.int)
      #expect(report["stopped_early"]?.bool == true)
      #expect(report["best_step"]?.int == steps - 2)
      let evaluated = try lines(of: sft.path(".sft/runs/run-1/metrics.jsonl")).map { line in
        try line.withUnsafeBytes { try parseJSON($0, file: "metrics.jsonl") }
      }
      let losses = evaluated.filter { $0["kind"]?.string == "eval" }.compactMap { $0["loss"]?.double }
      #expect(losses.count == steps)
      #expect(losses.min() == report["best_loss"]?.double)
      #expect(evaluated.contains { $0["kind"]?.string == "sample" && $0["text"]?.string != nil })
      let again = try sft.succeed("train", "--resume", "--run", "run-1")
      #expect(again.errors == "Run run-1 is finished; there is nothing to do.\n")
    }
  }

  @Test func twoProcessesDoNotTrainOneRun() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      let running = try sft.start(["train", "--run", "a", "--max-steps", "2000", "--quiet"])
      while running.process.isRunning, steps(sft, "a") < 1 { usleep(1000) }
      try sft.fail(
        73, ".sft/runs/a: another sft process is training this run.", "train", "--run", "a", "--resume")
      kill(running.process.processIdentifier, SIGINT)
      #expect(try running.finish().code == 130)
    }
  }

  @Test func schedulesGoAsTransformersDo() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      func rates(_ kind: String) throws -> [Double] {
        try sft.succeed(
          "train", "--run", kind, "--scheduler", kind, "--max-steps", "6", "--warmup-steps", "2", "--lr", "0.8",
          "--min-lr", "0.08", "--batch-size", "1", "--lora-r", "1", "--max-grad-norm", "1e-9", "--quiet")
        return try lines(of: sft.path(".sft/runs/\(kind)/metrics.jsonl")).map { line in
          try line.withUnsafeBytes { try parseJSON($0, file: "metrics.jsonl") }["lr"]?.double ?? .nan
        }
      }
      func expect(_ rates: [Double], _ expected: [Double]) {
        #expect(rates.count == 6)
        for (rate, value) in zip(rates, expected) { #expect(abs(rate - value) < 1e-12) }
      }
      expect(try rates("constant"), [0, 0.4, 0.8, 0.8, 0.8, 0.8])
      expect(try rates("linear"), [0, 0.4, 0.8, 0.62, 0.44, 0.26])
      let down = [0, 0.25, 0.5, 0.75].map { 0.08 + 0.72 * 0.5 * (1 + cos(.pi * $0)) }
      expect(try rates("cosine"), [0, 0.4] + down)
    }
  }

  @Test func loraOptionsDecideWhatIsAdapted() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      try sft.succeed(
        "train", "--run", "a", "--max-steps", "1", "--lora-r", "4", "--lora-alpha", "8", "--rslora", "--lora-targets",
        "c_attn,mlp.c_proj", "--lora-layers", "1-2", "--quiet")
      let adapter = try sft.succeed("inspect", "adapter", ".sft/runs/a/adapter", "--json").json()
      #expect(adapter["lora"]?["rank"]?.int == 4)
      #expect(adapter["lora"]?["alpha"]?.double == 8)
      #expect(adapter["lora"]?["rank_stabilized"]?.bool == true)
      let names = (adapter["tensors"]?.array ?? []).compactMap { $0["name"]?.string }
      #expect(
        names.filter { $0.hasSuffix("lora_A.weight") } == [
          "base_model.model.transformer.h.1.attn.c_attn.lora_A.weight",
          "base_model.model.transformer.h.1.mlp.c_proj.lora_A.weight",
          "base_model.model.transformer.h.2.attn.c_attn.lora_A.weight",
          "base_model.model.transformer.h.2.mlp.c_proj.lora_A.weight",
        ])
      let configuration = try parseJSONFile(sft.path(".sft/runs/a/adapter/adapter_config.json"))
      #expect(configuration["use_rslora"]?.bool == true)
      #expect(configuration["layers_to_transform"]?.array?.map(\.int) == [1, 2])
      try sft.fail(
        64, "no linear of the model is named 'foo'. Its linears are c_attn, c_fc, c_proj, or all-linear for every one.",
        "train", "--lora-targets", "foo")
      try sft.fail(
        64, "there is no layer 8 to adapt: the model has layers 0 to 2.", "train", "--lora-layers", "8-11")
      try sft.fail(64, "the LoRA rank is 0, expected 1 to 65536.", "train", "--lora-r", "0")
      try sft.fail(
        64,
        "\(SFTBinary.tiny)/adapter: --lora-r is 4, but the adapter to start from has 8. Leave --lora-r out: an adapter "
          + "brings its own.", "train", "--init-adapter", SFTBinary.tiny + "/adapter", "--lora-r", "4")
      // Nothing of the refused runs is left.
      #expect(try directoryEntries(sft.path(".sft/runs")) == ["a"])
    }
  }

  @Test func impossibleNumbersAreRefused() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      func refuse(_ message: String, _ options: String...) throws {
        let outcome = try sft.run(["train"] + options)
        #expect(outcome.errors.hasPrefix("error: \(message)\n"), "\(outcome.errors)")
        #expect(outcome.code == 64)
      }
      let largest = "\(Int.max)"
      try refuse("--batch-size must be at most 65,536.", "--batch-size", largest, "--grad-accum", "2")
      try refuse("--grad-accum must be at most 65,536.", "--grad-accum", largest)
      try refuse("--max-steps must be at most 1,000,000,000.", "--max-steps", largest)
      try refuse("--warmup-steps must be at most 1,000,000,000.", "--warmup-steps", largest)
      try refuse("--batch-size must be at least 1.", "--batch-size", "0")
      try refuse("--lr must be above 0.", "--lr", "nan")
      try refuse("--betas takes two numbers from 0 to below 1, such as 0.9,0.999.", "--betas", "0.9")
      try refuse("--lora-layers takes layers such as 8-11 or 0,2,4.", "--lora-layers", "5-2")
      try refuse("Give --epochs or --max-steps, not both.", "--epochs", "1", "--max-steps", "1")
      try sft.fail(64, "that many epochs cannot be.", "train", "--epochs", "1e300")
      try sft.fail(
        64, "there are no validation records to evaluate on. Prepare the data with --val or --val-file.", "train",
        "--eval-every", "2")
      try sft.fail(
        64, "'../x' cannot be a run's name. Use letters, digits, '-', '_' and '.'.", "train", "--run", "../x")
    }
  }
}
