import Files
import Foundation
import JSON
import TestSupport
import Testing

/// `plan`, and `train` where there is not the memory for it.
@Suite struct PlanTests {
  private func plan(_ sft: SFTBinary, _ arguments: String...) throws -> JSONValue {
    let outcome = try sft.run(["plan", "--json", "--quiet"] + arguments)
    #expect(outcome.code == 0, "\(outcome.errors)")
    return try outcome.json()
  }

  @Test func itSaysWhatARunTakesAndLeavesNone() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      let report = try plan(sft, "--max-steps", "7", "--batch-size", "4")
      #expect(report["updates"] == .integer(7))
      #expect(report["fits"] == .bool(true))
      #expect(report["suggestions"]?.array?.isEmpty == true)
      for key in ["peak_memory_bytes", "disk_bytes", "records", "tokens_per_epoch", "largest_batch_rows"] {
        guard case .integer(let value)? = report[key] else {
          Issue.record("\(key) is not a number")
          continue
        }
        #expect(value > 0, "\(key)")
      }
      for key in ["seconds_per_update", "seconds"] { #expect((report[key]?.double ?? 0) > 0, "\(key)") }
      let parts = (report["memory"]?.array ?? []).compactMap { $0["name"]?.string }
      #expect(
        Set(["process", "weights", "adapter", "gradients", "moments", "activations", "logits"]).isSubset(of: parts))
      #expect(try !directoryExists(sft.path(".sft/runs")))
      #expect(try !directoryExists(sft.path(".sft/artifacts/quantized")))
      let text = try sft.succeed("plan", "--qlora", "--gradient-checkpointing", "--quiet").output
      #expect(text.contains("memory      ") && text.contains("time        ") && text.contains("quantised base"))
      try sft.fail(
        66, "there is no prepared data in none. Run `sft prepare FILE` first.", "plan", "--workspace", "none", "--quiet"
      )
    }
  }

  /// What saves memory is said to.
  @Test func theFlagsMatter() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      func bytes(_ part: String, _ arguments: String...) throws -> Int {
        let outcome = try sft.run(["plan", "--json", "--quiet", "--batch-size", "8"] + arguments)
        let part = try outcome.json()["memory"]?.array?.first { $0["name"]?.string == part }
        guard case .integer(let bytes)? = part?["bytes"] else { return 0 }
        return bytes
      }
      #expect(try bytes("activations", "--gradient-checkpointing") < bytes("activations"))
      #expect(try bytes("activations", "--batch-size", "2") < bytes("activations"))
      #expect(try bytes("weights", "--qlora") < bytes("weights"))
      #expect(try bytes("moments", "--full", "--optimizer", "adamw8bit") < bytes("moments", "--full") / 3)
      #expect(try bytes("trained weights", "--full") > bytes("adapter"))
    }
  }

  @Test func aRunTellsItsPlanFirst() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      let outcome = try sft.succeed("train", "--max-steps", "2", "--run", "a")
      #expect(outcome.errors.hasPrefix("plan        "), "\(outcome.errors)")
      #expect(outcome.errors.contains(" of memory of "))
    }
  }

  /// A hundred million rows do not fit anywhere; nothing is started.
  @Test func whatCannotFitIsRefusedUnlessInsistedOn() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      sft.environment["SFT_AVAILABLE_MEMORY"] = "1000000"
      let outcome = try sft.run("train", "--run", "a", "--max-steps", "2", "--quiet")
      #expect(outcome.code == 64, "\(outcome.errors)")
      #expect(outcome.errors.hasPrefix("error: the run would take "), "\(outcome.errors)")
      #expect(outcome.errors.contains("and 1.0 MB are available."), "\(outcome.errors)")
      #expect(outcome.errors.contains("--no-memory-check starts it all the same."), "\(outcome.errors)")
      #expect(try !directoryExists(sft.path(".sft/runs")))
      let report = try plan(sft)
      #expect(report["fits"] == .bool(false))
      try sft.succeed("train", "--run", "a", "--max-steps", "2", "--no-memory-check", "--quiet")
    }
  }

  /// And so are a range test, a sweep, and a new model's training.
  @Test func othersThatCannotFitAreRefusedToo() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      let corpus = (0..<400).map { "The number \($0) follows \($0 - 1) and goes before \($0 + 1)." }
      try sft.write(corpus.joined(separator: "\n"), to: "numbers.txt")
      try sft.write(
        #"{"model_type": "gpt2", "vocab_size": 1, "n_positions": 32, "n_embd": 24, "n_layer": 2, "n_head": 3}"#,
        to: "config.json")
      sft.environment["SFT_AVAILABLE_MEMORY"] = "1000000"
      let verbs = [
        ["lr-find", "--steps", "12"], ["train", "--lr", "1e-4,2e-4", "--max-steps", "2"],
        ["pretrain", "numbers.txt", "--config", "config.json", "--vocab-size", "300", "--max-steps", "2"],
      ]
      for verb in verbs {
        let outcome = try sft.run(verb + ["--quiet"])
        #expect(outcome.code == 64, "\(verb[0]): \(outcome.errors)")
        #expect(outcome.errors.contains("error: the run would take "), "\(verb[0]): \(outcome.errors)")
        #expect(outcome.errors.contains("--no-memory-check starts it all the same."), "\(verb[0]): \(outcome.errors)")
      }
      #expect(try !directoryExists(sft.path(".sft/runs")) && !directoryExists(sft.path(".sft/lr-find")))
      for verb in verbs {
        let outcome = try sft.run(verb + ["--no-memory-check", "--quiet"])
        #expect(outcome.code == 0, "\(verb[0]): \(outcome.errors)")
      }
    }
  }

  /// A whole name of a layer that the trial does not have; and a second rate's run, beside whose plan a base is open already.
  @Test func targetsAndSweepsArePlanned() throws {
    try withSFT { sft in
      try sft.succeed(
        "prepare", fixturesFolder + "/../../datasets/instructions.jsonl", "--model", "embedded", "--val", "0", "--quiet"
      )
      let target = ["--lora-targets", "transformer.h.3.attn.c_attn", "--max-steps", "2", "--batch-size", "2"]
      let one = try sft.run(["plan", "--json", "--quiet"] + target)
      #expect(one.code == 0, "\(one.errors)")
      let sweep = try sft.run(["train", "--lr", "1e-4,2e-4", "--run", "a"] + target)
      #expect(sweep.code == 0, "\(sweep.errors)")
      let plans = sweep.errors.split(separator: "\n").filter { $0.hasPrefix("plan        ") }
        .map { $0.split(separator: " ")[1...2].joined() }
      #expect(plans.count == 2 && plans[0] == plans[1], "\(plans)")
    }
  }

  /// Short records of many micro-batches go through the model together.
  @Test func smallMicroBatchesAreJoined() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      func rows(_ arguments: String...) throws -> Int {
        let report = try sft.run(["plan", "--json", "--quiet"] + arguments).json()
        guard case .integer(let rows)? = report["largest_batch_rows"] else { return 0 }
        return rows
      }
      let together = try rows("--batch-size", "8")
      #expect(together < 512, "\(together)")
      #expect(try rows("--batch-size", "2", "--grad-accum", "4") == together)
      #expect(try rows("--batch-size", "2", "--grad-accum", "4", "--engine", "plain") < together)
    }
  }

  /// Within a tenth and what the system counts in blocks: measured here, where a model is small, the process itself is most.
  @Test(arguments: [[], ["--qlora"], ["--full"], ["--gradient-checkpointing"]] as [[String]])
  func theForecastIsNearWhatIsMeasured(_ flags: [String]) throws {
    try withSFT { sft in
      try sft.succeed(
        "prepare", fixturesFolder + "/../../datasets/instructions.jsonl", "--model", "embedded", "--val", "0", "--quiet"
      )
      let flags = flags + ["--batch-size", "16", "--max-steps", "6", "--quiet"]
      let report = try sft.run(["plan", "--json"] + flags).json()
      guard case .integer(let planned)? = report["peak_memory_bytes"] else { return }
      let outcome = try sft.shell(
        "python3 -c 'import resource, subprocess, sys\nsubprocess.run(sys.argv[1:], check=True)\n"
          + "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)' \"$SFT\" train "
          + flags.joined(separator: " "))
      let measured = try #require(outcome.output.split(separator: "\n").last.flatMap { Int($0) }, "\(outcome.errors)")
      let error = Double(planned - measured) / Double(measured)
      #expect(abs(error) < 0.15, "planned \(planned), measured \(measured)")
    }
  }
}
