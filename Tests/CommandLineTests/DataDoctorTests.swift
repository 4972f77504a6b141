import JSON
import Testing
import TestSupport

/// `inspect data --doctor`: planted findings, each at its line, and none where none were planted.
@Suite struct DataDoctorTests {
  private static func line(_ instruction: String, _ output: String) -> String {
    JSONValue.object(JSONObject([("instruction", .string(instruction)), ("output", .string(output))])).serialized
  }

  private static let clean = [
    line("Name a river in Egypt", "The Nile flows through Egypt."), line("How many legs has a spider?", "Eight legs."),
    line("What do bees make?", "They make honey and wax."), line("Translate 'dog' to French", "It is 'le chien'."),
  ]

  private func findings(_ report: JSONValue) -> [String] {
    (report["findings"]?.array ?? []).map { finding in
      [finding["kind"]?.string, finding["place"]?.string, finding["other"]?.string].compactMap { $0 }.joined(
        separator: " ")
    }
  }

  @Test func nothingIsSaidOfSoundData() throws {
    try withSFT { sft in
      try sft.write(Self.clean.joined(separator: "\n"), to: "d.jsonl")
      try sft.succeed("prepare", "d.jsonl", "--model", SFTBinary.model, "--val", "0.25", "--quiet")
      let report = try sft.succeed("inspect", "data", "--doctor", "--json").json()
      #expect(findings(report) == [])
      #expect(report["counts"]?.object?.members.allSatisfy { $0.value.int == 0 } == true)
      #expect(report["training"]?.int == 3)
      #expect(report["losses"] == nil)
      #expect(try sft.succeed("inspect", "data", "--doctor").output.contains("\nNothing was found.\n"))
    }
  }

  @Test func everyKindIsFoundAtItsLine() throws {
    try withSFT { sft in
      let long = String(repeating: "honey wax bees ", count: 20)
      let training =
        Self.clean + [
          Self.clean[2],  // 5
          Self.line("What do the bees make?", "They make honey and wax."),  // 6
          Self.line("how many legs has a spider ?", "It has got six of them."),  // 7
          Self.line("Say nothing", "\u{200b}\u{feff}"),  // 8
          Self.line("Say yes or no", "y"),  // 9
          Self.line("Tell a story", "Once upon a time there was a king in the"),  // 10
          Self.line("Repeat after me, please", long),  // 11
          Self.line(long, "That is a lot of words."),  // 12
        ]
      try sft.write(training.joined(separator: "\n"), to: "d.jsonl")
      try sft.write(
        [
          Self.line("Name a river in Egypt", "The Nile flows through Egypt, yes."),
          Self.line("Say YES or no", "No, never."),
        ].joined(separator: "\n"), to: "v.jsonl")
      try sft.succeed(
        "prepare", "d.jsonl", "--model", SFTBinary.model, "--val-file", "v.jsonl", "--max-length", "90", "--overlong",
        "truncate", "--quiet")
      let report = try sft.succeed("inspect", "data", "--doctor", "--json", "--similarity", "0.6").json()
      #expect(
        findings(report) == [
          "leaked_record v.jsonl:1 d.jsonl:1", "leaked_prompt v.jsonl:2 d.jsonl:9",
          "conflicting_answer d.jsonl:7 d.jsonl:2", "conflicting_answer v.jsonl:1 d.jsonl:1",
          "conflicting_answer v.jsonl:2 d.jsonl:9", "exact_duplicate d.jsonl:5 d.jsonl:3",
          "near_duplicate d.jsonl:6 d.jsonl:3", "answer_too_long d.jsonl:11", "truncated_prompt d.jsonl:12",
          "cut_answer d.jsonl:10", "empty_answer d.jsonl:8", "one_token_answer d.jsonl:9",
        ])
      #expect(report["counts"]?["conflicting_answer"]?.int == 3)
      #expect(report["lengths"]?["tokens"]?["maximum"]?.int == 90)
      let limited = try sft.succeed("inspect", "data", "--doctor", "--json", "--similarity", "0.6", "--limit", "1")
      #expect(findings(try limited.json()).count == 10)
      #expect(try limited.json()["counts"]?["conflicting_answer"]?.int == 3)
      let shown = try sft.succeed("inspect", "data", "--doctor", "--limit", "1").output
      #expect(shown.contains("\nexact duplicates\n  d.jsonl:5  as d.jsonl:3\n    What do bees make? → They make honey"))
      #expect(shown.split(separator: "\n").allSatisfy { $0.count <= 80 })
    }
  }

  @Test func hostileTextsStayText() throws {
    try withSFT { sft in
      let text = "\u{1b}[2J\u{7}red\rgone \u{9b}31m"
      try sft.write(
        [Self.line(text, "x" + text), Self.line(text, "y" + text)].joined(separator: "\n"), to: "d.jsonl")
      try sft.succeed("prepare", "d.jsonl", "--model", SFTBinary.model, "--val", "0", "--quiet")
      let shown = try sft.succeed("inspect", "data", "--doctor").output
      #expect(shown.contains(#"\u{1b}[2J\u{7}red"#))
      #expect(shown.unicodeScalars.allSatisfy { $0 == "\n" || !($0.value < 32 || (127...159).contains($0.value)) })
      #expect(shown.split(separator: "\n").allSatisfy { $0.count <= 80 })
    }
  }

  /// Each record's loss is what `eval` says of it alone, and the mean what `eval` says of all.
  @Test func recordsAreRankedByTheirLoss() throws {
    try withSFT { sft in
      let reference = try ReferenceCase("gpt2-tiny")
      try sft.succeed("prepare", reference.records, "--model", reference.model, "--val", "0.2", "--quiet")
      let report = try sft.succeed("inspect", "data", "--doctor", "--losses", "--json", "--quiet").json()
      #expect(abs((report["losses"]?["mean"]?.double ?? 0) - reference.loss("base")) < 1e-4)
      let ranked = report["losses"]?["records"]?.array ?? []
      #expect(ranked.count == 20)
      let losses = ranked.compactMap { $0["loss"]?.double }
      #expect(losses == losses.sorted(by: >))
      let all = try lines(of: reference.records)
      for record in [ranked.first, ranked.last] {
        let number = try #require(record?["place"]?.string?.split(separator: ":").last.flatMap { Int($0) })
        try sft.write(String(decoding: all[number - 1], as: UTF8.self), to: "one.jsonl")
        let alone = try sft.succeed("eval", "--model", reference.model, "--data", "one.jsonl", "--json", "--quiet")
          .json()
        #expect(abs((alone["loss"]?.double ?? 0) - (record?["loss"]?.double ?? 1)) < 1e-4)
        #expect(alone["supervised_tokens"]?.int == record?["tokens"]?.int)
      }
      let text = try sft.succeed("inspect", "data", "--doctor", "--losses", "--limit", "1", "--quiet").output
      #expect(text.contains("\nthe highest\n") && text.contains("\nthe lowest\n"))
    }
  }

  @Test func whatMakesNoSenseIsRefused() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      for options in [
        ["--losses"], ["--similarity", "0.8"], ["--doctor", "--similarity", "0.2"], ["--doctor", "--jsonl"],
        ["--doctor", "--similarity", "nan"],
      ] {
        let outcome = try sft.run(["inspect", "data"] + options)
        #expect(outcome.code == 64)
        #expect(outcome.output == "")
      }
    }
  }
}
