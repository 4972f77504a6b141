import Files
import Glibc
import JSON
import TestSupport
import Testing

/// `sft train --profile`: where the time of a run goes.
@Suite struct ProfileTests {
  private static let settings = ["--max-steps", "4", "--batch-size", "4", "--eval-every", "2", "--lr", "1e-2"]

  @Test func theSecondsAddUp() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0.2")
      let report = try sft.run(["train", "--run", "a", "--profile", "--json", "--quiet"] + Self.settings).json()
      let profile = try #require(report["profile"])
      let stored = try parseJSONFile(sft.path(".sft/runs/a/profile.json"))
      #expect(stored == profile)
      let total = try #require(profile["seconds"]?.double)
      let entries = profile["operations"]?.array ?? []
      let seconds = entries.compactMap { $0["seconds"]?.double }
      #expect(seconds == seconds.sorted(by: >))
      #expect(abs(seconds.reduce(0, +) - total) < 1e-6 * total)
      func entry(_ name: String) throws -> JSONValue {
        try #require(entries.first { $0["operation"]?.string == name }, "\(name)")
      }
      // 3 blocks of 4 linears, the last one's queries apart; the first one's input needs no gradient.
      #expect(try entry("weights_forward")["calls"]?.int == 4 * 13)
      #expect(try entry("weights_backward")["calls"]?.int == 4 * 12)
      #expect(try entry("adapter_backward")["calls"]?.int == 4 * 38)
      // Some blocks compute it again on the way back.
      #expect(try entry("attention_forward")["calls"]?.int ?? 0 >= 4 * 3)
      #expect(try entry("attention_backward")["calls"]?.int == 4 * 3)
      #expect(try entry("optimizer")["calls"]?.int == 4)
      #expect(try entry("validation")["calls"]?.int == 2)
      #expect(try entry("weights_forward")["gflops_per_second"]?.double ?? 0 > 0)
      #expect(try entry("rest")["gflops_per_second"] == nil)
      #expect(profile["steps"]?.int == 4)
      #expect(profile["sgemm_gflops"]?.double ?? 0 > 0)
      #expect((0...1.05).contains(profile["utilization"]?.double ?? .nan))
    }
  }

  /// It changes no bit, may be asked for when a run goes on, and leaves nothing where it was not.
  @Test func theRunIsTheSame() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0.2")
      try sft.run(["train", "--run", "plain"] + Self.settings)
      let shown = try sft.run(["train", "--run", "profiled", "--profile"] + Self.settings)
      #expect(try sft.metrics("plain") == sft.metrics("profiled"))
      let weights = ["plain", "profiled"].map { sft.path(".sft/runs/\($0)/adapter/adapter_model.safetensors") }
      #expect(try readFile(weights[0]) == readFile(weights[1]))
      #expect(try !fileExists(sft.path(".sft/runs/plain/profile.json")))
      for words in ["\nprofile     4 updates in ", "\n  weights backward", "\n  rest "] {
        #expect(shown.output.contains(words), "\(shown.output)")
      }
      try removeTree(sft.path(".sft/runs/plain/finished.json"))
      try removeTree(sft.path(".sft/runs/plain/checkpoints/step-4"))
      try sft.succeed("train", "--resume", "--run", "plain", "--profile", "--quiet")
      #expect(try fileExists(sft.path(".sft/runs/plain/profile.json")))
      #expect(try sft.metrics("plain") == sft.metrics("profiled"))
    }
  }
}
