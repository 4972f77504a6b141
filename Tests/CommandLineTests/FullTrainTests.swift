import Files
import Foundation
import JSON
import TestSupport
import Testing

/// `train --full`: the reference curve, resume, what the other verbs make of such a run, and what it refuses.
@Suite struct FullTrainTests {
  static let settings = [
    "--full", "--max-steps", "40", "--batch-size", "4", "--grad-accum", "2", "--save-every", "7", "--eval-every", "10",
    "--dropout", "0.1", "--lr", "1e-3", "--quiet",
  ]

  @Test(arguments: ["gpt2-tiny", "gpt2-odd"], ["auto", "plain"])
  func theCurveIsTheReference(_ name: String, _ engine: String) throws {
    try withSFT { sft in
      let reference = try ReferenceCase(name)
      try sft.succeed("prepare", reference.records, "--model", reference.model, "--val", "0", "--quiet")
      try sft.succeed(
        "train", "--full", "--no-shuffle", "--batch-size", "4", "--lr", "1e-3", "--scheduler", "constant",
        "--max-steps", "6", "--engine", engine, "--run", "curve", "--quiet")
      let measured = try lines(of: sft.path(".sft/runs/curve/metrics.jsonl")).map { line in
        try line.withUnsafeBytes { try parseJSON($0, file: "metrics.jsonl") }
      }
      let expected = reference.curve("train_full")
      try #require(expected.count == 6 && measured.count == 6)
      for (line, step) in zip(measured, expected) {
        #expect(relativeError(line["loss"]?.double ?? .nan, step.loss) < 1e-3)
        #expect(relativeError(line["grad_norm"]?.double ?? .nan, step.gradientNorm) < 1e-3)
      }
    }
  }

  @Test func killedRunsGoOnToTheSameBits() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0.2")
      try sft.run(["train", "--run", "whole"] + Self.settings)
      var kills = 0
      for attempt in 0..<20 where try !fileExists(sft.path(".sft/runs/killed/finished.json")) {
        let running = try sft.start(
          ["train", "--run", "killed"] + (attempt == 0 ? Self.settings : ["--resume", "--quiet"]))
        let before = steps(sft)
        while running.process.isRunning, kills < 3, steps(sft) < before + 9 { usleep(2000) }
        if running.process.isRunning, kills < 3 {
          usleep(.random(in: 0..<20_000))
          kill(running.process.processIdentifier, SIGKILL)
          kills += 1
        }
        _ = try running.finish()
      }
      #expect(kills >= 2)
      for file in [
        "model/model.safetensors", "best/model.safetensors", "checkpoints/step-40/optimizer.safetensors",
        "finished.json",
      ] {
        #expect(
          try readFile(sft.path(".sft/runs/whole/" + file)) == readFile(sft.path(".sft/runs/killed/" + file)), "\(file)"
        )
      }
      #expect(try sft.metrics("whole") == sft.metrics("killed"))
      #expect(try sft.leftovers() == [])
    }
  }

  private func steps(_ sft: SFTBinary) -> Int {
    ((try? readFile(sft.path(".sft/runs/killed/metrics.jsonl"))) ?? []).count { $0 == 10 }
  }

  @Test func otherVerbsTakeTheRunsModel() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0.2")
      try sft.run(["train", "--run", "a"] + Self.settings)
      let listed = try sft.succeed("runs", "--json").json().array?.first
      #expect(listed?["state"]?.string == "finished" && listed?["method"]?.string == "full")
      func loss(_ arguments: String...) throws -> Double {
        let outcome = try sft.run(["eval", "--data", SFTBinary.records, "--json"] + arguments)
        #expect(outcome.code == 0, "\(outcome.errors)")
        return try outcome.json()["loss"]?.double ?? .nan
      }
      let (base, tuned, checkpoint) = (try loss("--base"), try loss(), try loss("--checkpoint", "40"))
      #expect(tuned < base - 0.5)
      #expect(try loss("--model", ".sft/runs/a/best") == tuned)
      #expect(try loss("--model", ".sft/runs/a/model") == checkpoint)
      #expect(try loss("--model", SFTBinary.model) == base)

      let exported = try sft.succeed("export", "--to", "out", "--json")
      #expect(try exported.json()["format"]?.string == "merged")
      #expect(try directoryEntries(sft.path("out")).sorted() == directoryEntries(SFTBinary.model).sorted())
      #expect(try loss("--model", "out") == tuned)
      try sft.fail(
        64, "there is no adapter to export: run a trained all weights. Give --format merged.", "export", "--format",
        "peft", "--to", "peft")

      try sft.write("Name a colour.\nName a bird.\n", to: "questions.txt")
      let comparison = try sft.succeed(
        "compare", "--questions", "questions.txt", "--max-new-tokens", "12", "--json"
      ).json()
      for (index, item) in (comparison["items"]?.array ?? []).enumerated() {
        let question = ["Name a colour.", "Name a bird."][index]
        func answer(_ arguments: String...) throws -> String? {
          try sft.run(
            ["generate", "--instruction", question, "--max-new-tokens", "12", "--json"] + arguments
          ).json()["text"]?.string
        }
        #expect(item["base"]?["text"]?.string == (try answer("--base")))
        #expect(item["tuned"]?["text"]?.string == (try answer()))
      }
      #expect(comparison["items"]?.array?.count == 2)
      try sft.fail(
        64,
        "run a has a whole model of its own, which --model \(fixturesFolder)/gpt2-odd/model has no part in. Leave "
          + "--model out.", "eval", "--data", SFTBinary.records, "--run", "a", "--model",
        fixturesFolder + "/gpt2-odd/model")
      #expect(try loss("--model", SFTBinary.model, "--run", "a") == tuned)
    }
  }

  @Test func impossibleCombinationsAreRefused() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      func refuse(_ message: String, _ options: String...) throws {
        let outcome = try sft.run(["train"] + options)
        #expect(outcome.errors.hasPrefix("error: \(message)\n"), "\(outcome.errors)")
        #expect(outcome.code == 64)
      }
      for (flag, value) in [
        ("--lora-r", "4"), ("--lora-alpha", "4"), ("--lora-dropout", "0.1"), ("--lora-targets", "c_attn"),
        ("--lora-layers", "0"), ("--init-adapter", SFTBinary.tiny + "/adapter"),
      ] {
        try refuse(
          "\(flag) does not go with --full, which trains all weights instead of an adapter.", "--full", flag, value)
      }
      try refuse(
        "--qlora does not go with --full, which trains all weights instead of an adapter.", "--full", "--qlora")
      try refuse(
        "--rslora does not go with --full, which trains all weights instead of an adapter.", "--full", "--rslora")
      try refuse("--dropout must be from 0 to below 1.", "--full", "--dropout", "1")
      try sft.succeed("train", "--full", "--max-steps", "1", "--run", "a", "--quiet")
      try sft.fail(
        64,
        "run a cannot go on with changed settings: --lora-r (it trains all weights), --dropout 0.5 (it was 0.0). "
          + "Leave them out, or start a new run.", "train", "--run", "a", "--resume", "--lora-r", "4", "--dropout",
        "0.5")
      try sft.succeed("quantize", "--model", SFTBinary.model, "--to", "nf4", "--quiet")
      try sft.fail(
        64,
        "nf4: the model is stored in 4 bits, which --full cannot train. Give --model the folder that it was quantised "
          + "from, or train an adapter.", "train", "--full", "--model", "nf4")
      #expect(try directoryEntries(sft.path(".sft/runs")) == ["a"])
    }
  }
}
