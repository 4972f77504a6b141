import Files
import JSON
import TestSupport
import Testing

/// `sft train --batch-tokens`.
@Suite struct BatchTests {
  /// The updates' `tokens` are those of the records in their prepared order, taken until they reach the number.
  @Test(arguments: [(tokens: 150, accumulation: 1), (70, 3)])
  func updatesTakeRecordsUntilTheyReachTheTokens(_ batch: (tokens: Int, accumulation: Int)) throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      let lengths = try sft.succeed("inspect", "data", "--jsonl").jsonLines().map { $0["input_ids"]?.array?.count ?? 0 }
      try sft.succeed(
        "train", "--run", "a", "--no-shuffle", "--batch-tokens", "\(batch.tokens)", "--grad-accum",
        "\(batch.accumulation)", "--epochs", "2", "--quiet")
      var expected: [Int] = []
      var record = 0
      while record < 2 * lengths.count {
        var sum = 0
        while sum < batch.tokens * batch.accumulation {
          sum += lengths[record % lengths.count]
          record += 1
        }
        expected.append(sum)
      }
      let measured = try lines(of: sft.path(".sft/runs/a/metrics.jsonl")).map { line in
        try line.withUnsafeBytes { try parseJSON($0, file: "metrics.jsonl") }["tokens"]?.int ?? 0
      }
      #expect(measured == expected)
    }
  }

  @Test func whatCannotBeIsRefused() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      let both = try sft.run("train", "--batch-size", "4", "--batch-tokens", "100")
      #expect(both.code == 64)
      #expect(both.errors.hasPrefix("error: Give --batch-size or --batch-tokens, not both.\n"))
      #expect(try sft.run("train", "--batch-tokens", "0").code == 64)
      #expect(try sft.run("train", "--batch-tokens", "\(Int.max)").code == 64)
      try sft.succeed("train", "--run", "a", "--batch-tokens", "100", "--max-steps", "1", "--quiet")
      try sft.succeed("train", "--run", "b", "--max-steps", "1", "--quiet")
      func refuse(_ run: String, _ message: String, _ options: String...) throws {
        let outcome = try sft.run(["train", "--resume", "--run", run] + options)
        #expect(outcome.code == 64 && outcome.errors.contains(message), "\(outcome.errors)")
      }
      try refuse("a", "changed settings: --batch-tokens 99 (it was 100)", "--batch-tokens", "99")
      try refuse("a", "changed settings: --batch-size 8 (it was --batch-tokens 100)", "--batch-size", "8")
      try refuse("b", "changed settings: --batch-tokens 99 (it was --batch-size 8)", "--batch-tokens", "99")
      try sft.fail(64, "that many epochs cannot be.", "train", "--batch-tokens", "100", "--epochs", "1e300")
    }
  }
}
