import Files
import JSON
import TestSupport
import Testing

/// The main job on what is shipped: the embedded model knows the world but follows no instruction; a short tuning on
/// records about other facts makes it answer.
@Suite struct DemoTests {
  @Test func tuningBringsOutWhatTheBaseKnows() throws {
    try withSFT { sft in
      let datasets = parentPath(parentPath(fixturesFolder)) + "/datasets"
      let questions = String(decoding: try readFile(datasets + "/questions.jsonl"), as: UTF8.self)
      try sft.write(questions.split(separator: "\n").prefix(40).joined(separator: "\n"), to: "q.jsonl")
      try sft.succeed("prepare", datasets + "/instructions.jsonl", "--quiet")
      try sft.succeed(
        "train", "--lora-r", "16", "--qlora", "--lr", "3e-3", "--batch-size", "16", "--epochs", "2", "--quiet")
      let comparison = try sft.succeed(
        "compare", "--questions", "q.jsonl", "--max-new-tokens", "64", "--batch-size", "16", "--json", "--quiet"
      ).json()
      let (base, tuned) = (comparison["summary"]?["base"], comparison["summary"]?["tuned"])
      #expect(base?["exact_match"]?.int == 0)
      #expect((base?["ended"]?.int ?? 40) <= 12)
      // Six epochs, as in the demo, give more.
      #expect((tuned?["exact_match"]?.int ?? 0) >= 20)
      #expect((tuned?["ended"]?.int ?? 0) >= 38)
    }
  }
}
