import Files
import Glibc
import JSON
import TestSupport
import Testing

/// `sft train --lora-layers` of upper layers: the outputs of the frozen ones below are stored and read back.
@Suite struct TrunkCacheTests {
  private static let settings = [
    "--lora-layers", "1-2", "--epochs", "3", "--batch-size", "4", "--lr", "1e-2", "--eval-every", "5",
  ]

  private func losses(_ sft: SFTBinary, _ run: String) throws -> [Double] {
    try sft.metrics(run).compactMap { try $0.json()["loss"]?.double }
  }

  private func train(_ sft: SFTBinary, _ run: String, _ options: String...) throws -> Outcome {
    let outcome = try sft.run(["train", "--run", run] + Self.settings + options)
    #expect(outcome.code == 0, "\(outcome.errors)")
    return outcome
  }

  private func weights(_ sft: SFTBinary, _ run: String) throws -> [UInt8] {
    try readFile(sft.path(".sft/runs/\(run)/adapter/adapter_model.safetensors"))
  }

  @Test(arguments: [[], ["--qlora"], ["--lora-dropout", "0.1"]]) func theCurveIsTheSame(_ variant: [String]) throws {
    try withSFT { sft in
      try sft.prepare("--val", "0.2")
      func train(_ run: String, _ options: [String]) throws -> Outcome {
        let outcome = try sft.run(["train", "--run", run] + Self.settings + variant + options)
        #expect(outcome.code == 0, "\(outcome.errors)")
        return outcome
      }
      let off = try train("off", ["--trunk-cache", "0"])
      #expect(!off.errors.contains("trunk  "))
      let on = try train("on", [])
      #expect(on.errors.contains("\ntrunk       outputs of the layers below 1 are stored: "), "\(on.errors)")
      let (expected, measured) = (try losses(sft, "off"), try losses(sft, "on"))
      #expect(expected.count == measured.count && expected.count > 10)
      for (a, b) in zip(measured, expected) { #expect(relativeError(a, b) < 1e-5) }
      // Read back by another run, and with activations computed again: the same bits.
      let again = try train("again", ["--gradient-checkpointing"])
      #expect(again.errors.contains("trunk       outputs of the layers below 1 are there: "), "\(again.errors)")
      #expect(try sft.metrics("again") == sft.metrics("on"))
      #expect(try weights(sft, "again") == weights(sft, "on"))
    }
  }

  /// A stopped run goes on with stored outputs, those that are gone are made again, and the bits are the same.
  @Test func resumedRunsAreTheSame() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0.2")
      _ = try train(sft, "whole", "--save-every", "4", "--keep-checkpoints", "9")
      _ = try train(sft, "stopped", "--save-every", "4", "--keep-checkpoints", "9")
      let folder = sft.path(".sft/runs/stopped")
      for step in try directoryEntries(folder + "/checkpoints") where step != "step-4" {
        try removeTree(folder + "/checkpoints/" + step)
      }
      try removeTree(folder + "/finished.json")
      try removeTree(sft.path(".sft/artifacts/trunk"))
      let outcome = try sft.succeed("train", "--resume", "--run", "stopped")
      #expect(outcome.errors.contains("\nGoing on from the checkpoint of step 4.\n"))
      #expect(try sft.metrics("stopped") == sft.metrics("whole"))
      #expect(try weights(sft, "stopped") == weights(sft, "whole"))
      #expect(try sft.leftovers() == [])
      try sft.succeed("cache", "verify")
      // Only removed where the run could not go on as it was.
      try removeTree(folder + "/finished.json")
      let refused = try sft.run("train", "--resume", "--run", "stopped", "--trunk-cache", "0")
      #expect(refused.code == 64 && refused.errors.contains("--trunk-cache (it was used)"), "\(refused.errors)")
    }
  }

  @Test func whereItDoesNotPayItIsOff() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      func note(_ run: String, _ options: String...) throws -> String {
        let outcome = try sft.run(["train", "--run", run, "--batch-size", "4"] + options)
        #expect(outcome.code == 0, "\(outcome.errors)")
        #expect(try !fileExists(sft.path(".sft/artifacts/trunk")))
        return outcome.errors
      }
      let words = "the layers below 2 are frozen, but their outputs are not stored: "
      let once = try note("once", "--lora-layers", "2", "--epochs", "1")
      #expect(once.contains(words + "with 1.0 epochs that would not pay\n"), "\(once)")
      let big = try note("big", "--lora-layers", "2", "--trunk-cache", "0.000001")
      #expect(big.contains(words + "they are ") && big.contains(", and --trunk-cache is 1.0 kB\n"), "\(big)")
      #expect(try !note("all", "--epochs", "2").contains("frozen, but"))
      #expect(try !note("plain", "--lora-layers", "2", "--engine", "plain", "--max-steps", "4").contains("frozen, but"))
      #expect(try sft.run("train", "--trunk-cache", "-1").code == 64)
    }
  }
}

extension String {
  fileprivate func json() throws -> JSONValue { try Array(utf8).withUnsafeBytes { try parseJSON($0, file: "line") } }
}
