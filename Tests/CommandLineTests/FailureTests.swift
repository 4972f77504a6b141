import Files
import Foundation
import JSON
import TestSupport
import Testing

/// How a failure is told, to people and to programs.
@Suite struct FailureTests {
  @Test func withJSONAFailureIsAValueToo() throws {
    try withSFT { sft in
      try sft.write("{\"instruction\":\"a\",\"output\":\"b\"}\nnot json\n", to: "d.jsonl")
      let bad = try sft.run("prepare", "d.jsonl", "--model", SFTBinary.model, "--json")
      let error = try bad.json()["error"]
      #expect(bad.code == 65 && error?["code"]?.int == 65)
      #expect(error?["file"]?.string == "d.jsonl" && error?["line"]?.int == 2)
      let message = try #require(error?["message"]?.string)
      #expect(bad.errors.hasSuffix("error: d.jsonl:2: \(message).\n"))

      let empty = try sft.run("train", "--json")
      #expect(
        empty.output
          == #"{"error":{"advice":"Run `sft prepare FILE` first","code":66,"message":"there is no prepared data in .sft"}}"#
          + "\n")
      #expect(empty.errors == "error: there is no prepared data in .sft. Run `sft prepare FILE` first.\n")

      for (arguments, message) in [
        (["train", "--json", "--modle", "x"], "Unknown option '--modle'. Did you mean '--model'?"),
        (["eval", "--json"], "Missing expected argument '--data <FILE>'"),
        (["train", "--epochs", "1", "--max-steps", "1", "--json"], "Give --epochs or --max-steps, not both."),
        (["trian", "--json"], "there is no verb 'trian'"),
      ] {
        let outcome = try sft.run(arguments)
        #expect(outcome.code == 64)
        #expect(try outcome.json()["error"]?["message"]?.string == message)
        #expect(try outcome.json()["error"]?["code"]?.int == 64)
      }
      // What is no option is no wish.
      #expect(try sft.run("tokenize", "--", "--json").output == "")
    }
  }

  @Test func aValueThatIsThereIsTheOnlyOne() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      let artifacts = try directoryEntries(sft.path(".sft/artifacts/records"))
      try sft.write("damaged", to: ".sft/artifacts/records/\(try #require(artifacts.first))/manifest.json")
      let verified = try sft.run("cache", "verify", "--json", "--quiet")
      #expect(verified.code == 65)
      #expect(try verified.json().array?.count == 3)
    }
  }

  @Test func usageErrorsAreTwoLines() throws {
    try withSFT { sft in
      for (arguments, text) in [
        (["train", "--bogus-name"], "error: Unknown option '--bogus-name'\nSee `sft train --help`.\n"),
        (
          ["inspect", "data", "--limit", "-1"],
          "error: --limit must not be negative.\nSee `sft inspect data --help`.\n"
        ),
        (["--bogus"], "error: Unknown option '--bogus'\nSee `sft --help`.\n"),
      ] {
        let outcome = try sft.run(arguments)
        #expect(outcome.errors == text)
        #expect(outcome.code == 64)
      }
    }
  }

  @Test func anEmptyWorkspaceHasOneExitCode() throws {
    try withSFT { sft in
      for arguments in [
        ["train"], ["lr-find"], ["compare", "--questions", SFTBinary.records], ["export", "--to", "out"],
        ["export", "--to", "out", "--format", "merged", "--report"], ["report"], ["inspect", "data"],
        ["train", "--resume"], ["pretrain", "--resume"],
      ] {
        let outcome = try sft.run(arguments)
        #expect(outcome.code == 66, "\(arguments): \(outcome.errors)")
        #expect(outcome.errors.split(separator: "\n").last?.hasPrefix("error: there is no") == true)
      }
    }
  }

  /// A workspace that names no model is remarked on beside a result, not beside an error.
  @Test func theDefaultModelIsNoNewsWhereNothingWasDone() throws {
    try withSFT { sft in
      for arguments in [
        ["prepare", "typo.jsonl"], ["eval", "--data", "typo.jsonl"], ["tokenize", "typo.jsonl"],
        ["export", "--to", "out"], ["compare", "--questions", SFTBinary.records],
      ] {
        let outcome = try sft.run(arguments)
        #expect(outcome.code == 66, "\(arguments)")
        #expect(!outcome.errors.contains("No --model"), "\(arguments): \(outcome.errors)")
      }
    }
  }

  @Test func aDamagedArtifactIsToldOfOnce() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      let folder = ".sft/artifacts/prepared/" + (try directoryEntries(sft.path(".sft/artifacts/prepared"))[0])
      try sft.write("damaged", to: folder + "/index.zst")
      let outcome = try sft.run("inspect", "data")
      #expect(outcome.code == 65)
      let lines = outcome.errors.split(separator: "\n")
      #expect(lines.count == 1, "\(lines)")
      #expect(outcome.errors.hasPrefix("error: \(folder): the prepared data is damaged: index.zst "))
      #expect(outcome.errors.contains("; it was moved to .sft/set-aside/prepared-"))
    }
  }
}
