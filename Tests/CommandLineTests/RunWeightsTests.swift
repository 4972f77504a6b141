import Files
import Foundation
import JSON
import TestSupport
import Testing

/// What a run's weights and settings are checked against when they are used, and how they are put right.
@Suite struct RunWeightsTests {
  /// Changes one bit of a file in place.
  private func flip(_ path: String, at place: Double = 0.5) throws {
    let handle = try FileHandle(forUpdating: URL(fileURLWithPath: path))
    defer { try? handle.close() }
    let size = try handle.seekToEnd()
    let offset = min(size - 1, UInt64(Double(size) * place))
    try handle.seek(toOffset: offset)
    let byte = try #require(try handle.read(upToCount: 1)?.first)
    try handle.seek(toOffset: offset)
    try handle.write(contentsOf: [byte ^ 4])
  }

  private func train(_ sft: SFTBinary, _ more: String...) throws {
    try sft.prepare("--val", "0.2")
    let outcome = try sft.run(
      [
        "train", "--run", "a", "--max-steps", "3", "--eval-every", "1", "--save-every", "1", "--batch-size", "2",
        "--lr",
        "1e-2", "--quiet",
      ] + more)
    #expect(outcome.code == 0, "\(outcome.errors)")
    try sft.write("What?\n", to: "q.txt")
  }

  private static let uses: [[String]] = [
    ["eval", "--data", SFTBinary.records], ["generate", "--instruction", "hi", "--max-new-tokens", "1"],
    ["compare", "--questions", "q.txt", "--max-new-tokens", "1", "--out", "pages"], ["export", "--to", "out"],
  ]

  @Test func aChangedBitInTheBestWeightsIsNoticedByEveryVerb() throws {
    try withSFT { sft in
      try train(sft, "--lora-r", "2")
      let whole = try readFile(sft.path(".sft/runs/a/best/adapter_model.safetensors"))
      for (file, place) in [
        ("adapter_model.safetensors", 0.01), ("adapter_model.safetensors", 0.9), ("adapter_config.json", 0.5),
      ] {
        try flip(sft.path(".sft/runs/a/best/\(file)"), at: place)
        for use in Self.uses {
          let outcome = try sft.run(use + ["--quiet"])
          #expect(outcome.code == 65, "\(use)")
          #expect(outcome.errors.hasPrefix("error: .sft/runs/a/best/\(file): is damaged: "), "\(outcome.errors)")
          #expect(
            outcome.errors.hasSuffix(" `sft train --run a --resume` takes them from the checkpoint again.\n"))
          #expect(outcome.errors.count { $0 == "\n" } == 1)
        }
        let verified = try sft.run("cache", "verify")
        #expect(verified.code == 65 && verified.output.contains("DAMAGED (\(file) is damaged"))
        // The advice does what it says, on a finished run too.
        try sft.succeed("train", "--run", "a", "--resume", "--quiet")
        #expect(try readFile(sft.path(".sft/runs/a/best/adapter_model.safetensors")) == whole)
        try sft.succeed("cache", "verify")
      }
      // Where the checksums themselves are damaged, the weights are taken from the checkpoint at once.
      try flip(sft.path(".sft/runs/a/best/manifest.json"), at: 0.2)
      for use in Self.uses { #expect(try sft.run(use + ["--quiet"]).code == 0, "\(use)") }
      try sft.succeed("cache", "verify")
      // What is exported is for other tools, and holds nothing of ours.
      #expect(try !directoryEntries(sft.path("out")).contains("manifest.json"))
    }
  }

  @Test func aChangedBitInTheSettingsIsNoticed() throws {
    try withSFT { sft in
      try train(sft, "--lora-r", "2")
      let path = sft.path(".sft/runs/a/config.json")
      let whole = try readFile(path)
      for place in stride(from: 0.02, to: 1, by: 0.3) {
        try flip(path, at: place)
        for use in Self.uses + [["train", "--resume"]] {
          let outcome = try sft.run(use + ["--quiet"])
          #expect(outcome.code == 65 && outcome.errors.hasPrefix("error: .sft/runs/a/config.json: "), "\(place)")
        }
        #expect(try sft.run("cache", "verify").output.contains("DAMAGED (config.json "))
        try writeAtomically(whole, to: path)
      }
      try sft.succeed("cache", "verify")
    }
  }

  @Test func aChangedModelOfARunIsNoticed() throws {
    try withSFT { sft in
      try train(sft, "--full")
      for folder in ["best", "model"] {
        let path = sft.path(".sft/runs/a/\(folder)/model.safetensors")
        let whole = try readFile(path)
        try flip(path)
        let named = try sft.run("eval", "--data", SFTBinary.records, "--model", ".sft/runs/a/\(folder)", "--quiet")
        #expect(named.code == 65)
        #expect(named.errors.contains("model.safetensors: is damaged: its content is not what was written. If it was"))
        try sft.succeed("train", "--run", "a", "--resume", "--quiet")
        #expect(try readFile(path) == whole)
      }
    }
  }

  /// As a process leaves it that was killed between its last checkpoint and the weights beside it.
  @Test func theLastWeightsAreThoseOfTheLastCheckpoint() throws {
    try withSFT { sft in
      try train(sft, "--lora-r", "2")
      let folder = sft.path(".sft/runs/a")
      let names = ["adapter", "best"]
      let whole = try names.map { try readFile("\(folder)/\($0)/adapter_model.safetensors") }
      let before = try readFile(folder + "/checkpoints/step-2/adapter_model.safetensors")
      for use in [["train", "--run", "a", "--resume"], Self.uses[1]] {
        for name in names {
          try writeAtomically(before, to: "\(folder)/\(name)/adapter_model.safetensors")
          try removeTree("\(folder)/\(name)/manifest.json")
        }
        try removeTree(folder + "/finished.json")
        #expect(try sft.run(use + ["--quiet"]).code == 0)
        #expect(try names.map { try readFile("\(folder)/\($0)/adapter_model.safetensors") } == whole, "\(use)")
      }
      // All of it can be made from the checkpoints.
      for name in names { try removeTree("\(folder)/\(name)") }
      try sft.succeed("export", "--to", "out", "--quiet")
      #expect(try names.map { try readFile("\(folder)/\($0)/adapter_model.safetensors") } == whole)
    }
  }

  @Test func aFinishedRunNeedsNoCheckpoints() throws {
    try withSFT { sft in
      try train(sft, "--lora-r", "2")
      try removeTree(sft.path(".sft/runs/a/checkpoints"))
      for use in Self.uses { #expect(try sft.run(use + ["--quiet"]).code == 0, "\(use)") }
      #expect(
        try sft.succeed("train", "--run", "a", "--resume").errors == "Run a is finished; there is nothing to do.\n")
      try flip(sft.path(".sft/runs/a/best/adapter_model.safetensors"))
      try sft.fail(
        65,
        ".sft/runs/a: the weights of the finished run are damaged, and it has no sound checkpoint to take them from. Start "
          + "it again under another name.", "train", "--run", "a", "--resume", "--quiet")
    }
  }
}
